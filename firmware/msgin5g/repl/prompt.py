"""A prompt while the node runs in asyncio: one line of Python at a time, `repl` at hand.

Ctrl-C ends the node and leads to the board's own REPL, Ctrl-D is a soft reset, as there.
"""

import asyncio
import sys

from micropython import const

_PROMPT = "msgin5g> "
_MAX_LINE = const(200)
_BACKSPACE = "\x7f\x08"


class Prompt:
    """The line that a person types. What the node tells meanwhile goes above it."""

    def __init__(self, node, tell):
        self._tell = tell
        self._space = {"node": node}
        self._line = ""
        self._busy = False  # a line is performed: what it prints is the person's own

    def tell(self, event):
        """Tell an event above the line."""
        self.hide()
        ended = self._tell(event)
        self.show()
        return ended

    def hide(self):
        """Something else is to be printed."""
        if not self._busy:
            _write("\r\x1b[K")  # erase to the end of the line

    def show(self):
        """It has been printed."""
        if not self._busy:
            _write(_PROMPT + self._line)

    async def run(self):
        """Read lines from the board's console and perform them, for ever."""
        reader = asyncio.StreamReader(sys.stdin)
        n_ignored = 0  # of an escape sequence: the arrow keys
        self.show()
        while True:
            char = await reader.read(1)
            if n_ignored:
                n_ignored -= 1
            elif char == "\r" or char == "\n":
                _write("\n")
                self._busy = True
                if self._line.strip():
                    self._perform(self._line)
                self._busy = False
                self._line = ""
                self.show()
            elif char in _BACKSPACE:
                if self._line:
                    self._line = self._line[:-1]
                    _write("\x08 \x08")
            elif char == "\x04" and not self._line:
                raise SystemExit
            elif char == "\x1b":
                n_ignored = 2
            elif char >= " " and len(self._line) < _MAX_LINE:
                self._line += char
                _write(char)

    def _perform(self, line):
        """Run one line and print its value, or its exception."""
        space = self._space
        if "repl" not in space:
            from msgin5g import repl

            space["repl"] = repl
        try:
            try:
                value = eval(line, space)
            except SyntaxError:
                exec(line, space)
                return
            if value is not None:
                print(repr(value))
        except Exception as error:
            sys.print_exception(error)


def _write(text):
    sys.stdout.write(text)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
