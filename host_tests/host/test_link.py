"""tools/link_modules.py and what is made with it: names, lines, and roles that run linked."""

import subprocess
import sys
import types

import pytest
from peers import PORT, ScmProcess, document, host, relay, ue
from test_gateway_process import gateway

from tools.check_manifests import ROLES
from tools.link_firmware import link_firmware, lines_of, modules_by_file
from tools.link_modules import Linker
from tools.link_scopes import LinkError
from tools.paths import ROOT
from tools.run import interpreter_command
from tools.where import Sources

CORE = '''"""Text."""
import sys
from micropython import const
from msgin5g.base import Base, double
from msgin5g.base import _SHARED as shared

_LIMIT = const(3)
_found = [1]


class Thing(Base):
    """Text."""

    double = 5
    limit = double + _LIMIT

    def twice(self, double):
        # A comment.
        _found.append(double)
        return double * _LIMIT


def use(n):
    """Text."""
    from msgin5g.late import helper, other

    helped = helper(n)
    double_all = [double(shared) for shared in (n, helped)]
    del other
    return double_all, _found, shared, lambda double: double + n


def reset():
    global _found
    _found = []


def load():
    from msgin5g.late import helper

    del helper
    unload("late", "base")
    return "msgin5g.late" in sys.modules
'''
BASE = """
_SHARED = "shared"
_found = {}


class Base:
    pass


def double(n):
    return 2 * n


def unload(*names):
    pass
"""
LATE = """
from msgin5g.base import double, unload


def helper(n):
    return double(n) + 1


def other():
    unload("late")
"""
THING = "other():\n    Thing()\n\n\nclass Thing(Exception):\n    a = 1\n"
SOURCES = {"msgin5g.core": CORE, "msgin5g.base": BASE, "msgin5g.late": LATE}


def linked(files, sources=SOURCES, kept=("msgin5g.core",)):
    """The modules of these files, as Python runs them; and their Linked."""
    linker = Linker(sources, files, kept, sinks=list(files)[1:])
    made = {file: linker.link(file) for file in files}
    modules = {}
    for file in sorted(files, key=lambda file: "msgin5g.base" not in files[file]):
        module = types.ModuleType(file)
        text = made[file].text.replace("const(", "(")
        for name in files:
            text = text.replace(f"from {name} import", f"from x_{name.replace('.', '_')} import")
        module.unload = lambda *names, told=modules: told.setdefault("unloaded", names)
        exec(compile(text, file, "exec"), module.__dict__)
        modules[file] = sys.modules["x_" + file.replace(".", "_")] = module
    return modules, made


@pytest.mark.parametrize(
    "files",
    [
        {"msgin5g.core": ["msgin5g.core", "msgin5g.base"], "msgin5g.late": ["msgin5g.late"]},
        {"msgin5g.core": ["msgin5g.base", "msgin5g.late", "msgin5g.core"]},
        {"msgin5g.base": ["msgin5g.base"], "msgin5g.core": ["msgin5g.core", "msgin5g.late"]},
    ],
)
def test_what_is_linked_does_what_its_modules_do(files):
    modules, _ = linked(files)
    core = modules["msgin5g.core"]
    doubled, found, shared, add = core.use(4)
    assert (doubled, found, shared, add(2)) == ([8, 18], [1], "shared", 6)
    thing = core.Thing()
    assert (thing.twice(7), thing.double, thing.limit, found) == (21, 5, 8, [1, 7])
    core.reset()
    assert core.use(1)[1] == []


def test_names_that_are_private_to_two_modules_stay_apart_and_what_nobody_uses_goes():
    files = {"msgin5g.core": ["msgin5g.core", "msgin5g.base", "msgin5g.late"]}
    modules, made = linked(files)
    text = made["msgin5g.core"].text
    assert "Text" not in text and "comment" not in text
    assert text.count("import") == 1  # of sys
    names = modules["msgin5g.core"].__dict__
    assert names["_found"] == [1] and "Thing" in names and "use" in names
    # Nobody uses the _found of base; what is used has a name that is nowhere else.
    assert not {"double", "helper", "other", "_SHARED"} & set(names)
    assert [value for value in names.values() if value == {}] == []


