"""Every name of the code that a page mentions exists: in running text, in blocks, in tables.

A page is read as a person reads it: `relay.max_links` is a setting, `node.ping()` a method of what
an application gets, `nodes/test_relay.py` a file. What is none of ours is in a table here.
"""

import ast
import functools
import importlib
import inspect
import re
import textwrap

import pytest
from docs_pages import (
    CODE,
    PAGES,
    blocks,
    firmware_source,
    name_of,
    settings_of_the_firmware,
    spans,
    text_of,
)

from msgin5g import repl
from msgin5g.config.schema import Schema
from msgin5g.services.application import Application
from msgin5g.services.ping import Ping
from msgin5g_testkit import (
    Datagram,
    GatewayNode,
    MemoryFlash,
    Network,
    NetworkSim,
    RelayNode,
    ScmServer,
    Ue,
)
from msgin5g_testkit.board import Board
from msgin5g_tools.checks.types import documented, stub_of
from msgin5g_tools.paths import ROOT

# What a changelog says of the past may be gone; docs/api.md is made from the docstrings.
_CHECKED = [page for page in PAGES if name_of(page) not in ("CHANGELOG.md", "docs/api.md")]

_DOTTED = re.compile(r"(?<![\w./:@<>*-])([a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*)+)(?![\w/:@>*-])")
_SNAKE = re.compile(r"(?<![\w./<=-])([a-zA-Z][a-zA-Z0-9]*_\w*[a-zA-Z0-9])(?![\w/*<-])")
_PATH = re.compile(r"(?<![\w./~:$<>*-])((?:[\w.*-]+/)+[\w.*-]*[\w*])(?![\w<])")
_KIND = re.compile(r"\b(setting|event|counter)s? ((?:`[a-z_.]+`(?:,? and |,? or |, )?)+)")
_METRIC = re.compile(r"msgin5g_(?:scm|role)_\w+")
_SUFFIX = re.compile(r"`([\w/*]+)\.py`[^|`]*((?:`_\w+`[^|`]*)+)")
# A name with such an ending is a file. Of some kinds all files are ours, others a person makes.
_OURS = ("py", "md", "sh", "toml", "lua", "service")
_YOURS = ("mpy", "json", "csv", "txt", "db", "img", "pcap", "pcapng", "svg", "romfs", "com")

# What an object is that a page calls so. `server`, `relay` and others are groups of settings, too.
_OBJECTS = {
    "node": Application,
    "ping": Ping,
    "schema": Schema,
    "repl": repl,
    "net": Network,
    "sim": NetworkSim,
    "ue": Ue,
    "board": Board,
    "flash": MemoryFlash,
    "server": ScmServer,
    "relay": RelayNode,
    "gateway": GatewayNode,
    "request": Datagram,
}
# Modules that a page calls by the end of their name.
_PACKAGES = ("", "msgin5g.", "msgin5g_testkit.")
_OF_BOARDS = ("machine", "network", "espnow", "os", "sys", "time", "struct", "vfs")
# Folders with names that a page may have: what users have and run, and what tests are made of.
_CODE = ("firmware/", "tools/", "deploy/", "host_tests/support/", "host_tests/testkit/")
_CODE += ("Makefile", "pyproject.toml", "host_tests/conftest.py", "host_tests/host/conftest.py")
_FOLDERS = ("boards", "deploy", "docs", "examples", "firmware", "host_tests", "tools")
# Where a path of a page may begin, and folders in it that we make.
_ROOTS = (ROOT, ROOT / "host_tests", ROOT / "firmware", ROOT / "firmware" / "msgin5g")
_MADE = ("build/",)
# Of the fields and preferences of Wireshark, which our dissector adds.
_DISSECTOR = ROOT / "tools" / "wireshark" / "msgin5g.lua"

# Of a person, of MicroPython, of PostgreSQL and others; or an example.
_OF_OTHERS = {
    "app.py", "boot.py", "lamp.py", "test_lamp.py", "export.sh", "mpconfigboard.h", "msgin5g.toml",
    "Pin.OUT", "test_lamp", "vfs.VfsRom", "rtc.memory", "x._name", "http.server", "scm.example",
    "scm.db-shm", "scm.db-wal", "secrets.psk", "valUeIds.uris", "valUeIds.imeiRanges",
    "list.sort",
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME", "FROZEN_MANIFEST", "MICROPYTHON_TREE",
    "MICROPY_VFS_ROM", "MICROPY_HW_ROMFS_BYTES", "pg_dump", "pool_mode", "target_session_attrs",
    "fish_source", "zsh_source", "not_a_port", "ue_idd",
}  # fmt: skip


