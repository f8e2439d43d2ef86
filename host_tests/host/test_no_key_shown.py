"""No key, nor any 8 bytes of one, is in anything that a run, a crash, the REPL or a log prints."""

import asyncio
import base64
import json
import subprocess
import sys
import traceback
from contextlib import contextmanager

import pytest
from addresses import host
from board_tools import Terminal, mpremote, wait_until
from flash_setup import CONFIG, msgin5g, ue_id, ue_settings
from key_search import keys_of, pieces_shown

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.oscore_scenario import OscoreScenario
from msgin5g_tools.demo.processes import Processes
from msgin5g_tools.demo.report import OscoreJsonReport, OscoreReport
from msgin5g_tools.device.board_key import with_key
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.errors import NOT_CONFIGURED, device_error
from msgin5g_tools.device.flashing import Job
from msgin5g_tools.device.server_keys import KeySource, open_contexts
from msgin5g_tools.scm_server.contexts import UE
from msgin5g_tools.scm_server.store import Store

# An application with everything of the context in its locals, which fails.
_APPLICATION = """
import json
def crash(context, key):
    with open("/secrets.json") as file:
        secret = json.load(file)["security"]["master_secret"]
    both = (context, key, secret)
    raise ValueError("the application has failed")
def step(node, now):
    if node.configuration:
        from msgin5g import node as running
        context = running.current.role.endpoint.security.context
        crash(context, context.sender_key)
    return 100
"""

_REPL = (
    "from msgin5g import repl, node; from msgin5g.settings import load",
    "repl.status()",
    "repl.history()",
    "repl.config()",
    "repl.why()",
    "repl.links()",
    "repl.diff()",
    "print(node.current, node.current.role, node.current.about)",
    "security = node.current.role.endpoint.security",
    "print(security, security.context, security.context.sequence, node.current.ue.client)",
    "print(load('/settings.json'))",
    "import app; app.step(node.current, 0)",
    "security.context.nonce(True, None)",
    "repl.trace(1)",
    "repl.factory_reset('erase')",
)


def secrets_in(db):
    """Every key of a database, and those that are made of them."""
    found = []
    with open_contexts(db) as contexts:
        for row in contexts.list():
            context = contexts.find_number(row.number)
            if context:
                found += keys_of(context.secret, context.kid, context.server_id)
    assert len(found) >= 3
    return found


def check(secrets, printed):
    for name, text in printed.items():
        assert not pieces_shown(secrets, text), name


def test_the_search_finds_a_key_in_each_form():
    key = bytes.fromhex("a9d1c7530be4f8126dc3905e7af1b268")
    for shown in (
        key.hex(), key.hex().upper(), repr(key), repr(key[3:11]), str(list(key)),
        base64.b64encode(key).decode(), base64.b64encode(b"x" + key).decode(), key[8:].hex(),
    ):  # fmt: skip
        assert pieces_shown([key], f"before {shown} after"), shown
    assert not pieces_shown([key], key[:7].hex() + " " + repr(key[9:]))


@pytest.mark.parametrize("report", [OscoreReport, OscoreJsonReport])
def test_a_whole_run_shows_no_key(report, capsys):
    async def run():
        async with Processes(actors.UES) as processes:
            made = report()
            scenario = OscoreScenario(processes, made.progress, made.message)
            made.begin(scenario)
            await scenario.run()
            made.end(scenario, processes.seconds(), processes.logs())
            assert scenario.errors == []
            printed = processes.printed()
            printed["report"] = "".join(capsys.readouterr())
            return secrets_in(processes.directory / "scm.db"), printed

    secrets, printed = asyncio.run(run())
    assert len(secrets) == 9 and len(printed) > 10
    assert any("applied" in text for text in printed.values())
    check(secrets, printed)


@contextmanager
def _serving(db, address, log):
    """The server as a process of its own, with all its logs."""
    command = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "scm-server"]
    command += ["--bind", f"{address}:5683", "--db", str(db), "--require-security", "--verbose"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: f"{address}:5683" in log.read_text(), 20)
        yield
    finally:
        process.terminate()
        process.wait(20)


