"""A board at its raw REPL, through mpremote or through adafruit-ampy: one session for everything.

The commands `mpremote` and `ampy` open the port and reset the board once for each file. Their
Python classes, used here as they are, need that once only. What each of the two does:

    mpremote   raw paste with flow control
    ampy       256 bytes every 10 ms; its own files.Files would send 32 bytes a command, 40 s for
               a board, so that only its Pyboard is used

The raw REPL is entered without them: they would wait ten seconds where there is no MicroPython,
print what they saw, or wait for ever for a boot.py that prints. `_probe` takes two seconds.
"""

import errno
import os
import re
import time
from contextlib import contextmanager

from msgin5g_tools.device.errors import (
    FAILED,
    NOT_MICROPYTHON,
    PORT_BUSY,
    PORT_MISSING,
    DeviceError,
    device_error,
)
from msgin5g_tools.device.serial_port import (
    BAUD_RATE,
    LOST,
    failed,
    not_opened,
    open_serial,
    real_port,
)

TOOLS = ("mpremote", "ampy")

_READ_TIMEOUT_S = 0.5
_WRITE_TIMEOUT_S = 5
_SILENT_S = 10
_BUSY_S = 2  # a program that ends may hold the port for so long on a busy computer
_BUSY_POLL_S = 0.05
PROBES = (0.7, 1.5)  # seconds to wait for an answer, each time
BOOT_S = 10  # boot.py has as long after a soft reset
BOOT_FAULT = f"boot.py: timed out after {BOOT_S} s; main.py starts after its end: correct boot.py"
_SETTLED_S = 0.1  # nothing more comes of an interrupt
_RAW_REPL = b"raw REPL; CTRL-B to exit\r\n"
_PROMPT = _RAW_REPL + b">"


def open_session(port, tool="mpremote"):
    """The Session at a port, at the raw REPL of a board that has been soft-reset."""
    port = real_port(port)
    session = _opened(port, _Ampy if tool == "ampy" else _Mpremote)
    session.port = port
    try:
        session.enter()
    except (DeviceError, *LOST) as error:
        reason = failed(port, error)
        session.close()
        raise reason from None
    except BaseException:
        session.close()
        raise
    return session


def _opened(port, kind):
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            return kind(port)
        except DeviceError as error:
            if error.status != PORT_BUSY or time.monotonic() > until:
                raise
        time.sleep(_BUSY_POLL_S)


@contextmanager
def session_at(port, tool="mpremote"):
    """The Session at a port, for a `with` block; whatever goes wrong in it is a DeviceError.

    After the block the program on the board runs again, if it does not run already.
    """
    session = open_session(port, tool)
    try:
        yield session
    except Exception as error:
        raise failed(session.port, device_error(error)) from None
    finally:
        if session.at_repl:
            session.restart()
        session.close()