def read(page):
    """(spans, block lines) of a page's text."""
    return spans(text_of(page)), blocks(text_of(page))


def unknown_names(spans, block):
    """The names in a text that nothing of ours has."""
    text = "\n".join([*spans, block])
    dotted = {name for name in _DOTTED.findall(text) if not is_known(name)}
    known = words_of_the_code() | metrics()
    words = {name for name in _SNAKE.findall("\n".join(spans)) if name not in known}
    figures = set(_METRIC.findall(text)) - metrics()
    return sorted((dotted | words | figures) - _OF_OTHERS)


def is_known(name):
    if name in settings_of_the_firmware() or f'"{name}"' in _DISSECTOR.read_text():
        return True
    ending = name.rpartition(".")[2]
    if ending in _OURS:
        return name in file_names()
    if ending in _YOURS:
        return True
    first, _, rest = name.partition(".")
    if first in _OF_BOARDS:
        return rest in documented(stub_of("esp32", first))
    if first[0].isupper():
        return rest in classes().get(first, ())
    of_an_object = first in _OBJECTS and has(first, name)
    return of_an_object or is_in_a_module(name) or is_a_preference(name)


def has(known, name):
    """Whether the object has what follows in a name such as `ue.board.parts`."""
    first, *more = name.removeprefix(f"{known}.").split(".")
    return first in attributes(_OBJECTS[known]) and (
        not more or (first in _OBJECTS and has(first, ".".join([first, *more])))
    )


@functools.cache
def attributes(thing):
    """The public names of a module or class, with those that its methods set."""
    found = {name for name in dir(thing) if not name.startswith("_")}
    for each in getattr(thing, "__mro__", ()):
        if each is not object:
            found.update(set_by(ast.parse(textwrap.dedent(inspect.getsource(each)))))
    return found


def set_by(node):
    """The names of a class from its text: functions, and what it and its methods assign."""
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef):
            yield each.name
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            if getattr(each.value, "id", "") == "self":
                yield each.attr


@functools.cache
def classes():
    """{class of the firmware or of the tools: its names}."""
    found = {}
    for path in files():
        if path.startswith(_CODE) and path.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, set()).update(set_by(node))
    return found


@functools.cache
def is_in_a_module(name):
    first, *more = name.split(".")
    for package in _PACKAGES:
        for n in range(len(more) + 1):
            try:
                thing = importlib.import_module(
                    ".".join([package + first, *more[: len(more) - n]])
                )
            except ImportError:
                continue
            rest = more[len(more) - n :]
            return functools.reduce(lambda at, part: at and getattr(at, part, None), rest, thing)
    # A module of the tests that runs on MicroPython only.
    return f"{first}.py" in file_names() and bool(more) and more[0] in classes()


def is_a_preference(name):
    return name.startswith("msgin5g.") and f"{name.replace('.', '.prefs.', 1)} =" in (
        _DISSECTOR.read_text()
    )


@functools.cache
def files():
    """The paths of all files of the repository."""
    inside = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*")]
    found = [path for path in [*ROOT.glob("*"), *inside] if path.is_file()]
    return [path.relative_to(ROOT).as_posix() for path in found if path.suffix != ".pyc"]


@functools.cache
def file_names():
    return {path.rpartition("/")[2] for path in files()}


@functools.cache
def words_of_the_code():
    """Every word of the code, and the names of all files without their endings."""
    found = {name.partition(".")[0] for name in file_names()}
    for path in files():
        if path.startswith(_CODE):
            found |= set(re.findall(r"[A-Za-z]\w*", (ROOT / path).read_text()))
        elif path.startswith("host_tests/host/") and "test_docs" not in path:
            found |= set(re.findall(r"\b[A-Z_]+\b", (ROOT / path).read_text()))
    return found  # of the tests' own files only the variables of the environment


@functools.cache
def metrics():
    """The names of the figures of /metrics, whole and without `msgin5g_scm` or `msgin5g_role`."""
    text = "".join((ROOT / path).read_text() for path in files() if path.startswith("tools/"))
    found = set()
    for kind, name in re.findall(r'\b(\w+)\(\s*f?"(msgin5g_(?:scm|role)_\w+)"', text):
        endings = {"Counter": ["_total"], "Histogram": ["", "_bucket", "_sum", "_count"]}
        found |= {name + ending for ending in endings.get(kind.removesuffix("MetricFamily"), [""])}
    return found | {name.split("_", 2)[2] for name in found}


