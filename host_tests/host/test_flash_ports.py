"""Ports that are missing, busy or no MicroPython: one clear line and an exit status, per tool."""

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import threading
import tty

import pytest
from board_tools import children, mpremote
from flash_setup import msgin5g

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import serial_port, session
from msgin5g_tools.device.errors import NOT_MICROPYTHON, PORT_BUSY, PORT_MISSING, DeviceError
from msgin5g_tools.device.session import TOOLS

_TICKS = "import time\nwhile True:\n    print('tick')\n    time.sleep(0.2)\n"


@pytest.mark.parametrize("tool", ["mpremote", "ampy"])
def test_a_port_that_will_not_do_gives_one_line(tool, tmp_path):
    (tmp_path / "file").write_text("")
    silent = _Pty()
    echo = _Pty(lambda data: data)
    old = _Pty(_Repl('{"name": "micropython", "version": "1.18.0", "mpy": 5, "settings": null}'))
    other = _Pty(_Repl('{"name": "circuitpython", "version": "9.0", "mpy": 6, "settings": null}'))
    with VirtualBoard(heap="96K") as board, open(board.port, "rb") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_EX)
        cases = (
            (board.port, PORT_BUSY, "the port is in use by another program"),
            (tmp_path / "none", PORT_MISSING, "there is no such port"),
            (tmp_path / "file", PORT_MISSING, "this is not a serial port"),
            (silent.port, NOT_MICROPYTHON, "no answer from a MicroPython at this port"),
            (echo.port, NOT_MICROPYTHON, "no answer from a MicroPython at this port"),
            (old.port, NOT_MICROPYTHON, "MicroPython 1.18.0 loads .mpy version 5"),
            (other.port, NOT_MICROPYTHON, "this is circuitpython, not MicroPython"),
        )
        # How a port is opened differs between the tools; what answers there does not.
        for port, status, expected in cases if tool == "mpremote" else cases[:4]:
            said = msgin5g("flash", "--port", port, "--tool", tool, status=status)
            lines = [line for line in said.splitlines() if not line.endswith(": connecting")]
            assert len(lines) == 1 and lines[0].startswith(f"{port}: Error: {expected}"), said
    for each in (silent, echo, old, other):
        each.close()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_boot_py_without_an_end_is_interrupted(tool, monkeypatch):
    monkeypatch.setattr(session, "BOOT_S", 1)
    with VirtualBoard(heap="96K") as board:
        mpremote(board, "exec", f"f = open('boot.py', 'w'); f.write({_TICKS!r}); f.close()")
        opened = session.open_session(board.port, tool)
        assert opened.run("print(6 * 7)") == "42\r\n"
        opened.run("f = open('boot.py', 'w'); f.write('raise SystemExit'); f.close()")
        opened.close()
        try:
            opened = session.open_session(board.port, tool)
            assert opened.run("print(6 * 7)") == "42\r\n"
        except DeviceError as error:
            assert error.status == NOT_MICROPYTHON and "boot.py" in str(error)


def test_the_worst_of_several_is_the_exit_status(tmp_path):
    with VirtualBoard(heap="96K") as board:
        ports = ["--port", board.port, "--port", tmp_path / "none"]
        said = msgin5g("flash", *ports, "--no-watch", status=PORT_MISSING)
        assert f"{tmp_path / 'none'}: Error: there is no such port" in said
        assert f"{board.port}: " in said and "files copied" in said
    said = msgin5g("flash", status=2)
    assert "either --port PORT" in said


def test_in_a_terminal_a_dry_run_is_a_list_too(tmp_path):
    with VirtualBoard(heap="96K") as board:
        master, slave = pty.openpty()
        command = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "flash"]
        subprocess.run(
            [*command, "--port", board.port, "--dry-run"], stdout=slave, timeout=60, check=True
        )
        os.close(slave)
        said = b""
        with contextlib.suppress(OSError):  # the end of a pty
            while data := os.read(master, 4096):
                said += data
        os.close(master)
    assert b"would copy msgin5g/main.mpy (" in said and b"files would be copied (ue)" in said


class _Pty:
    """The far end of a port; `answer` gives what comes back for what is written."""

    def __init__(self, answer=None):
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._answer = answer
        if answer:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                os.write(self._master, self._answer(os.read(self._master, 1024)))
        except OSError:
            pass

    def close(self):
        os.close(self._slave)
        os.close(self._master)


class _Repl:
    """As much of a raw REPL as a session needs to ask who is there: no raw paste."""

    def __init__(self, facts):
        self._facts = facts.encode()
        self._program = b""

    def __call__(self, data):
        out = b""
        if b"\x05A\x01" in data:
            return b"R\x00"
        for byte in data:
            if byte == 1:
                out += b"raw REPL; CTRL-B to exit\r\n>"
            elif byte == 4 and not self._program.strip():
                out += b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
            elif byte == 4:
                out += b"OK" + self._facts + b"\r\n\x04\x04>"
                self._program = b""
            elif byte != 3:
                self._program += bytes([byte])
        return out


def test_a_port_that_becomes_free_in_a_moment_is_waited_for():
    with VirtualBoard(heap="96K") as board:
        held = serial_port.open_serial(board.port)
        timer = threading.Timer(0.2, held.close)
        timer.start()
        with session.session_at(board.port) as opened:
            assert opened.run("print(6 * 7)") == "42\r\n"
        timer.join()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_board_that_is_slow_to_take_a_program_is_waited_for(tool):
    """It may erase flash meanwhile: the tools wait for its word with each piece."""
    before = set(children(os.getpid()))
    with VirtualBoard(heap="192K") as board, session.session_at(board.port, tool) as opened:
        said = []
        program = "#" * 20_000 + "\nprint(6 * 7)"
        thread = threading.Thread(target=lambda: said.append(opened.run(program)))
        (child,) = set(children(os.getpid())) - before
        os.kill(child, signal.SIGSTOP)
        try:
            thread.start()
            thread.join(1.5)
            assert thread.is_alive()
        finally:
            os.kill(child, signal.SIGCONT)
        thread.join(20)
        assert said == ["42\r\n"]
