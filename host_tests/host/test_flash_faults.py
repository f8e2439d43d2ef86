"""Faults with a board in the hand: unplugged, full, another board, read by another program."""

import fcntl
import os
import subprocess
import sys
import time

import pytest
from board_tools import mpremote
from click.testing import CliRunner
from flash_setup import BUNDLES, Silent, msgin5g, put, ue_file

import msgin5g_tools.commands.doctor
import msgin5g_tools.commands.flash
from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import programs, session
from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.device.errors import (
    FAILED,
    NOT_CONFIGURED,
    NOT_MICROPYTHON,
    PORT_BUSY,
    PORT_MISSING,
)
from msgin5g_tools.device.flashing import Job, Options, flash_board

_FILL = """
import os
n = 0
try:
    while True:
        with open('big%d' % n, 'wb') as f: f.write(b'x' * 4096)
        n += 1
except OSError: pass
"""
_BOARD = (sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "board")


@pytest.mark.parametrize("command", ["flash", "doctor"])
def test_a_board_that_is_unplugged_between_two_knocks_is_one_line(command, monkeypatch):
    board = VirtualBoard(heap="96K").start()
    probes = []

    def probe(self, wait_s):
        probes.append(wait_s)
        if len(probes) == 1:
            return False  # it was busy; now somebody pulls the cable
        board.stop()
        return _probe(self, wait_s)

    _probe = session.Session._probe
    monkeypatch.setattr(session.Session, "_probe", probe)
    module = getattr(msgin5g_tools.commands, command)
    done = CliRunner().invoke(getattr(module, command), ["--port", board.port])
    assert done.exit_code == FAILED, done.output
    lines = [line for line in done.output.splitlines() if not line.endswith(": connecting")]
    assert lines == [
        f"{board.port}: Error: the board was disconnected: connect it and run this again"
    ]


@pytest.mark.parametrize("command", ["flash", "doctor"])
def test_what_nobody_expected_is_one_line_with_its_place(command, monkeypatch):
    def broken(*arguments):
        raise KeyError("x")

    module = getattr(msgin5g_tools.commands, command)
    monkeypatch.setattr(session.Session, "enter", broken)
    with VirtualBoard(heap="96K") as board:
        done = CliRunner().invoke(getattr(module, command), ["--port", board.port])
    assert done.exit_code == FAILED, done.output
    last = done.output.splitlines()[-1]
    assert last.startswith(f"{board.port}: Error: a bug in msgin5g: KeyError('x') at test_"), last


def test_a_full_flash_is_said_with_its_free_space_and_main_py_stays(tmp_path):
    settings = ue_file(tmp_path, 0)
    with VirtualBoard(heap="128K") as board:
        mpremote(board, "exec", "f = open('main.py', 'w'); f.write('print(1)'); f.close()")
        mpremote(board, "exec", _FILL)
        said = msgin5g("flash", "--port", board.port, "--settings", settings, status=FAILED)
        assert "Error: 0 KiB are free on the board, " in said.splitlines()[-1], said
        said = msgin5g("doctor", "--port", board.port, status=1)
        assert "warn  flash        0 of 1024 KiB free" in said, said
        assert "main.py" in mpremote(board, "ls")


def test_a_rename_that_a_full_flash_refuses_removes_nothing():
    class Os:
        def __init__(self, number):
            self.number, self.log = number, []

        def rename(self, source, target):
            self.log.append("rename")
            if self.log == ["rename"]:
                raise OSError(self.number, "")

        def remove(self, path):
            self.log.append("remove")

    *_, replace = programs.replace_file("/main.py", "")
    as_main, _ = programs.commit(())
    move = as_main[as_main.index("def move") : as_main.index("def folder")]
    for text in (replace, move + "move('/main.py.tmp', '/main.py')"):
        full, other = Os(28), Os(17)
        with pytest.raises(OSError):
            exec(text, {"os": full})
        assert full.log == ["rename"]
        exec(text, {"os": other})
        assert other.log == ["rename", "remove", "rename"]


def test_errors_of_a_board_are_words():
    for traceback, words in (
        ("OSError: 28", "the board's flash is full"),
        ("OSError: [Errno 28] ENOSPC", "the board's flash is full"),
        ("OSError: [Errno 5] EIO", "the board refused: Input/output error (OSError: [Errno 5] "),
        ("ValueError: x", "the board refused: ValueError: x"),
    ):
        with VirtualBoard(heap="96K") as board, session.session_at(board.port) as opened:
            name, _, arguments = traceback.partition(": ")
            number = arguments.strip("[]").removeprefix("Errno ").split("]")[0]
            argument = number if name == "OSError" else "'x'"
            with pytest.raises(session.DeviceError) as refused:
                opened.run(f"raise {name}({argument})")
            assert str(refused.value).startswith(words), refused.value


def test_the_virtual_board_says_which_board_it_stands_for(tmp_path):
    with VirtualBoard(heap="128K") as board:
        said = msgin5g("doctor", "--port", board.port, status=1)
        assert "Raspberry Pi Pico W with RP2040 (RPI_PICO_W)" in said, said
        said = mpremote(board, "exec", "import sys; sys.ps1 = '> '; print(sys.implementation)")
        assert "_build='RPI_PICO_W'" in said and "_mpy=" in said, said
    link = tmp_path / "board"
    other = subprocess.Popen(
        [*_BOARD, "--board", "ESP32_GENERIC", "--link", str(link)], stdout=subprocess.PIPE
    )
    try:
        other.stdout.readline()
        said = msgin5g(
            "flash", "--board", "RPI_PICO_W", "--port", link, "--dry-run", status=NOT_MICROPYTHON
        )
        assert said.endswith("Error: this is ESP32_GENERIC, not RPI_PICO_W\n"), said
        msgin5g("flash", "--board", "ESP32_GENERIC", "--port", link, "--dry-run")
    finally:
        other.terminate()
        other.wait()


