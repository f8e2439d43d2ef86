"""The terminal of `msgin5g monitor`: every key goes to the board; its mode is restored."""

import os
import signal
import sys

try:
    import termios
except ImportError:  # Windows
    termios = None

_ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT")


class Keyboard:
    """`with Keyboard() as keys`: stdin key by key, when it is a terminal; else there are no keys.

    Whatever ends the block, also a signal, the terminal is as it was before. Output stays as it
    is: a newline goes to the start of the line.
    """

    def __init__(self, stream=None):
        stream = stream or sys.stdin
        self.descriptor = None
        self._before = None
        self._handlers = {}
        try:
            if termios and stream.isatty():
                self.descriptor = stream.fileno()
        except (ValueError, OSError, AttributeError):
            pass  # closed, or no file at all

    def __enter__(self):
        for name in _ENDING:
            if hasattr(signal, name):
                number = getattr(signal, name)
                self._handlers[number] = signal.signal(number, _end)
        if self.descriptor is not None:
            self._before = termios.tcgetattr(self.descriptor)
            raw = termios.tcgetattr(self.descriptor)
            raw[0] &= ~(termios.IXON | termios.ICRNL | termios.INLCR | termios.ISTRIP)
            raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
            raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, raw)
        return self

    def __exit__(self, *_):
        if self._before is not None:
            try:
                termios.tcsetattr(self.descriptor, termios.TCSANOW, self._before)
            except termios.error:
                pass  # the terminal itself is gone
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def read(self):
        """What was typed; empty when the terminal is gone."""
        try:
            return os.read(self.descriptor, 1024)
        except OSError:
            return b""


def _end(number, frame):
    sys.exit(128 + number)
