"""A prompt while the node runs in asyncio: it executes Python as the board's own REPL does.

Tab completes a name, Up and Down bring former lines back, and a statement with a block, or with an
open bracket, goes on in the next line until an empty one. Ctrl-C ends the node and leads to the
board's own REPL. Ctrl-D is a soft reset, as at the REPL.
"""

import asyncio
import builtins
import sys

from micropython import const
from msgin5g import repl

_PROMPT = "msgin5g> "
_GOES_ON = "     ... "
_MAX_SIZE = const(200)  # characters of a line
_MAX_BLOCK = const(1000)  # of all lines of a statement
_N_FORMER = const(8)
_WIDTH = const(79)
_BACKSPACE = "\x7f\x08"
_BLOCK_WORDS = ("if", "while", "for", "try", "with", "def", "class", "async")
# Keys that a terminal sends as ESC [ ... or ESC O ..., without the "[".
_UP, _DOWN, _RIGHT, _LEFT = "\x1bA", "\x1bB", "\x1bC", "\x1bD"
_HOME = ("\x1bH", "\x1b1~")
_END = ("\x1bF", "\x1b4~")
_DELETE = "\x1b3~"


class Prompt:
    """The line that a person types. The events of a Node are printed above it.

    names: what a line may use, `node` and `repl` at first. line: what is typed so far. write: of
    text, to the terminal.
    """

    def __init__(self, node, write=None):
        self.names = {"node": node, "repl": repl}
        self._print_event = node.print_event
        self._write = write or _write
        self.line = ""
        self._at = 0  # where in the line the cursor is
        self._block = ""  # the lines before this one of a statement that goes on
        self._former = []  # lines, the oldest first
        self._n_back = 0  # how many lines Up has gone back
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
            self._write("\r\x1b[K")  # erase to the end of the line

    def show(self):
        """Show the line again."""
        if not self._executing:
            n_behind = len(self.line) - self._at
            back = "\x1b[%dD" % n_behind if n_behind else ""
            self._write((_GOES_ON if self._block else _PROMPT) + self.line + back)

    async def run(self):
        """Read keys from the board's console, for ever."""
        reader = asyncio.StreamReader(sys.stdin)
        self.show()
        while True:
            key = await reader.read(1)
            if key == "\x1b":
                key = await _rest_of_key(reader)
            self.press(key)

    def press(self, key):
        """Do what a key does: a character, or ESC and what a terminal sends after `ESC [`."""
        if key == "\r" or key == "\n":
            self._enter()
        elif key == "\x04":
            if not self.line and not self._block:
                self.names["node"].end_by_hand()
                raise SystemExit
        elif key == "\t":
            self._complete()
        elif key and key in _BACKSPACE:
            self._remove(self._at - 1)
        elif key == _DELETE:
            self._remove(self._at)
        elif key == _UP or key == _DOWN:
            self._bring_back(1 if key == _UP else -1)
        elif key == _LEFT or key == _RIGHT:
            self._move(self._at + (1 if key == _RIGHT else -1))
        elif key in _HOME:
            self._move(0)
        elif key in _END:
            self._move(len(self.line))
        elif len(key) == 1 and key >= " ":
            self._insert(key)

    # The line

    def _insert(self, text):
        if len(self.line) + len(text) > _MAX_SIZE:
            return
        at = self._at
        self.line = self.line[:at] + text + self.line[at:]
        self._at = at + len(text)
        if self._at == len(self.line):
            self._write(text)
        else:
            self._show_again()

    def _remove(self, at):
        if 0 <= at < len(self.line):
            self.line = self.line[:at] + self.line[at + 1 :]
            was_last = at == len(self.line) == self._at - 1
            self._at = at
            if was_last:
                self._write("\x08 \x08")
            else:
                self._show_again()

    def _move(self, at):
        if 0 <= at <= len(self.line):
            self._at = at
            self._show_again()

    def _bring_back(self, step):
        n_back = self._n_back + step
        if 0 <= n_back <= len(self._former):
            self._n_back = n_back
            self.line = self._former[-n_back] if n_back else ""
            self._at = len(self.line)
            self._show_again()

    def _show_again(self):
        self.hide()
        self.show()

    # Completion

    def _complete(self):
        """Complete the name before the cursor; show what it may be where that is not certain."""
        before = self.line[: self._at]
        if not before.strip():
            self._insert("    ")
            return
        start = len(before)
        while start and (before[start - 1].isalpha() or before[start - 1] in "_.0123456789"):
            start -= 1
        found, stem = self._candidates(before[start:])
        common = _common_start(found)
        if len(common) > len(stem):
            self._insert(common[len(stem) :])
        elif found:
            self._write("\n")
            row = ""
            for name in found:
                if len(row) + len(name) + 2 > _WIDTH:
                    self._write(row + "\n")
                    row = ""
                row += name + "  "
            self._write(row + "\n")
            self.show()

    def _candidates(self, path):
        """(names in order that `path` may become, the part of it that they begin with)."""
        parts = path.split(".")
        stem = parts.pop()
        try:
            if parts:
                value = self.names[parts.pop(0)]
                for part in parts:
                    value = getattr(value, part)
                names = dir(value)
            else:
                names = list(self.names) + dir(builtins)
        except (KeyError, AttributeError):
            names = []
        found = {name for name in names if name.startswith(stem) and (stem or name[:1] != "_")}
        return sorted(found), stem

    # Statements

    def _enter(self):
        self._write("\n")
        line = self.line
        self.line = ""
        self._at = self._n_back = 0
        if line.strip() and self._former[-1:] != [line]:
            self._former.append(line)
            del self._former[:-_N_FORMER]
        block = self._block + line + "\n"
        self._block = ""
        if len(block) > _MAX_BLOCK:
            self._write("too long: at most %d characters; put it into a file\n" % _MAX_BLOCK)
        elif _goes_on(block):
            self._block = block
        elif block.strip():
            self._execute(block)
        self.show()

    def _execute(self, block):
        """Execute statements and print their values, or the exception."""
        self._executing = True
        try:
            try:
                code = compile(block, "<stdin>", "eval")
            except SyntaxError:
                # No expression. "single" prints the values that are expressions in it.
                exec(compile(block, "<stdin>", "single"), self.names)
            else:
                value = eval(code, self.names)
                if value is not None:
                    print(repr(value))
        except Exception as error:
            if hasattr(sys, "print_exception"):
                sys.print_exception(error)
            else:  # CPython
                print(repr(error))
        self._executing = False


