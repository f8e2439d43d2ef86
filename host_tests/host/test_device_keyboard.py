"""The terminal of monitor: every key goes to the board, and its mode comes back."""

import io
import os
import pty
import signal
import termios
import time
from contextlib import contextmanager

import pytest

from msgin5g_tools.device import keyboard
from msgin5g_tools.device.keyboard import Keyboard


@contextmanager
def terminal():
    """(the far end, the terminal as a file, its mode)."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as stream:
        # A mode with everything that a raw terminal must not have.
        mode = termios.tcgetattr(stream)
        mode[0] |= termios.IXON | termios.ICRNL | termios.INLCR | termios.ISTRIP
        mode[3] |= termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 3, 4
        termios.tcsetattr(stream, termios.TCSANOW, mode)
        yield master, stream, termios.tcgetattr(stream)
    os.close(master)


def test_every_key_comes_at_once_and_as_it_was_typed():
    with terminal() as (master, stream, before):
        with Keyboard(stream) as keys:
            for typed in (b"\x03", b"\x1a", b"\x11\x13", b"\r", b"\n", b"\x16", b"\x04", b"\xe4"):
                os.write(master, typed)
                seen = b""
                until = time.monotonic() + 20
                while seen != typed and time.monotonic() < until:
                    seen += keys.read()
                assert seen == typed
            inside = termios.tcgetattr(stream)
            assert inside[6][termios.VMIN] in (1, b"\x01")
            assert inside[6][termios.VTIME] in (0, b"\x00")
            assert inside[1] == before[1], "output stays as it is"
            for i, flags in (
                (0, termios.IXON | termios.ICRNL | termios.INLCR | termios.ISTRIP),
                (3, termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN),
            ):
                assert inside[i] == before[i] & ~flags
        assert termios.tcgetattr(stream) == before


def test_the_mode_and_the_signals_come_back_whatever_ends_the_block():
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    handlers = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        with terminal() as (_, stream, before):
            with pytest.raises(SystemExit) as ended, Keyboard(stream):
                os.kill(os.getpid(), number)
                time.sleep(1)
            assert ended.value.code == 128 + number
            assert termios.tcgetattr(stream) == before
            assert [signal.getsignal(number) for number in numbers] == handlers


def test_without_a_terminal_there_are_no_keys(monkeypatch):
    closed = io.StringIO()
    closed.close()
    with open(os.devnull) as null:
        for stream in (null, io.StringIO(), closed, object()):
            with Keyboard(stream) as keys:
                assert keys.descriptor is None
    with terminal() as (_, stream, before):
        assert Keyboard(stream).descriptor == stream.fileno()
        monkeypatch.setattr(keyboard, "termios", None)  # Windows
        with Keyboard(stream) as keys:
            assert keys.descriptor is None and termios.tcgetattr(stream) == before


def test_a_terminal_that_goes_is_no_key_and_no_error():
    master, slave = pty.openpty()
    stream = os.fdopen(slave)
    with Keyboard(stream) as keys:
        os.close(master)
        assert keys.read() == b""
        stream.close()
    assert keys.read() == b""
