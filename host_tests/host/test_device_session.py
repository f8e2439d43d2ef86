"""A session with a board, against a raw REPL that is played by a thread at a pty."""

import errno
import os
import pty
import select
import subprocess
import sys
import threading
import time
import tty
from types import SimpleNamespace

import pytest
import serial

from msgin5g_tools.device import serial_port, session
from msgin5g_tools.device.errors import (
    FAILED,
    NOT_MICROPYTHON,
    PORT_BUSY,
    PORT_MISSING,
    DeviceError,
)
from msgin5g_tools.device.ports import on_each
from msgin5g_tools.device.serial_port import (
    failed,
    not_opened,
    open_serial,
    other_reader,
    readers,
    real_port,
)
from msgin5g_tools.device.session import open_session, session_at

_NO_PORT = "there is no such port; no board is connected"
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class RawRepl:
    """`with RawRepl() as repl`: answers at repl.port as a board's raw REPL does.

    answer(program) gives (what it prints, its traceback). silent: it says nothing at all.
    boots: whether a soft reset ends; if not, the next interrupt ends it. taken: what it says when
    it has a program.
    """

    def __init__(
        self,
        answer=lambda program: (b"", b""),
        silent=False,
        boots=True,
        stuck=False,
        taken=b"OK",
    ):
        self._answer = answer
        self._taken = taken
        self._silent = silent
        self._boots = boots
        self._stuck = stuck
        self.programs = []
        self.keys = []  # what came outside of a program
        self.n_pastes = 0  # times that it was asked for raw paste
        self._raw = False
        self._booting = False

    def __enter__(self):
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        os.close(self._wake)
        self._thread.join()
        for descriptor in (self._master, self._slave, self._stop):
            os.close(descriptor)

    def _run(self):
        text = b""
        while True:
            ready = select.select([self._master, self._stop], [], [])[0]
            if self._master not in ready:
                return  # what was written before is read
            for byte in os.read(self._master, 4096):
                if not self._silent:
                    text = self._key(byte, text)
                else:
                    self.keys.append(byte)

    def _say(self, data):
        os.write(self._master, data)

    def _key(self, byte, text):
        if self._booting and (byte != 3 or self._stuck):
            return b""
        if byte == 3:
            self._booting = False
            self.keys.append(byte)
            return b""
        if byte == 1 and text != b"\x05A":
            self._raw = True
            self._say(b"\r\n" + _BANNER)
        elif byte == 1:  # raw paste is not there
            self.n_pastes += 1
            self._say(b"R\x00")
        elif byte == 2:
            self._raw = False
            self.keys.append(byte)
        elif byte == 4:
            self._end(text)
        else:
            return text + bytes((byte,))
        return b""

    def _end(self, text):
        if text.strip() or not self._raw:
            if self._raw:
                self.programs.append(text.decode())
                printed, raised = self._answer(text.decode())
                self._say(self._taken + printed + b"\x04" + raised + b"\x04>")
            else:
                self.keys.append(4)
            return
        self._say(b"OK\r\nMPY: soft reboot\r\n")
        if self._boots:
            self._say(b"boot.py prints this\r\n" + _BANNER)
        else:
            self._booting = True


@pytest.mark.parametrize("tool", session.TOOLS)
def test_a_program_gives_what_it_prints_and_afterwards_the_board_goes_on(tool):
    answers = {"a": (b"one\r\ntwo\r\n", b""), "b": (b"", b"Traceback:\r\nValueError: x\r\n")}
    with RawRepl(lambda program: answers.get(program.strip(), (b"", b""))) as repl:
        with session_at(repl.port, tool) as opened:
            assert opened.boot_ended and opened.port == repl.port
            assert opened.run("a") == "one\r\ntwo\r\n"
            with pytest.raises(DeviceError) as refused:
                opened.run("b")
            assert str(refused.value) == "the board refused: ValueError: x"
            assert refused.value.status == FAILED
        open_serial(repl.port).close()  # it is free again
    assert repl.programs == ["a", "b"] and repl.keys[-2:] == [2, 4]
    assert repl.keys.count(3) == 2, "a board that answers is asked once"
    assert (repl.n_pastes > 0) == (tool == "mpremote"), "ampy knows nothing of raw paste"


@pytest.mark.parametrize("tool", session.TOOLS)
def test_a_reset_is_one_program_and_nothing_follows_it(tool):
    with RawRepl() as repl:
        with session_at(repl.port, tool) as opened:
            opened.reset()
            assert not opened.at_repl
        assert repl.programs[-1] == "import machine\nmachine.reset()" and 2 not in repl.keys


def test_what_nobody_expected_in_a_session_is_a_line_and_the_board_goes_on():
    with RawRepl() as repl:
        with pytest.raises(DeviceError) as error, session_at(repl.port):
            raise KeyError("x")
        assert "a bug in msgin5g: KeyError('x')" in str(error.value)
        open_serial(repl.port).close()
    assert repl.keys[-2:] == [2, 4]


