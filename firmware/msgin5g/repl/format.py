"""Lines for a terminal of 80 columns: labels, wrapping, escapes, redacted values."""

from binascii import hexlify

from micropython import const
from msgin5g.coap.text import printable
from msgin5g.config.schema import redact

_WIDTH = const(79)
_LABEL_WIDTH = const(15)


def print_row(label, value):
    """Print a label and its value; a long value continues in the lines below."""
    first = "  " + label
    first += " " * (_LABEL_WIDTH - len(first) - 1) + " "
    print_wrapped(str(value), first, " " * _LABEL_WIDTH)


def print_wrapped(text, first="", rest=""):
    """Print a text, broken at blanks, or inside a word that is too long for a line.

    first, rest: what the first line and the other lines begin with.
    """
    text = printable(text.encode())
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


def text_of_octets(octets):
    """Bytes as text where they are UTF-8, else in hexadecimal."""
    try:
        return printable(octets)
    except UnicodeError:
        return "0x" + hexlify(octets).decode()


def value_text(key, value):
    """A value as text; the value of a key that sounds secret is redacted."""
    value = redact(value, key)
    if isinstance(value, dict):
        rows = [k + ": " + value_text("", value[k]) for k in sorted(value)]
        return "{" + ", ".join(rows) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([value_text("", v) for v in value]) + "]"
    return str(value)


def duration(ms):
    """`45 s`, `12 min 5 s` or `3 h 20 min`."""
    seconds = ms // 1000
    if seconds < 60:
        return str(seconds) + " s"
    if seconds < 3600:
        return str(seconds // 60) + " min " + str(seconds % 60) + " s"
    return str(seconds // 3600) + " h " + str(seconds // 60 % 60) + " min"