def _goes_on(block):
    """Whether the lines are a statement that is not complete, as MicroPython's REPL decides."""
    depth = i = 0
    quote = ""
    while i < len(block):
        char = block[i]
        if quote:
            if char == "\\":
                i += 1
            elif block[i : i + len(quote)] == quote or (char == "\n" and len(quote) == 1):
                i += len(quote) - 1
                quote = ""
        elif char in "'\"":
            quote = char * 3 if block[i : i + 3] == char * 3 else char
            i += len(quote) - 1
        elif char == "#":
            i = block.find("\n", i)
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        i += 1
    if depth > 0 or len(quote) > 1 or block.endswith("\\\n"):
        return True
    first = block.lstrip()
    word = first.replace(":", " ").split(None, 1)[0] if first else ""
    # A block ends with an empty line.
    return (word in _BLOCK_WORDS or first[:1] == "@") and bool(block[:-1].split("\n")[-1].strip())


def _common_start(names):
    """What all names begin with."""
    common = names[0] if names else ""
    for name in names:
        while not name.startswith(common):
            common = common[:-1]
    return common


async def _rest_of_key(reader):
    """What follows ESC: a key that is no character, as ESC and what is behind `ESC [`."""
    char = await reader.read(1)
    if char != "[" and char != "O":
        return char
    key = "\x1b"
    for _ in range(8):
        char = await reader.read(1)
        key += char
        if "@" <= char <= "~":
            break
    return key


def _write(text):
    sys.stdout.write(text)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
