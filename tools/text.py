"""Text of a peer or of a board, safe to print."""

import json
import re

# The escape sequences that a REPL's line editor and coloured output need (ECMA-48): colours (SGR),
# the cursor to the left and right, and erasing in a line. Nothing leaves the line.
_ALLOWED = re.compile(r"\x1b\[(?:[0-9;]{0,16}m|[0-9]{0,3}[CDKP@])")
# How a longer sequence begins that is still to come.
_BEGUN = re.compile(r"\x1b(?:\[[0-9;]{0,16})?\Z")
_KEPT = "\t\n\r\x08\x07"  # a bell is harmless, and a REPL's answer to a wrong key


def printable(text):
    """The text on one line, with what is no character of a line as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def json_ascii(text):
    """The same JSON in ASCII: a character beyond it, which is in a string, as its escape."""
    return "".join(c if c < "\x7f" else json.dumps(c)[1:-1] for c in text)


class TerminalFilter:
    """Passes on what a board prints: text, colours and the cursor keys of its line editor.

    Any other control character, C1 and marks of direction included, is shown as `?`. A character
    or a sequence may come in pieces: its beginning waits for the next one.
    """

    def __init__(self):
        self._begun = ""

    def feed(self, text):
        """What may be printed now."""
        text = self._begun + text
        begun = _BEGUN.search(text)
        self._begun = begun[0] if begun else ""
        if begun:
            text = text[: begun.start()]
        out = []
        i = 0
        while i < len(text):
            char = text[i]
            allowed = _ALLOWED.match(text, i) if char == "\x1b" else None
            if allowed:
                out.append(allowed[0])
                i = allowed.end()
                continue
            out.append(char if char.isprintable() or char in _KEPT else "?")
            i += 1
        return "".join(out)