def test_no_command_log_crash_or_repl_shows_a_key(tmp_path):
    db, server, ue = tmp_path / "scm.db", host(), host()
    document = {
        "ueConfigDocId": "ue-0", "valServiceDomain": "example.com", "ues": [ue_id(0)],
        "configData": CONFIG,
    }  # fmt: skip
    (tmp_path / "documents.json").write_text(json.dumps({"documents": [document]}))
    printed = {"import": msgin5g("documents", "import", tmp_path / "documents.json", "--db", db)}
    secrets = set()

    def run(name, *arguments, status=0):
        printed[name] = msgin5g(*arguments, status=status, timeout=180)
        with open_contexts(db) as contexts:
            for row in contexts.list():
                context = contexts.find_number(row.number)
                if context:
                    secrets.update(keys_of(context.secret, context.kid, context.server_id))
        return printed[name]

    settings = {
        **ue_settings(0, next_hop=[server, 5683], next_hop_is="server", bind=[ue, 65401]),
        "security": {"mode": "oscore"}, "trace": True,
    }  # fmt: skip
    with _serving(db, server, tmp_path / "log"), VirtualBoard() as board:
        table = tmp_path / "boards.json"
        table.write_text(json.dumps([{"port": board.port, "settings": settings}]))
        provision = ["provision", table, "--db", db, "--wait", "50"]
        run("dry run", *provision, "--dry-run")
        assert "configured after" in run("provision", *provision)
        run("again", *provision, "--json")
        at = ["--port", board.port]
        for name, *more in (
            ("flash", *at), ("doctor", *at), ("doctor", *at, "--json"),
            ("monitor", *at, "--reset", "--for", "4"),
            ("keys", "list", "--db", db), ("keys", "list", "--db", db, "--json"),
            ("keys", "rotate", ue_id(0), "--db", db, "--json"),
            ("documents", "list", "--db", db), ("documents", "export", "--db", db),
        ):  # fmt: skip
            run(f"{name} {more}", name, *more)
        assert "started" in "".join(text for name, text in printed.items() if "monitor" in name)
        run("rotate", "keys", "rotate", ue_id(0), "--db", db, *at, "--wait", "50")
        with Terminal(board) as terminal:
            terminal.presses(b"\x03\x03")
            (tmp_path / "app.py").write_text(_APPLICATION)
        mpremote(board, "cp", tmp_path / "app.py", ":app.py")
        mpremote(board, "reset")
        board.output.wait_for("crashed .*the application has failed", 40)
        with Terminal(board) as terminal:
            terminal.presses(b"\x03\x03")
            printed["REPL"] = "".join(terminal.types(line) for line in _REPL)
        assert "OSCORE" in printed["REPL"] and "ValueError" in printed["REPL"]
        # A key that the server refuses; one whose numbers are lost; one that is damaged.
        run("revoke", "keys", "revoke", ue_id(0), "--db", db)
        run("refused", "flash", *at, "--watch", "--wait", "4", status=NOT_CONFIGURED)
        mpremote(board, "rm", "oscore-a", "oscore-b")
        run("no numbers", "flash", *at, "--watch", status=NOT_CONFIGURED)
        run("doctor without numbers", "doctor", *at, status=1)
        program = "f = open('secrets.json'); s = f.read()[:-9]; f = open('secrets.json', 'w');"
        mpremote(board, "exec", program + " f.write(s); f.close()")
        run("damaged", "flash", *at, "--watch", status=NOT_CONFIGURED)
        run("doctor of damage", "doctor", *at, status=1)
        assert "configured after" in run("mended", *provision)
        printed["board"] = board.output.text()
    printed["server"] = (tmp_path / "log").read_text()
    assert len(secrets) >= 9 and f"key of {ue_id(0)}" in printed["server"]
    check(secrets, printed)


def test_what_holds_a_key_does_not_show_it_in_a_traceback_with_locals(tmp_path):
    Store(tmp_path / "scm.db").close()
    source = KeySource(tmp_path / "scm.db", UE, ue_id(0))
    key = source.new_key()
    file = file_of("secrets.json", with_key(None, key))
    job = Job("/dev/x", "ue", b"{}", file.data, source)
    with open_contexts(tmp_path / "scm.db") as contexts:
        context = contexts.find(key.sender_id)
    numbers = key.new_numbers(b"board")

    def crash(key, file, job, context, source, numbers):
        raise ValueError("failed")

    with pytest.raises(ValueError) as raised:
        crash(key, file, job, context, source, numbers)
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    text = "".join(list(shown.format())[-1:] + [str(shown.stack[-1].locals)])
    assert "BoardKey" in text and "Context" in text
    secrets = keys_of(key.master_secret, key.sender_id, key.recipient_id)
    assert not pieces_shown(secrets, text)
    assert not pieces_shown(secrets, str(device_error(raised.value)))