def test_what_only_another_file_uses_is_there():
    files = {
        "msgin5g.core": ["msgin5g.core", "msgin5g.base"],
        "msgin5g.late": ["msgin5g.late", "msgin5g.last"],
    }
    last = "from msgin5g.base import _only, _LIMIT\n\n\ndef end():\n    return _only(_LIMIT)\n"
    base = BASE + "\n\n_FEW = const(2)\n_LIMIT = [_FEW]\n\n\ndef _only(n):\n    return n * _FEW\n"
    late = LATE + "\n\ndef later():\n    from msgin5g.last import end\n\n    return end()\n"
    core = CORE + "\n\ndef late():\n    from msgin5g.late import later\n\n    return later()\n"
    sources = {
        "msgin5g.core": core,
        "msgin5g.base": base,
        "msgin5g.late": late,
        "msgin5g.last": last,
    }
    modules, made = linked(files, sources)
    assert modules["msgin5g.core"].late() == [2, 2]
    assert "* _" not in made["msgin5g.core"].text.split("class Thing")[0]
    assert "= const(2)" in made["msgin5g.late"].text


def test_what_cannot_be_linked_is_said():
    files = {"msgin5g.core": ["msgin5g.core", "msgin5g.base", "msgin5g.late"]}
    for module, was, becomes, expected in (
        ("msgin5g.late", "import double, unload", "import triple", "base does not define triple"),
        ("msgin5g.late", "def other():", "print()\n\n\ndef other():", "late:9: only definitions"),
        ("msgin5g.core", "helped =", "helper =", "core:25: helper is imported and then assigned"),
        ("msgin5g.late", 'other():\n    unload("late")', THING, "define Thing"),
    ):
        assert was in SOURCES[module]
        sources = {**SOURCES, module: SOURCES[module].replace(was, becomes)}
        with pytest.raises(LinkError, match=expected):
            linked(files, sources)


def test_a_traceback_on_micropython_leads_to_the_source():
    firmware = link_firmware("ue")
    code = f"import sys; sys.path[:] = [{str(firmware)!r}]; import msgin5g.main as m\n"
    code += "m.main([])"
    done = subprocess.run(
        [interpreter_command(), "-c", code], capture_output=True, text=True, check=False
    )
    assert "TypeError: " in done.stdout, done
    places = [Sources("ue").of_line(line) for line in done.stdout.splitlines()]
    places = [place for place in places if place]
    names = [place.partition(", ")[2] for place in places]
    assert names[:3] == ["main", "open_node", "compose"], done.stdout
    for place, text in zip(
        [*places[:3], places[-1]], ("open_node(", "compose(", "load(", "open(")
    ):
        file, _, line = place.partition(",")[0].partition(":")
        assert text in (ROOT / file).read_text().splitlines()[int(line) - 1], place


def test_every_line_of_every_role_comes_from_somewhere():
    for role in ROLES:
        target = link_firmware(role)
        assert lines_of(target).exists()
        sources = Sources(role)
        for file, modules in modules_by_file(role).items():
            first = sources.of(file, 1)
            assert first, (role, file)
            assert len(modules) > 1 or modules[0].rpartition(".")[2] in first
            assert sources.of(file, 0) is None and sources.of(file, 99999) is None


@pytest.mark.parametrize("role", ["relay", "gateway"])
def test_a_ue_is_configured_by_linked_roles(role, tmp_path):
    mine = host()
    with ScmProcess(tmp_path) as scm:
        scm.put("ue-7", document())
        links = {document()["valUeIds"]["uris"][0]: (mine, PORT)}
        make = relay if role == "relay" else gateway
        more = {"own_configuration": True} if role == "relay" else {}
        with make(tmp_path, scm.address, links, **more) as hop:
            with ue(tmp_path, hop.address, host=mine) as node:
                assert node.event("applied")["configuration"]
                assert node.counters() == {}
            if more:
                assert hop.event("rejected")["code"] == "4.04"  # it has no document of its own


def test_attributes_have_short_names_where_only_the_firmware_looks_at_them():
    sources = {
        "msgin5g.base": """
class Thing:
    spread_ms = 3

    def __init__(self):
        self.retransmit_at = 1
        self.named = 2
        self.socket = 4
        self.declared = 5

    def longest(self):
        return self.retransmit_at + self.spread_ms + self.named + self.socket
""",
        "msgin5g.core": """
from msgin5g.base import Thing


def use():
    thing = Thing()
    thing.retransmit_at += 1
    return thing.longest(), getattr(thing, "named"), "".join(())
""",
        "msgin5g.roles.ping": "class Ping:\n    def declared(self):\n        return 1\n",
    }
    files = {
        "msgin5g.core": ["msgin5g.core", "msgin5g.base"],
        "msgin5g.ping": ["msgin5g.roles.ping"],
    }
    modules, made = linked(files, sources)
    assert modules["msgin5g.core"].use() == (11, 2, "")
    text = made["msgin5g.core"].text
    for name in ("spread_ms", "retransmit_at", "longest"):
        assert name not in text, name
    # Looked up by a string; what a link has, too; of a class for applications; of str.
    for name in (".named", ".socket", ".declared", ".join"):
        assert name in text, name
