"""A prompt while the node runs in asyncio: it executes one line of Python at a time.

Ctrl-C ends the node and leads to the board's own REPL. Ctrl-D is a soft reset, as at the REPL.
"""

import asyncio
import sys

from micropython import const
from msgin5g import repl

_PROMPT = "msgin5g> "
_MAX_SIZE = const(200)
_BACKSPACE = "\x7f\x08"


class Prompt:
    """The line that a person types. The events of a Node are printed above it.

    A line may use the names `node` and `repl`.
    """

    def __init__(self, node):
        self._print_event = node.print_event
        self._names = {"node": node, "repl": repl}
        self._line = ""
        self._executing = False  # what is printed now is the output of the person's own line

    def emit(self, event):
        """Print an event above the line; true when it ends the run."""
        self.hide()
        ended = self._print_event(event)
        self.show()
        return ended

    def hide(self):
        """Erase the line, because something else is about to be printed."""
        if not self._executing:
            _write("\r\x1b[K")  # erase to the end of the line

    def show(self):
        """Show the line again."""
        if not self._executing:
            _write(_PROMPT + self._line)

    async def run(self):
        """Read lines from the board's console and execute them, for ever."""
        reader = asyncio.StreamReader(sys.stdin)
        n_ignored = 0  # characters of an escape sequence still to come: the arrow keys
        self.show()
        while True:
            char = await reader.read(1)
            if n_ignored:
                n_ignored -= 1
            elif char == "\r" or char == "\n":
                _write("\n")
                self._executing = True
                if self._line.strip():
                    self._execute(self._line)
                self._executing = False
                self._line = ""
                self.show()
            elif char in _BACKSPACE:
                if self._line:
                    self._line = self._line[:-1]
                    _write("\x08 \x08")
            elif char == "\x04" and not self._line:
                self._names["node"].end_by_hand()
                raise SystemExit
            elif char == "\x1b":
                n_ignored = 2
            elif char >= " " and len(self._line) < _MAX_SIZE:
                self._line += char
                _write(char)

    def _execute(self, line):
        """Execute one line and print its value, or its exception."""
        try:
            try:
                value = eval(line, self._names)
            except SyntaxError:
                exec(line, self._names)
                return
            if value is not None:
                print(repr(value))
        except Exception as error:
            sys.print_exception(error)


def _write(text):
    sys.stdout.write(text)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
