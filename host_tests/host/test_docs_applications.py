"""The code of docs/applications.md, each block run as it stands, and docs/api.md."""

import functools

import pytest

from msgin5g_testkit import Network
from msgin5g_tools.checks import api
from msgin5g_tools.paths import ROOT

UE_ID = "urn:x-msgin5g:ue:0007"
_PYTHON = ("def ", "async def ", "import ")


def applications():
    """The examples of the page: what begins with an import or belongs together."""
    page = (ROOT / "docs" / "applications.md").read_text()
    found, lines = [], []
    for line in [*page.splitlines(), "end"]:
        if line.startswith("    ") or (not line and lines):
            lines.append(line[4:])
        elif lines:
            text = "\n".join(lines).strip("\n") + "\n"
            if text.startswith(_PYTHON):
                found.append(text)
            lines = []
    return found


class Running:
    """An example of the page, on a virtual board in a network."""

    def __init__(self, folder, number, configuration, **settings):
        (folder / "example.py").write_text(applications()[number])
        self.net = Network(loss=0.2, seed=3)
        self.server = self.net.server({UE_ID: configuration})
        self.ue = self.net.ue(UE_ID, application="example", **settings)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Running, with its file in a folder of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    return functools.partial(Running, tmp_path)


def test_every_example_is_here():
    begin = [text.splitlines()[0] for text in applications()]
    assert begin == [
        "def changed(node):",
        "def declare(schema):",
        "import asyncio",
        "def main(node):",
        "def not_a_port(value):",
        "import asyncio",
    ]


def test_it_is_told_of_its_configuration(runs, capsys):
    at = runs(0, {"Segment-size": 100})
    at.ue.wait("applied")
    at.net.sleep(1)
    printed = capsys.readouterr().out
    assert "app: I have {" in printed and "'Segment-size': 100" in printed


def test_it_reads_a_key_of_its_own(runs, capsys):
    at = runs(1, {})
    at.ue.wait("applied")
    at.net.sleep(600)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "app: every 60 s" and 9 <= printed.count("app: measured") <= 12
    for wrong in (0, "often"):
        at.server.serve(UE_ID, {"interval-s": wrong})
        assert "interval-s" in at.ue.wait("refused")["reasons"][0]
        assert at.ue.configuration["interval-s"] == 60
    at.server.serve(UE_ID, {"interval-s": 2})
    at.ue.wait("applied")
    at.net.sleep(100)
    printed = capsys.readouterr().out.splitlines()
    assert "app: every 2 s" in printed and printed.count("app: measured") > 15
    assert at.ue.n_boots == 1, "without a restart"


def test_it_registers_and_confirms_or_goes_back(runs, capsys):
    at = runs(2, {"interval-s": 10}, confirm="application")
    at.ue.wait("confirmed")
    assert "app: registered with coap://192.0.2.1:5683" in capsys.readouterr().out
    elsewhere = {"MSGin5G-Server-address": "coap://192.0.2.99", "interval-s": 20}
    at.server.serve(UE_ID, elsewhere)
    at.ue.wait("rolled_back")
    assert at.ue.configuration["interval-s"] == 10


def test_it_has_a_loop_of_its_own(runs, capsys):
    at = runs(3, {"Segment-size": 64})
    at.net.at(60_000, lambda: at.server.serve(UE_ID, {"Segment-size": 65}))
    at.net.sleep(200)
    assert capsys.readouterr().out.count("app: use {") == 2


@pytest.mark.parametrize(
    "wrong,reason",
    [
        ({"name": "a", "port": 5683}, "port: is a port of CoAP"),
        ({"name": "a", "port": 0}, "port: 0, less than 1"),
        ({"name": "x" * 33}, "name: size 33, more than 32"),
        ({}, "name: missing"),
        ({"name": "a", "blink-ms": 50.0}, "blink-ms: must be of type int"),
    ],
)
def test_it_declares_its_keys(runs, wrong, reason):
    at = runs(4, {"name": "cellar", "port": 7000})
    at.ue.wait("applied")
    assert at.ue.configuration["blink-ms"] == 500
    at.server.serve(UE_ID, wrong)
    assert at.ue.wait("refused")["reasons"] == [reason]


def test_it_sleeps_between_fetches_and_asks_for_news_only(runs, capsys):
    settings = {"confirm": "application", "observe": False}
    at = runs(5, {"sleep-s": 600}, **settings)
    at.ue.wait("applied")
    # A wake is a boot with the RTC's memory, the stored configuration and its ETag.
    assert at.net.run(lambda: at.ue.n_boots == 4, limit_s=3 * 660)
    at.ue.wait("unchanged")
    printed = capsys.readouterr().out
    assert "app: measurement 3\n" in printed and at.ue.configuration["sleep-s"] == 600
    assert at.server.n_bodies == 1, "2.03 from then on"
    assert at.ue.node is None or not at.ue.node.on_trial
    at.server.serve(UE_ID, {"sleep-s": 60})
    at.ue.wait("applied")
    assert at.ue.configuration["sleep-s"] == 60


def test_the_page_of_the_api_is_that_of_the_docstrings():
    assert api.PAGE.read_text() == api.page(), "python -m msgin5g_tools.checks.api --write"


def test_a_public_name_without_a_docstring_is_found(monkeypatch, tmp_path):
    text = (ROOT / "firmware/msgin5g/services/ping.py").read_text()
    bare = tmp_path / "ping.py"
    line = '"""Whether the server has answered; None while it may still do so."""\n'
    assert line in text
    bare.write_text(text.replace(line, "\n"))
    monkeypatch.setattr(api, "PING", bare)
    with pytest.raises(api.MissingDocstring, match=r"ping\.py: ping\.answered has no docstring"):
        api.page()