@pytest.mark.parametrize("tool", session.TOOLS)
def test_a_connection_that_is_lost_in_a_program_or_a_reset_is_one_line(tool):
    for work in (lambda opened: opened.run("x"), lambda opened: opened.reset()):
        with RawRepl() as repl:
            with pytest.raises(DeviceError) as error, session_at(repl.port, tool) as opened:
                opened.serial.close()
                work(opened)
            assert error.value.status == FAILED
            assert str(error.value) == "the connection was lost: run the command again"


@pytest.mark.parametrize("tool", session.TOOLS)
def test_a_board_that_does_not_say_ok_to_a_program_is_one_line(tool, capsys):
    with RawRepl(taken=b"??") as repl:
        with pytest.raises(DeviceError) as error, session_at(repl.port, tool) as opened:
            opened.run("x")
        assert error.value.status == FAILED
        assert str(error.value) == "the connection was lost: run the command again"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("tool", session.TOOLS)
def test_a_board_that_is_unplugged_while_it_is_knocked_at_is_one_line(tool, monkeypatch):
    def enter(_):
        raise serial.SerialException("device reports readiness to read but returned no data")

    monkeypatch.setattr(session.Session, "enter", enter)
    with RawRepl() as repl:
        with pytest.raises(DeviceError) as error:
            open_session(repl.port, tool)
        assert error.value.status == FAILED
        assert str(error.value) == "the connection was lost: run the command again"
        open_serial(repl.port).close()


def test_work_at_a_port_does_not_keep_the_process_alive_and_each_port_has_its_outcome():
    def work(port):
        if port == "b":
            raise serial.SerialException("gone")
        return threading.current_thread().daemon

    outcomes = on_each(["a", "b"], work)
    assert outcomes["a"] == (True, None)
    assert outcomes["b"][0] is None and isinstance(outcomes["b"][1], DeviceError)


def test_last_lines_of_tracebacks_are_words():
    for raised, words in (
        ("OSError: 28", "the board's flash is full"),
        ("OSError: [Errno 28] ENOSPC", "the board's flash is full"),
        ("OSError: [Errno 5] EIO",
         "the board refused: Input/output error (OSError: [Errno 5] EIO)"),
        ("OSError: 2", "the board refused: No such file or directory (OSError: 2)"),
        ("OSError: no", "the board refused: OSError: no"),
        ("  MemoryError:  ", "the board refused: MemoryError:"),
        ("\r\n\r\n", "the board refused: no reason given"),
    ):  # fmt: skip
        answer = (b"", b"Traceback\r\n" * raised.startswith("O") + raised.encode() + b"\r\n\r\n")
        with RawRepl(lambda program, answer=answer: answer) as repl, session_at(repl.port) as s:
            with pytest.raises(DeviceError) as refused:
                s.run("x")
            assert str(refused.value) == words


def test_where_nothing_answers_it_is_said_after_two_tries(monkeypatch):
    monkeypatch.setattr(session, "PROBES", (0.1, 0.2))
    with RawRepl(silent=True) as repl:
        with pytest.raises(DeviceError) as error:
            open_session(repl.port)
        assert error.value.status == NOT_MICROPYTHON
        assert str(error.value) == "no answer from a MicroPython at this port"
        open_serial(repl.port).close()
    assert bytes(repl.keys).count(b"\r\x03\x03\r\x01") == 2


def test_a_boot_py_that_does_not_end_is_interrupted_after_its_time(monkeypatch):
    monkeypatch.setattr(session, "BOOT_S", 0.3)
    with RawRepl(boots=False) as repl, session_at(repl.port) as opened:
        assert not opened.boot_ended and opened.run("x") == ""
    assert repl.programs == ["x"]
    monkeypatch.setattr(session, "PROBES", (0.3, 0.3))
    with RawRepl(boots=False, stuck=True) as repl:
        with pytest.raises(DeviceError) as error:
            open_session(repl.port)
        assert error.value.status == NOT_MICROPYTHON
        assert str(error.value) == "boot.py cannot be interrupted: no raw REPL"


def test_a_port_that_is_in_use_is_said_by_both_tools():
    with RawRepl() as repl:
        taken = open_serial(repl.port)
        for tool in session.TOOLS:
            with pytest.raises(DeviceError) as error:
                open_session(repl.port, tool)
            assert error.value.status == PORT_BUSY
            assert str(error.value) == "the port is in use by another program"
        taken.close()
        with session_at(repl.port, "ampy"), pytest.raises(DeviceError) as error:
            open_serial(repl.port)
        assert error.value.status == PORT_BUSY, "ampy's session has it alone too"