def test_a_board_that_is_not_the_named_one_is_refused_whatever_it_is():
    fault = msgin5g_tools.device.boards.board_fault
    for build, machine, is_it in (
        ("RPI_PICO_W", "Raspberry Pi Pico W with RP2040", True),
        ("RPI_PICO_W-VARIANT", "Raspberry Pi Pico W with RP2040", True),
        ("RPI_PICO", "Raspberry Pi Pico with RP2040", False),
        ("PIMORONI_PLASMA_2040", "Pimoroni with RP2040", False),
        ("ESP32_GENERIC_S3", "Generic ESP32S3 module with ESP32S3", False),
        ("", "Raspberry Pi Pico W with RP2040", True),
        ("", "linux [GCC 12] version", False),
    ):
        facts = {"build": build, "machine": machine, "platform": "x"}
        assert (fault(BOARDS["RPI_PICO_W"], facts) is None) == is_it, build
        assert fault(None, facts) is None


def test_flash_and_image_know_the_role_seal_c(tmp_path):
    settings = tmp_path / "seal-c.json"
    settings.write_text(
        '{"role": "gateway", "ue_id": "u:c", "server": {"address": ["127.0.0.1", 9]},'
        ' "seal_c": {"bind": ["127.0.0.1", 0], "peer": ["127.0.0.1", 9]}}'
    )
    with VirtualBoard(heap="192K") as board:
        arguments = ["--role", "seal-c", "--settings", settings]
        said = msgin5g("flash", "--port", board.port, *arguments, "--dry-run")
        assert "files would be copied (seal-c)" in said, said
    out = tmp_path / "out.img"
    assert "seal-c u:c" in msgin5g("image", "--board", "RPI_PICO_W", "-o", out, *arguments)
    msgin5g("image", "--romfs", "--role", "seal-c", "-o", tmp_path / "out.romfs")


def test_a_boot_py_without_an_end_is_named_by_flash(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "BOOT_S", 1)
    with VirtualBoard(heap="128K") as board:
        mpremote(board, "exec", "f = open('boot.py', 'w'); f.write('while 1: pass'); f.close()")
        job = Job(board.port, "ue", ue_file(tmp_path, 0).read_bytes(), None)
        with pytest.raises(session.DeviceError) as refused:
            flash_board(job, Options("mpremote", None, False, None, 5), BUNDLES, Silent())
    assert refused.value.status == NOT_CONFIGURED
    assert str(refused.value).startswith("installed; boot.py: timed out after 10 s"), refused


def test_with_the_port_in_use_provision_ends_as_flash_does(tmp_path):
    table = tmp_path / "boards.csv"
    with VirtualBoard(heap="96K") as board, open(board.port, "rb") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_EX)
        table.write_text(f"port,ue_id,next_hop\n{board.port},urn:x:1,h:1\n")
        said = msgin5g("provision", table, status=PORT_BUSY)
        assert f"{board.port}: the port is in use by another program" in said, said
        table.write_text("port,ue_id,next_hop\n/dev/none,urn:x:1,h:1\n")
        msgin5g("provision", table, status=PORT_MISSING)


@pytest.mark.parametrize("command", [("flash",), ("doctor",), ("monitor", "--for", "5")])
def test_another_program_that_reads_the_port_without_a_lock_is_named(command):
    with VirtualBoard(heap="96K") as board:
        # It takes what the board sends, so that a tool sees parts or nothing of it.
        thief = subprocess.Popen(
            [sys.executable, "-c", "import os, sys\nf = os.open(sys.argv[1], os.O_RDWR)\n"
             "while os.read(f, 4096): pass", board.port]
        )  # fmt: skip
        try:
            expected = f"python3 (process {thief.pid}): end it, then run this again"
            until = time.monotonic() + 30
            while not _has_open(thief.pid, board.port) and time.monotonic() < until:
                time.sleep(0.05)
            said = msgin5g(*command, "--port", board.port, status=PORT_BUSY)
        finally:
            thief.kill()
            thief.wait()
        assert "another program reads this port: " in said, said
        assert expected.partition(" ")[2] in said.splitlines()[-1], said


def _has_open(pid, port):
    files = f"/proc/{pid}/fd"
    return port in {os.readlink(f"{files}/{name}") for name in os.listdir(files)}


def test_a_second_board_does_not_take_the_link_of_a_living_one(tmp_path):
    link = tmp_path / "board"
    with VirtualBoard(heap="96K", link=link) as board:
        said = msgin5g("board", "--link", link, status=1)
        assert said == f"Error: link {link}: another virtual board has it: choose another\n"
        assert os.readlink(link) == board.port
        board.stop()
        board.start()
        assert os.readlink(link) == board.port
    assert not os.path.lexists(link)


def test_a_host_that_nobody_knows_is_a_fault_for_doctor(tmp_path):
    settings = ue_file(tmp_path, 0, next_hop=["no-such-host.invalid", 65401])
    with VirtualBoard(heap="128K") as board:
        put(board, settings)
        said = msgin5g("doctor", "--port", board.port, status=1)
    expected = "fail  network      next hop no-such-host.invalid:65401: not known: check it,"
    assert expected in said, said
