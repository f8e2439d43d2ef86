"""The command `msgin5g conform`: its list and page, its reports, its mistakes."""

import ast
import asyncio
import json
from xml.etree import ElementTree

import pytest
from addresses import host
from click.testing import CliRunner
from conform_setup import EXAMPLES
from peers import ROOT

from msgin5g_tools.commands.conform import conform
from msgin5g_tools.conform import report
from msgin5g_tools.conform.check import Check, Checks, Failure, Row, perform_all, select
from msgin5g_tools.conform.case import Case
from msgin5g_tools.conform.roles import ROLES

_PAGE = ROOT / "docs" / "conformance.md"


def _run(*arguments):
    return CliRunner().invoke(conform, [str(argument) for argument in arguments])


@pytest.mark.parametrize("role", ROLES)
def test_the_page_has_the_list_of_every_check(role):
    listed = _run(role, "--list")
    assert listed.exit_code == 0
    assert listed.stdout in _PAGE.read_text(), f"msgin5g conform {role} --list"


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_on_the_page(role):
    page = _PAGE.read_text()
    for parameter in conform.commands[role].params:
        assert all(f"{name}" in page for name in parameter.opts if name.startswith("--")), (
            parameter
        )


def test_the_kit_shares_no_code_with_the_firmware_and_the_server():
    files = sorted((ROOT / "tools" / "conform").glob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                assert parts[0] not in ("msgin5g", "aiocoap"), file
                assert parts[:2] != ["msgin5g_tools", "scm_server"], file


def test_a_clause_has_what_is_below_it_and_no_other():
    names = {check.clause for check in select(ROLES["server"].checks, ["RFC 7252 5.4"])}
    assert names == {"RFC 7252 5.4.1", "RFC 7252 5.4.3", "RFC 7252 5.4.5"}
    assert [c.name for c in select(ROLES["ue"].checks, ["ping"])] == ["ping"]


def _check(clause="RFC 7252 4.3", name="ping"):
    return Check("server", name, clause, "A ping gets a Reset.", None)


_ROWS = [
    Row(_check(), "pass", "", ["CON empty"], ["RST"]),
    Row(_check(name="bad"), "fail", "4.04 <&> in place of 2.05", ["CON GET"], ["ACK \x1b[2J"]),
    Row(_check(name="none"), "not applicable", "give --denied"),
]


def test_the_table_has_one_line_for_each_check_and_no_control_character():
    lines = []
    table = report.Table([row.check for row in _ROWS], False, lines.append)
    for row in _ROWS:
        table.row(row)
    assert len(lines) == len(_ROWS)
    assert lines[0].split() == ["pass", "RFC", "7252", "4.3", "ping", "CON", "empty", "RST"]
    assert "\x1b" not in "".join(lines)
    assert report.summary(_ROWS) == (
        "3 checks: 1 passed, 1 failed, 1 not applicable, 0 inconclusive"
    )


def test_junit_has_failures_and_what_was_left_out():
    suite = ElementTree.fromstring(report.as_junit("server", _ROWS))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase[@name='bad']/failure")
    assert failure.get("message") == "4.04 <&> in place of 2.05"
    assert suite.find("testcase[@name='none']/skipped").get("message").endswith("give --denied")


def test_json_has_every_row():
    made = json.loads(report.as_json("server", _ROWS))
    assert [row["verdict"] for row in made["checks"]] == ["pass", "fail", "not applicable"]
    assert made["summary"]["fail"] == 1


@pytest.mark.parametrize(("should", "verdict"), [(False, "fail"), (True, "inconclusive")])
def test_what_a_clause_only_recommends_is_no_failure(should, verdict):
    checks = Checks("server")

    @checks("RFC 7252 5.2.3", "A NON is answered with a NON.", should=should)
    async def some_check(case):
        raise Failure("a CON")

    class Bench:
        profile = None

    async def run():
        return await perform_all(checks.all, lambda: Case(Bench()), lambda c: [], 1, print)

    assert [row.verdict for row in asyncio.run(run())] == [verdict]


def test_nobody_there_is_one_line():
    done = _run("server", "--address", f"{host()}:5683", "--only", "ping")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("no answer to a GET within 3 s")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["server"], "Missing option '--address'"),
        (["server", "--address", "nowhere"], "'nowhere': write HOST:PORT"),
        (["server", "--address", "h:70000"], "write HOST:PORT, the port 1 to 65535"),
        (["server", "--only", "RFC 1", "--list"], "no clause and no check: see --list"),
        (["relay", "--address", "127.0.0.1:1", "--ue", "urn:x:1"], "1 --ue and 0 --ue-bind"),
        (["relay", "--address", "127.0.0.1:1"], "Missing option '--ue'"),
        (["ue", "--address", "127.0.0.1:1", "--ue", "urn:x:1"], "Missing option '--bind'"),
        (["server", "--profile", "/no/such/file"], "/no/such/file: No such file"),
    ],
)
def test_a_mistake_is_one_line(arguments, part):
    done = _run(*arguments)
    assert done.exit_code == 2
    assert part in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("p.toml", "adress = 'h:1'", "unknown key 'adress'"),
        ("p.toml", "address =", "not TOML"),
        ("p.json", '{"address": "h:1", "max_age": 1}', "unknown key 'max_age'"),
        ("p.json", "[1]", "must be an object"),
    ],
)
def test_a_mistake_in_a_profile_is_one_line(tmp_path, name, text, part):
    path = tmp_path / name
    path.write_text(text)
    done = _run("server", "--profile", path)
    assert done.exit_code == 2
    assert part in done.stderr.splitlines()[-1]


def test_a_profile_in_json_says_the_same_as_one_in_toml(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"address": f"{host()}:5683", "ue": "urn:x:1"}))
    done = _run("server", "--profile", path, "--only", "ping")
    assert done.exit_code == 1
    assert "no answer to a GET" in done.stderr


def test_every_example_is_on_the_page():
    page = _PAGE.read_text()
    for path in EXAMPLES.iterdir():
        assert f"examples/conform/{path.name}" in page, path.name