def test_a_link_to_a_port_is_the_port_and_what_is_no_port_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(serial_port.list_ports, "comports", list)
    link = tmp_path / "board"
    with RawRepl() as repl:
        link.symlink_to(repl.port)
        assert real_port(str(link)) == repl.port
        with session_at(str(link)) as opened:
            assert opened.port == repl.port
    missing = str(tmp_path / "missing")
    assert real_port(missing) == missing
    file = tmp_path / "file"
    file.write_text("")
    for tool in session.TOOLS:
        for port, words in ((missing, _NO_PORT),
                            (str(file), "this is not a serial port")):  # fmt: skip
            with pytest.raises(DeviceError) as error:
                open_session(port, tool)
            assert (error.value.status, str(error.value)) == (PORT_MISSING, words), tool


def test_why_a_port_does_not_open_is_one_line(tmp_path, monkeypatch):
    here = str(tmp_path)
    monkeypatch.setattr(serial_port.list_ports, "comports", list)
    for error, status, words in (
        (OSError(errno.EBUSY, ""), PORT_BUSY, "the port is in use by another program"),
        (OSError(errno.EAGAIN, ""), PORT_BUSY, "the port is in use by another program"),
        (OSError(errno.EACCES, ""), PORT_MISSING,
         "no permission: is your user in the group of the port?"),
        (OSError(errno.ENOENT, ""), PORT_MISSING, _NO_PORT),
        (OSError(errno.ENODEV, ""), PORT_MISSING, _NO_PORT),
        (OSError(errno.ENXIO, ""), PORT_MISSING, _NO_PORT),
        (OSError(errno.EIO, ""), PORT_MISSING, _NO_PORT),
        (serial_port.termios_error(errno.EIO, ""), PORT_MISSING, _NO_PORT),
        (serial_port.termios_error(errno.ENOTTY, ""), PORT_MISSING, "this is not a serial port"),
        (OSError(errno.ENOTTY, ""), PORT_MISSING, "this is not a serial port"),
        (serial.SerialException("x"), PORT_MISSING, "this is not a serial port"),
    ):  # fmt: skip
        found = not_opened(here, error)
        assert (found.status, str(found)) == (status, words), error
    gone = not_opened(f"{here}/none", OSError(errno.ENOTTY, ""))
    assert str(gone) == _NO_PORT
    usb = [SimpleNamespace(device=name, vid=vid) for name, vid in
           (("/dev/b", 1), ("/dev/a", 0), ("/dev/ttyS0", None))]  # fmt: skip
    monkeypatch.setattr(serial_port.list_ports, "comports", lambda: usb)
    gone = not_opened(f"{here}/none", OSError(errno.ENOTTY, ""))
    assert str(gone) == "there is no such port; connected: /dev/a, /dev/b"


def test_why_work_at_a_port_ended_is_one_line(tmp_path, monkeypatch):
    here = str(tmp_path)
    lost = failed(here, OSError(5, ""))
    assert (lost.status, str(lost)) == (FAILED, "the connection was lost: run the command again")
    gone = failed(f"{here}/none", OSError(5, ""))
    assert (gone.status, str(gone)) == (
        FAILED, "the board was disconnected: connect it and run this again",
    )  # fmt: skip
    for status in (1, PORT_MISSING, PORT_BUSY, 7):
        known = DeviceError(status, "why")
        assert failed(f"{here}/none", known) is known
    for status in (FAILED, NOT_MICROPYTHON):
        known = DeviceError(status, "why")
        assert failed(here, known) is known
        assert failed(f"{here}/none", known).status == FAILED
    monkeypatch.setattr(serial_port, "readers", lambda port: [(7, "screen"), (9, "x")])
    for error, first in ((DeviceError(FAILED, "why"), "why; "), (OSError(5, ""), "")):
        found = failed(here, error)
        assert found.status == PORT_BUSY
        assert str(found) == (
            f"{first}another program reads this port: screen (process 7), x (process 9):"
            " end it, then run this again"
        )


def test_another_process_that_reads_the_port_is_named_and_this_one_is_not():
    with RawRepl() as repl:
        assert readers(repl.port) == []
        with open(repl.port, "rb") as port:
            other = subprocess.Popen(["sleep", "60"], stdin=port)
        try:
            until = time.monotonic() + 20
            while readers(repl.port) != [(other.pid, "sleep")] and time.monotonic() < until:
                time.sleep(0.01)  # until it has become `sleep`
            assert readers(repl.port) == [(other.pid, "sleep")]
            found = other_reader(repl.port)
            assert found.status == PORT_BUSY and f": sleep (process {other.pid}):" in str(found)
            taken = not_opened(repl.port, OSError(errno.EBUSY, ""))
            assert str(taken).endswith(f"by another program: sleep (process {other.pid})")
        finally:
            other.kill()
            other.wait()
        assert other_reader(repl.port) is None


def test_whoever_has_the_far_end_of_a_pty_is_no_reader_of_it():
    holder = "import os, sys; m, s = os.openpty(); print(os.ttyname(s), flush=True); input()"
    command = [sys.executable, "-c", holder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as board:
        port = board.stdout.readline().decode().strip()
        assert port.startswith("/dev/") and readers(port) == []
        board.communicate(b"\n")
