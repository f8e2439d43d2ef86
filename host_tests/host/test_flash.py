"""msgin5g flash with both tools, against virtual boards, a relay and a server on loopback."""

import builtins
import json
import os
import pty
import re
from types import SimpleNamespace

import pytest
from board_tools import Terminal, mpremote
from click.testing import CliRunner
from flash_setup import Site, msgin5g, put, ue_file

import msgin5g_tools.commands.flash
from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import bundle, programs
from msgin5g_tools.device.errors import NOT_CONFIGURED, WRONG_INPUT, DeviceError

_CONFIGURED = re.compile(r"\d+ files copied, configured after \d+\.\d s\n")


@pytest.fixture
def site(tmp_path):
    with Site(tmp_path, 8) as started:
        yield started


@pytest.fixture
def board():
    with VirtualBoard(heap="192K") as started:
        yield started


@pytest.mark.parametrize("tool", ["mpremote", "ampy"])
def test_an_empty_board_ends_configured_and_then_nothing_is_copied(tool, site, board, tmp_path):
    settings = ue_file(tmp_path, 0)
    (tmp_path / "secrets").write_text('{"psk": "0102"}')
    arguments = ["flash", "--board", "RPI_PICO_W", "--port", board.port, "--tool", tool]
    arguments += ["--settings", settings, "--secrets", tmp_path / "secrets"]
    said = msgin5g(*arguments)
    assert _CONFIGURED.search(said), said
    assert board.resets[-1] == "hard reset"
    listing = mpremote(board, "exec", "import os; print(sorted(os.listdir()))")
    assert set(eval(listing)) >= {"main.py", "msgin5g", "secrets.json", "settings.json"}
    assert not re.search(r"\.new|\.tmp", listing)
    assert json.loads(mpremote(board, "cat", "settings.json")) == json.loads(settings.read_text())

    said = msgin5g(*arguments)
    assert "nothing to copy, ue running after" in said, said
    said = msgin5g(*arguments, "--watch")
    assert re.search(r"nothing to copy, configured after \d+\.\d s\n", said), said


def test_a_role_gets_what_it_needs_and_a_change_of_role_removes_the_rest(board, tmp_path):
    relay = tmp_path / "relay.json"
    relay.write_text('{"role": "relay", "ue_id": "u:r", "bind": ["127.0.0.1", 0],'
                     ' "server": {"address": ["127.0.0.1", 9]}}')  # fmt: skip
    said = msgin5g("flash", "--port", board.port, "--settings", relay)
    assert re.search(r"files copied, relay running after \d+\.\d s", said), said
    files = {"ue": _paths("ue"), "relay": _paths("relay")}
    assert "msgin5g/relay.mpy" in files["relay"] - files["ue"]
    assert _on_board(board) == files["relay"]

    with Terminal(board) as terminal:
        terminal.presses(b"\x03\x03")
        terminal.types("f = open('/msgin5g/old.py', 'w'); n = f.write('1/0'); f.close()")
    said = msgin5g("flash", "--port", board.port, "--settings", ue_file(tmp_path, 0), "--dry-run")
    assert "would remove /msgin5g/relay.mpy" in said and "would copy settings.json" in said
    assert _on_board(board) == {*files["relay"], "msgin5g/old.py"}
    put(board, ue_file(tmp_path, 0))
    assert _on_board(board) == files["ue"]
    said = msgin5g("flash", "--port", board.port, "--role", "relay", "--no-watch")
    assert _on_board(board) == files["relay"], said


def test_eight_boards_in_parallel_end_configured(site, tmp_path):
    boards = [VirtualBoard(heap="192K") for _ in range(8)]
    try:
        arguments = []
        for n, board in enumerate(boards):
            board.start()
            arguments += ["--port", board.port, "--settings", ue_file(tmp_path, n)]
        said = msgin5g("flash", *arguments, "--wait", 40)
        for board in boards:
            ends = [line for line in said.splitlines() if line.startswith(f"{board.port}: ")]
            assert _CONFIGURED.search(ends[-1] + "\n"), said
        said = msgin5g("flash", *[a for board in boards for a in ("--port", board.port)])
        assert said.count("nothing to copy, ue running") == 8, said
    finally:
        for board in boards:
            board.stop()


def test_why_it_is_not_configured_is_said(site, board, tmp_path):
    unknown = ue_file(tmp_path, 0, ue_id="urn:x-msgin5g:ue:unlinked")
    arguments = ["flash", "--port", board.port, "--wait", 3]
    said = msgin5g(*arguments, "--settings", unknown, status=NOT_CONFIGURED)
    assert "started, but not configured: timed out after 3 s" in said
    for program, expected in (
        ("import os; os.remove('settings.json')", "no settings.json: pass --settings FILE"),
        (
            "f = open('settings.json', 'w'); f.write('{}'); f.close()",
            "settings: ue_id: is missing",
        ),
    ):
        mpremote(board, "exec", program)
        said = msgin5g(*arguments, status=NOT_CONFIGURED if "ue_id" in expected else 0)
        assert expected in said, said
    taken = ue_file(tmp_path, 0, bind=["192.0.2.1", 65401])
    said = msgin5g(*arguments, "--settings", taken, status=NOT_CONFIGURED)
    assert "installed; bind: 192.0.2.1:65401: " in said, said