def missing_files(text):
    """The paths in a text, whose first folder is one of ours, that do not exist."""
    found = set()
    for path in _PATH.findall(text):
        first = path.partition("/")[0]
        folders = [root for root in _ROOTS if first != "." and (root / first).is_dir()]
        if folders and not path.startswith(_MADE) and not any(is_there(r, path) for r in folders):
            found.add(path)
    return found


def is_there(root, path):
    """Whether the path, which may have *, is a file, a folder, or a file without its ending."""
    return any(next(root.glob(each.rstrip("/")), None) for each in (path, f"{path}.*"))


def missing_siblings(text):
    """`_tables` after `unit/test_relay.py` stands for unit/test_relay_tables.py."""
    for path, rest in _SUFFIX.findall(text):
        for suffix in re.findall(r"`(_\w+)`", rest):
            sibling = f"{path.removesuffix('_*')}{suffix}.py"
            if not any(is_there(root, sibling) for root in _ROOTS):
                yield sibling


def wrong_kinds(text):
    """(kind, name) of each "setting `x`", "events `x` and `y`", "counter `x`" that is none."""
    source = firmware_source()
    known = {
        "setting": lambda name: (
            name in settings_of_the_firmware()
            or any(key.startswith(f"{name}.") for key in settings_of_the_firmware())
        ),
        "event": lambda name: f'"{name}"' in source or f'"{name}"' in server_source(),
        "counter": lambda name: f'"{name}"' in source,
    }
    for kind, names in _KIND.findall(" ".join(text.split())):
        for name in re.findall(r"`(.*?)`", names):
            if not known[kind](name):
                yield kind, name


@functools.cache
def server_source():
    paths = [path for path in files() if path.startswith("tools/") and path.endswith(".py")]
    return "".join((ROOT / path).read_text() for path in paths)


@pytest.mark.parametrize("page", _CHECKED, ids=name_of)
def test_a_name_of_the_code_that_a_page_has_exists(page):
    assert unknown_names(*read(page)) == []


@pytest.mark.parametrize("page", _CHECKED, ids=name_of)
def test_a_file_that_a_page_has_exists(page):
    text = text_of(page)
    assert sorted(missing_files("\n".join([*spans(text), blocks(text), plain(text)]))) == []
    assert list(missing_siblings(text)) == []


def plain(text):
    """The running text: without links, which have a test of their own, and without blocks."""
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)", " ", CODE.sub("", text))


def test_every_figure_of_metrics_is_documented():
    text = "".join(text_of(page) for page in _CHECKED)
    whole = {name for name in metrics() if name.startswith("msgin5g_")}
    of_a_histogram = ("_bucket", "_sum", "_count")
    whole = {name for name in whole if not name.endswith(of_a_histogram)}
    assert len(whole) > 10 and [name for name in sorted(whole) if name not in text] == []


@pytest.mark.parametrize("page", _CHECKED, ids=name_of)
def test_what_a_page_calls_setting_event_or_counter_is_one(page):
    assert list(wrong_kinds(text_of(page))) == []


def test_what_is_gone_is_found_in_text_block_and_table():
    for name in (
        "relay.max_lonks", "security.mood", "relais.max_links", "node.confirmed", "repl.states",
        "ue.boards", "ue.board.bits", "server.serves", "time.tick_ms", "machine.deep_sleep",
        "coap.tocks", "gone.py", "Endpoint.receives", "msgin5g.potr", "ueconfigdoc.iid",
    ):  # fmt: skip
        for text in (f"With `{name}` it", f"    x = {name}(1)", f"| `{name}(1)` | y |"):
            assert unknown_names(spans(text), blocks(text)) == [name], text
    for name in ("max_document_sise", "msgin5g_scm_request_total", "msgin5g_scm_requests"):
        assert unknown_names([f"{name}"], "") == [name]
    assert unknown_names([], "    curl x | grep msgin5g_role_event_total") != []
    for name in ("relay.max_links", "node.confirm", "repl.why", "msgin5g_scm_requests_total"):
        assert unknown_names([name], f"    {name}()") == []
    for path in ("tools/gone.py", "host_tests/unit/test_gone.py", "unit/test_gone", "docs/no/"):
        assert missing_files(f"see {path} or nodes/test_relay*") == {path.rstrip("/")}, path
    assert list(missing_siblings("| x | `unit/test_schema.py`, `_gone`, `_fuzz` |")) == [
        "unit/test_schema_gone.py",
        "unit/test_schema_fuzz.py",
    ]
    text = "the setting `lonks`, the events `applied` and\n`gone`, counter `bad_anser`"
    found = [("setting", "lonks"), ("event", "gone"), ("counter", "bad_anser")]
    assert list(wrong_kinds(text)) == found
