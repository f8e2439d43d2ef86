"""Lines for a terminal of 80 columns."""

from micropython import const
from msgin5g.config.redact import redact

_WIDTH = const(79)
_LABEL = const(15)


def row(label, value):
    """Print a label and its value, which goes on in the lines below where it is long."""
    first = "  " + label
    first += " " * (_LABEL - len(first) - 1) + " "
    wrapped(str(value), first, " " * _LABEL)


def wrapped(text, first="", rest=""):
    """Print a text, broken at blanks, or anywhere in a word that is too long."""
    text = plain(text)
    line = first
    empty = True
    for word in text.split(" "):
        if not empty and len(line) + 1 + len(word) > _WIDTH:
            print(line)
            line = rest
            empty = True
        if not empty:
            line += " "
        while len(line) + len(word) > _WIDTH:
            room = _WIDTH - len(line)
            print(line + word[:room])
            word = word[room:]
            line = rest
        line += word
        empty = False
    print(line)


def plain(text):
    """A text without what a terminal obeys: control characters are written as hexadecimals."""
    return "".join([c if " " <= c <= "~" or c > "\x9f" else "\\x%02x" % ord(c) for c in text])


def shown(key, value):
    """A value as a person reads it; that of a key which sounds secret is not told."""
    value = redact(value, key)
    if isinstance(value, dict):
        return "{" + ", ".join([k + ": " + shown("", value[k]) for k in sorted(value)]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([shown("", v) for v in value]) + "]"
    return str(value)


def span(ms):
    """`45 s`, `12 min 5 s` or `3 h 20 min`."""
    seconds = ms // 1000
    if seconds < 60:
        return str(seconds) + " s"
    if seconds < 3600:
        return str(seconds // 60) + " min " + str(seconds % 60) + " s"
    return str(seconds // 3600) + " h " + str(seconds // 60 % 60) + " min"


def unchecked(node):
    """True, and said, when the application whose keys a document must fit is not loaded."""
    if node.unloaded:
        wrapped("Not without the keys of " + node.unloaded + ": run main.py (Ctrl-D), press "
                "Ctrl-C, try again.")  # fmt: skip
    return node.unloaded