def test_what_is_wrong_is_said_before_a_board_is_touched(board, tmp_path):
    good, text = ue_file(tmp_path, 0), tmp_path / "text"
    text.write_text("text")
    arguments = ["flash", "--port", board.port]
    board.output.wait_for(">>> ")
    mark = board.output.mark()
    for more, expected in (
        (["--settings", ue_file(tmp_path, 0, next_hop=["x", 70000])], "next_hop: port 70000 is"),
        (["--settings", tmp_path / "none"], "none: No such file"),
        (["--settings", text], "settings: not JSON"),
        (["--settings", good, "--secrets", text], "secrets: not JSON"),
        (["--port", "/dev/other", "--settings", good], "would both be urn:x-msgin5g:ue:0000"),
        (["--role", "relay", "--settings", good], "server.address: is missing"),
    ):
        said = msgin5g(*arguments, *more, status=WRONG_INPUT)
        assert said.startswith("Error: ") and expected in said and said.count("\n") == 1, said
        assert said.count("none: ") <= 1, said
    said = msgin5g(*arguments, "--port", board.port, status=2)
    assert f"{board.port} is named twice" in said, said
    assert board.output.text(mark) == ""


def test_secrets_are_judged_with_the_settings_on_the_board(board, tmp_path):
    put(board, ue_file(tmp_path, 0))
    secrets = tmp_path / "secrets"
    secrets.write_text('{"wifi": {"ssid": "plant", "key": "short"}}')
    said = msgin5g("flash", "--port", board.port, "--secrets", secrets, status=WRONG_INPUT)
    assert "Error: settings: wifi.key: 5 bytes are not 8 to 64" in said, said
    assert "secrets" not in mpremote(board, "ls")


def test_a_conflicting_file_is_reported(board, tmp_path):
    for program, path in (
        ("import os; os.mkdir('main.py')", "/main.py is a folder"),
        (
            "import os; os.rmdir('main.py'); f = open('msgin5g', 'w'); f.close()",
            "/msgin5g is a file",
        ),
    ):
        mpremote(board, "exec", program)
        with pytest.raises(DeviceError) as refused:
            put(board, ue_file(tmp_path, 0))
        assert f"{path}, where a " in str(refused.value)
        assert "msgin5g.new" not in mpremote(board, "ls")
    mpremote(board, "exec", "import os; os.remove('msgin5g')")
    put(board, ue_file(tmp_path, 0))


def test_all_finds_boards_and_skips_strangers(board, tmp_path, monkeypatch):
    master, slave = pty.openpty()
    stranger = os.ttyname(slave)
    monkeypatch.setattr(msgin5g_tools.commands.flash, "all_ports", lambda: [board.port, stranger])
    result = CliRunner().invoke(msgin5g_tools.commands.flash.flash, ["--all", "--no-watch"])
    assert result.exit_code == 0, result.output
    assert f"{stranger}: skipped: no answer from a MicroPython" in result.output
    assert f"{board.port}: {len(bundle.build('ue'))} files copied" in result.output
    os.close(master)
    os.close(slave)
    monkeypatch.setattr(msgin5g_tools.commands.flash, "all_ports", list)
    assert CliRunner().invoke(msgin5g_tools.commands.flash.flash, ["--all"]).exit_code == 3


def test_a_watchdog_that_runs_does_not_bite_while_flashing(board, tmp_path):
    mark = board.output.mark()
    put(board, ue_file(tmp_path, 0, watchdog_s=1))
    board.output.wait_for("started ", since=mark)
    with Terminal(board) as terminal:  # it does run: unless it is fed it bites
        terminal.presses(b"\x03")
        mark = board.output.mark()
        terminal.types("from msgin5g import node; node.current.watchdog.release()")
        board.output.wait_for("started ", since=mark)
    assert board.resets[-1] == "watchdog"
    n_resets = len(board.resets)
    said = msgin5g("flash", "--port", board.port, "--settings", ue_file(tmp_path, 1),
                   "--tool", "ampy", "--no-watch")  # fmt: skip
    assert "2 files copied" in said
    assert "watchdog" not in board.resets[n_resets:]


def test_while_flashing_a_watchdog_of_60_s_is_8388_ms_on_rp2():
    for platform, timeout_s, timeout_ms in (
        ("rp2", 60, 8388),
        ("rp2", 2, 2000),
        ("esp32", 60, 60000),
    ):
        log = []
        wdt = SimpleNamespace(feed=lambda log=log: log.append("feed"))
        timer = SimpleNamespace(init=lambda log=log, **values: log.append(values))
        modules = {
            "sys": SimpleNamespace(platform=platform),
            "machine": SimpleNamespace(
                WDT=lambda timeout, log=log, wdt=wdt: log.append(timeout) or wdt,
                Timer=lambda number, log=log, timer=timer: log.append(number) or timer,
            ),
        }
        modules["machine"].Timer.PERIODIC = 1
        names = {**vars(builtins), "__import__": lambda name, *_, m=modules: m[name]}
        exec(programs.feed_watchdog(timeout_s), {"__builtins__": names})
        period = log[2]
        assert log[:2] == [timeout_ms, 0 if platform == "esp32" else -1], platform
        assert (period["period"], period["mode"]) == (timeout_ms // 3, 1)
        period["callback"](None)
        assert log[3:] == ["feed"]


def _paths(role):
    return {file.path for file in bundle.build(role)} - {"main.py"}


def _on_board(board):
    program = (
        "import os\ndef walk(p):\n for e in os.ilistdir(p):\n  q = p + '/' + e[0]\n"
        "  walk(q) if e[1] == 0x4000 else print(q)\nwalk('msgin5g')"
    )
    return set(mpremote(board, "exec", program).split())
