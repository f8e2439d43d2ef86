"""The documentation: links resolve, files and commands exist, and no setting is missing."""

import itertools
import json
import re
import shlex

import click
import pytest
from docs_pages import (
    CODE,
    PAGES,
    firmware_source,
    name_of,
    settings_of_the_firmware,
    spans,
    text_of,
)

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.device.settings_check import checked_secrets, checked_settings
from msgin5g_tools.paths import FIRMWARE, ROOT
from msgin5g_tools.scm_server import json_form

_README_LINES = 170
_LINE_SIZE = 120

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_JSON = re.compile(r"^ {4}\{.*\n(?: {4}.*\n)*", re.MULTILINE)
# A path in backticks that ends in / or in a file name with one of our endings.
_PATH = re.compile(r"`((?:[\w.*-]+/)+(?:[\w.*-]+\.(?:py|md|json|toml|mpy))?)`")
_PLACEHOLDER = re.compile(r"_[A-Z]+\.")  # test_COMMAND.py
_ROOTS = (ROOT, FIRMWARE, FIRMWARE / "msgin5g", ROOT / "host_tests")
_ELSEWHERE = ("ports/", "build/", "mpy-cross/")  # of MicroPython's tree, or made by us
_ROW = re.compile(r"^\| `([a-z_.]+)` \| (.*?) \| (.*?) \|", re.MULTILINE)
_COUNT = re.compile(r'\b(?:count|ProtectionError)\("([a-z_]+)"')
_EVENT = re.compile(r'(?:"event": |\b(?:tell|emit|note)\((?:now, )?)"([a-z_]+)"')
_MESSAGE = re.compile(r"^\| `([^|]*?)`.*?\|", re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# In running text, of docker, pip, pytest, mpremote, http.server, and of our checks.
_OF_OTHERS = {"--network", "--constraint", "--randomly-seed", "--target", "--directory", "--write"}
_SHORTEST = 6  # letters of a piece of a message that must be in the source


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    seen = {}
    for heading in _HEADING.findall(CODE.sub("", text_of(page))):
        words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        n = seen[words] = seen.get(words, -1) + 1
        yield f"{words}-{n}" if n else words


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_resolve(page):
    for target in _LINK.findall(CODE.sub("", text_of(page))):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in set(anchors(linked)), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_short(page):
    lines = text_of(page).splitlines()
    assert [line for line in lines if len(line) > _LINE_SIZE] == []
    if name_of(page) == "README.md":
        assert len(lines) <= _README_LINES


def test_the_pages_have_links_anchors_and_files_to_check():
    targets = [t for page in PAGES for t in _LINK.findall(CODE.sub("", text_of(page)))]
    assert len(targets) > 60 and len([t for t in targets if "#" in t]) > 10
    assert sum(len(_PATH.findall(text_of(page))) for page in PAGES) > 60


def exists(path):
    return any(next(iter(root.glob(path.rstrip("/"))), None) for root in _ROOTS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page):
    if name_of(page) == "CHANGELOG.md":
        return  # which names what was removed
    named = {path for path in _PATH.findall(text_of(page)) if not path.startswith(_ELSEWHERE)}
    named = {path for path in named if not _PLACEHOLDER.search(path)}
    assert sorted(path for path in named if not exists(path)) == []


def test_the_readme_has_an_index_of_all_pages():
    linked = set(_LINK.findall(text_of(ROOT / "README.md")))
    pages = {name_of(page) for page in PAGES if page.parent in (ROOT / "docs", ROOT / "boards")}
    assert pages <= linked


def documented_commands():
    """(page, words) of each `msgin5g ...` in the code blocks of the pages."""
    for page in PAGES:
        for line in CODE.findall(text_of(page)):
            for part in re.split(r" [|&] | +#| {2,}\(", line.strip().removeprefix("$ ")):
                if part.startswith("msgin5g ") and "<" not in part:
                    yield name_of(page), shlex.split(part.rstrip(" &"))[1:]


def test_commands_and_options_exist():
    commands = list(documented_commands())
    assert len(commands) > 20
    for page, words in commands:
        command = msgin5g
        context = click.Context(msgin5g)
        while isinstance(command, click.Group):
            name, *words = words
            command = command.get_command(context, name)
            assert command, (page, name)
        known = set(itertools.chain(*(parameter.opts for parameter in command.params)))
        known |= set(itertools.chain(*(p.secondary_opts for p in command.params)))
        options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known | {"--help"}, (page, command.name)


def test_targets_of_make_and_modules_exist():
    makefile = text_of(ROOT / "Makefile")
    n_targets = n_modules = 0
    for page in PAGES:
        for target in re.findall(r"(?:^ {4}|`)make ([a-z-]+)(?= |`|$)", text_of(page), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), (name_of(page), target)
            n_targets += 1
        for module in re.findall(r"python -m msgin5g_tools([\w.]+)", text_of(page)):
            file = ROOT / "tools" / (module.strip(".").replace(".", "/") + ".py")
            assert file.exists(), (name_of(page), module)
            n_modules += 1
    assert n_targets > 10 and n_modules > 2


def test_every_setting_is_documented_with_its_range_and_default():
    rows = {row[0]: row[1:] for row in _ROW.findall(text_of(ROOT / "docs/settings.md"))}
    found = settings_of_the_firmware()
    assert len(found) > 60
    assert sorted(rows.keys() ^ found.keys()) == []
    for key, (kind, rule) in found.items():
        if kind is None:  # an object or a list, whose row is in words
            continue
        kind_of_row, default = rows[key]
        assert kind_of_row == range_text(kind, rule.split(" ")), key
        expected = default_text(kind, rule.split(" "))
        # An object may be required, and the text then says so.
        assert default.strip("`") == expected or (expected == "none" and default != ""), key
        if expected != "none":
            assert default.split(";")[0].strip("`") == expected, key


def range_text(kind, rule):
    """The second cell of a row, from a line of the firmware's tables."""
    if kind == "c":
        return rule[0] if rule[0].isdigit() and len(rule) == 1 else _choices(rule)
    if kind == "f":
        return "true or false"
    if kind == "a":
        return f"`[host, port]`, port {rule[0]} to 65535"
    if kind == "n":
        return f"whole number, {rule[0]} to {rule[1]}"
    if kind == "h":
        return f"{rule[0]} to {rule[1]} bytes in hex"
    return f"{'URI' if kind == 'u' else 'text'}, {rule[0]} to {rule[1]} bytes"


def _choices(rule):
    return ", ".join(word if word.isdigit() else f"`{word}`" for word in rule)


def default_text(kind, rule):
    """The third cell of a row, "none" where the table has no default."""
    if kind == "c":
        return rule[0]
    if kind == "f":
        return "true" if "1" in rule else "false"
    return rule[2] if len(rule) > 2 else "none"


def test_examples_of_settings_secrets_and_documents_are_good():
    n_checked = 0
    for page in PAGES:
        for block in _JSON.findall(text_of(page)):
            values = json.loads(block)
            n_checked += 1
            if "documents" in values:
                assert json_form.read(block, "msgin5g")[1:] == ([], [])
            elif "ue_id" in values:
                assert checked_settings(block.encode())[1].unknown == []
            else:
                assert checked_secrets(block.encode())
    assert n_checked >= 5


def test_every_counter_is_documented():
    counters = set(_COUNT.findall(firmware_source()))
    assert len(counters) > 25
    page = text_of(ROOT / "docs/operation.md")
    named = set(re.findall(r"`([a-z_]+)`", page[page.index("## Counters") :]))
    assert counters - named == set()
    assert named - counters - {"stopped", "strict_codes"} == set()


def test_every_event_is_documented():
    events = set(_EVENT.findall(firmware_source()))
    assert len(events) > 15
    page = text_of(ROOT / "docs/operation.md")
    table = page[page.index("## Events") : page.index("## Counters")]
    assert events - set(re.findall(r"`([a-z_]+)`", table)) == set()


def test_messages_are_those_of_the_code():
    """Each message that troubleshooting names is in the sources, its variable parts left out."""
    files = [*FIRMWARE.rglob("*.py"), *(ROOT / "tools").rglob("*.py"), *ROOT.glob("tools/*.sh")]
    source = "\n".join(file.read_text() for file in files)
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # a text over several lines
    source = source.replace("{" + "}", "")
    page = text_of(ROOT / "docs/troubleshooting.md")
    messages = _MESSAGE.findall(page)
    assert len(messages) > 50
    for message in messages:
        for piece in re.split(r"<[^>]*>|: |, ", message):
            piece = piece.strip()
            if len(piece) >= _SHORTEST:
                assert piece in source, message


def options_of(command):
    """Each option of a command and of the commands below it."""
    found = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found |= options_of(command.get_command(context, name))
    return found


def unknown_options(text, known):
    """The options in the running text of a page that nothing has."""
    return {option for span in spans(text) for option in _OPTION.findall(span)} - known


def commands_below(command, name):
    """(name, command) of each command that does something."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        yield from commands_below(command.get_command(context, each), f"{name} {each}")


def undocumented(text):
    """The commands, and the long options of each, that a text does not have."""
    for name, command in commands_below(msgin5g, "msgin5g"):
        words = name.split()
        # `msgin5g keys list`, `rotate` and `revoke` may follow each other.
        if not re.search(rf"\b{words[0]} {words[1]}\b", text) or f"{words[-1]}" not in text:
            yield name
        for option in {o for p in command.params for o in p.opts if o.startswith("--")}:
            if not re.search(rf"{option}(?![\w-])", text):
                yield f"{name} {option}"


def test_every_command_and_every_option_is_documented():
    text = "".join(text_of(page) for page in PAGES if name_of(page) != "CHANGELOG.md")
    assert sorted(undocumented(text)) == []
    gone = re.sub(r"--limit\b", "", text.replace("msgin5g wireshark", "wireshark"))
    assert sorted(undocumented(gone)) == ["msgin5g fleet --limit", "msgin5g wireshark"]


def test_an_option_in_running_text_exists():
    known = options_of(msgin5g) | _OF_OTHERS | {"--help"}
    assert len(known) > 60
    assert unknown_options("With `msgin5g run --gone` and `--json`", known) == {"--gone"}
    # What a changelog says of the past may be gone.
    pages = [page for page in PAGES if name_of(page) != "CHANGELOG.md"]
    gone = [(name_of(page), unknown_options(text_of(page), known)) for page in pages]
    assert [(page, options) for page, options in gone if options] == []


def test_every_event_of_the_table_exists():
    source = "".join(file.read_text() for file in FIRMWARE.rglob("*.py"))
    page = text_of(ROOT / "docs/operation.md")
    table = page[page.index("## Events") : page.index("## Counters")]
    events = re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE)
    assert len(events) > 15
    assert [event for event in events if f'"{event}"' not in source] == []