class Session:
    """What both tools have in common. `serial` is the open port, `port` its name.

    at_repl: the raw REPL is there, and no program of the board runs.
    boot_ended: whether boot.py came to its end by itself, as main.py waits for it to do.
    """

    serial = None
    port = None
    at_repl = True
    boot_ended = True

    def enter(self):
        """To the raw REPL, on a fresh heap, whatever the board was doing."""
        self.serial.timeout = _READ_TIMEOUT_S
        self.serial.write_timeout = _WRITE_TIMEOUT_S
        if not any(self._probe(wait_s) for wait_s in PROBES):
            raise DeviceError(NOT_MICROPYTHON, "no answer from a MicroPython at this port")
        try:
            # boot.py may print for ever, or not end: it is interrupted instead.
            self.boot_ended = self._soft_reset(BOOT_S)
            if not self.boot_ended and not self._interrupt():
                raise DeviceError(NOT_MICROPYTHON, "boot.py cannot be interrupted: no raw REPL")
            # From here on the tools wait for the board's word before they send more of a program:
            # while it erases flash, or collects garbage, that takes its time.
            self.serial.timeout = _SILENT_S
        except LOST as error:
            raise failed(self.port, error) from None

    def _soft_reset(self, wait_s):
        """Whether the raw REPL came back within the time; its `>` is left for the tool."""
        until = time.monotonic() + wait_s
        self.serial.write(b"\x04")
        return self._await(b"soft reboot\r\n", until) and self._await(_RAW_REPL, until)

    def _interrupt(self):
        if not self._probe(PROBES[-1]):
            return False
        time.sleep(_SETTLED_S)
        self.serial.reset_input_buffer()
        self.serial.write(b"\x01")
        return self._await(_RAW_REPL, time.monotonic() + PROBES[-1])

    def _await(self, ending, until):
        """Whether `ending` came in time, whatever else did."""
        seen = b""
        while not seen.endswith(ending) and time.monotonic() < until:
            seen = seen[-len(ending) :] + self.serial.read(1)
        return seen.endswith(ending)

    def _probe(self, wait_s):
        """Interrupt what runs and ask for the raw REPL; whether it is there."""
        seen = b""
        try:
            self.serial.reset_input_buffer()
            self.serial.write(b"\r\x03\x03\r\x01")
            until = time.monotonic() + wait_s
            while time.monotonic() < until and _PROMPT not in seen:
                seen += self.serial.read(max(1, self.serial.in_waiting))
        except LOST:
            return False
        return _PROMPT in seen

    def run(self, program, timeout_s=_SILENT_S):
        """What a program prints; DeviceError with the last line of its traceback.

        timeout_s: how long it may print nothing.
        """
        try:
            printed, raised = self._exec(program, timeout_s)
        except (*LOST, *self._errors) as error:
            raise failed(self.port, error) from None
        if raised:
            raise DeviceError(FAILED, _reason(raised.decode("utf-8", "replace")))
        return printed.decode("utf-8", "replace")

    def reset(self):
        """Reset the board as its button does."""
        self.at_repl = False
        try:
            self.start("import machine\nmachine.reset()")
        except (*LOST, *self._errors) as error:
            raise failed(self.port, error) from None

    def restart(self):
        """Leave the raw REPL by a soft reset: main.py runs again."""
        self.at_repl = False
        try:
            self.serial.write(b"\r\x02\x04")
            self.serial.flush()
        except LOST:
            pass

    def close(self):
        if self.serial is not None:
            try:
                self.serial.close()
            except LOST:
                pass


def _reason(traceback):
    """The last line of a traceback, in words where it is a common one."""
    lines = [line for line in traceback.replace("\r", "").split("\n") if line.strip()]
    last = lines[-1].strip() if lines else "no reason given"
    code = re.fullmatch(r"OSError: (?:\[Errno (\d+)\].*|(\d+))", last)
    if not code:
        return f"the board refused: {last}"
    number = int(code[1] or code[2])
    if number == errno.ENOSPC:
        return "the board's flash is full"
    return f"the board refused: {os.strerror(number)} ({last})"


class _Mpremote(Session):
    def __init__(self, port):
        from mpremote import transport_serial

        transport_serial.print = _silent
        self._errors = (transport_serial.TransportError, AssertionError)
        try:
            self._transport = transport_serial.SerialTransport(
                port, BAUD_RATE, timeout=_READ_TIMEOUT_S
            )
        except transport_serial.TransportError:
            open_serial(port).close()  # mpremote gives no reason: find it
            raise DeviceError(PORT_MISSING, "the port cannot be opened") from None
        except (*LOST, ValueError) as error:
            raise not_opened(port, error) from None
        self.serial = self._transport.serial

    def _exec(self, program, timeout_s):
        return self._transport.exec_raw(program, timeout=timeout_s)

    def start(self, program):
        """Start a program and do not wait for its end."""
        self._transport.exec_raw_no_follow(program)


class _Ampy(Session):
    def __init__(self, port):
        from ampy import pyboard

        self._errors = (pyboard.PyboardError,)
        try:
            self._pyboard = pyboard.Pyboard(port, BAUD_RATE)
        except pyboard.PyboardError:
            open_serial(port).close()
            raise DeviceError(PORT_MISSING, "the port cannot be opened") from None
        except (*LOST, ValueError) as error:
            raise not_opened(port, error) from None
        self.serial = self._pyboard.serial
        try:
            self.serial.exclusive = True  # ampy itself shares the port with anybody
        except LOST as error:
            self.close()
            raise not_opened(port, error) from None

    def _exec(self, program, timeout_s):
        return self._pyboard.exec_raw(program, timeout=timeout_s)

    def start(self, program):
        """Start a program and do not wait for its end."""
        self._pyboard.exec_raw_no_follow(program)


def _silent(*_):
    """Replaces `print` of mpremote, which prints unexpected input; we report it in one line."""
