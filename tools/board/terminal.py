"""What a person at the port types and sees, as a board's console treats it."""

import os
import re

_CTRL_A = b"\x01"
_CTRL_C = b"\x03"
_CTRL_D = b"\x04"
_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_LONE_NEWLINE = re.compile(rb"(?<!\r)\n")
_MAX_TYPED = 1 << 16


class Keyboard:
    """Bytes from the host on their way to the board's stdin, where Ctrl-C may overtake them."""

    def __init__(self):
        self.stdin, self.stdin_end = os.pipe()
        os.set_blocking(self.stdin_end, False)
        self._typed = bytearray()
        self._n_literal = 0  # the first bytes, in which Ctrl-C is a byte like any other

    @property
    def waiting(self):
        return bool(self._typed)

    @property
    def full(self):
        return len(self._typed) >= _MAX_TYPED

    def type(self, data):
        self._typed += data

    def pump(self, child):
        """Hand over what stdin takes; each Ctrl-C interrupts the program, if one runs.

        As in a board's receive interrupt, this is decided when the byte arrives, not when the
        program gets to it. True if there was an interrupt.
        """
        interrupted = False
        while (at := self._typed.find(_CTRL_C, self._n_literal)) >= 0:
            if child.interrupt():
                interrupted = True
                del self._typed[at]
                self._n_literal = at
            else:
                self._n_literal = at + 1
        try:
            while self._typed:
                n_taken = os.write(self.stdin_end, self._typed)
                del self._typed[:n_taken]
                self._n_literal = max(0, self._n_literal - n_taken)
        except BlockingIOError:
            pass
        return interrupted

    def restart(self, into_raw_repl):
        """A soft reset: what the old interpreter has not read goes to the new one."""
        self._typed[:0] = self._unread()
        self._n_literal = 0
        if into_raw_repl:
            os.write(self.stdin_end, _CTRL_A)

    def clear(self):
        """A hard reset: what was typed before is lost."""
        self._unread()
        self._typed.clear()
        self._n_literal = 0

    def close(self):
        os.close(self.stdin)
        os.close(self.stdin_end)

    def _unread(self):
        # Only while no interpreter runs: the flag belongs to the pipe, and so to the child too.
        os.set_blocking(self.stdin, False)
        try:
            return os.read(self.stdin, _MAX_TYPED)
        except BlockingIOError:
            return b""
        finally:
            os.set_blocking(self.stdin, True)


class Screen:
    """What the board has written, turned into what a board sends over USB."""

    def __init__(self):
        self._after_cr = False
        self._last = (b"", b"")
        self._muted = False

    def text(self, written):
        """One write of print() or of the REPL: newlines become CR LF."""
        if not written:
            return b""
        self._last = (self._last[1], written)
        if self._muted:
            if written != _RAW_BANNER:
                return b""
            self._muted = False
        shown = _LONE_NEWLINE.sub(b"\r\n", written)
        if self._after_cr and written[:1] == b"\n":
            shown = shown[1:]
        self._after_cr = written[-1:] == b"\r"
        return shown

    def mute_until_raw_repl(self):
        """A board that restarts into the raw REPL shows neither banner nor prompt before it."""
        self._muted = True

    def restart(self):
        self._last = (b"", b"")
        self._muted = False

    def left_raw_repl(self):
        """Whether the interpreter's last words are those of its raw REPL.

        Ctrl-D there is answered with OK and an empty line; a program that ends the interpreter,
        with the two Ctrl-D that end its output and its errors.
        """
        return self._last == (b"OK", b"\r\n") or self._last[1] == _CTRL_D


def exception_text(written):
    """A traceback as a board prints it: without the frame of the code that ran boot.py."""
    lines = b"".join(written).split(b"\n")
    if len(lines) > 1 and b"/onboard/start.py" in lines[1]:
        del lines[1]
    return b"\r\n".join(lines)
