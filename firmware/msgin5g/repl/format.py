"""Lines for a terminal of 80 columns: labels, wrapping, escapes, redacted values."""

from binascii import hexlify
from time import time

from micropython import const
from msgin5g.coap.message import MessageFormatError
from msgin5g.coap.numbers import BLOCK2, OBSERVE, URI_PATH, URI_QUERY
from msgin5g.coap.text import code_text, printable
from msgin5g.coap.ticks import diff as ticks_diff
from msgin5g.config.schema import redact
from msgin5g.port.remote import text_of
from msgin5g.port.system import ticks_ms

_WIDTH = const(79)
_WRAP = const(1 << 30)  # of ticks_ms
_DRIFT_MS = const(600_000)  # by which clock and ticks may differ after months
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


def ms_since(ticks, seconds):
    """Milliseconds since a moment, which is in ticks and in seconds of the clock.

    Ticks wrap after 12 days. The clock says how often; not when somebody has set it meanwhile.
    """
    ms = ticks_diff(ticks_ms(), ticks) % _WRAP
    by_clock = (int(time()) - seconds) * 1000
    n_wraps = (by_clock - ms + _DRIFT_MS) // _WRAP
    exact = ms + n_wraps * _WRAP
    return exact if n_wraps > 0 and abs(by_clock - exact) <= _DRIFT_MS else ms


def duration(ms):
    """`45 s`, `12 min 5 s` or `3 h 20 min`."""
    seconds = ms // 1000
    if seconds < 60:
        return str(seconds) + " s"
    if seconds < 3600:
        return str(seconds // 60) + " min " + str(seconds % 60) + " s"
    return str(seconds // 3600) + " h " + str(seconds // 60 % 60) + " min"


def print_message(message, out, datagram, remote):
    """Print a datagram: `-> 192.168.4.1:65401 CON GET mid 42423  130 bytes`, and its URI."""
    start = ("-> " if out else "<- ") + text_of(remote)
    start += " " * (25 - len(start)) + " "
    size = "  " + str(len(datagram)) + " bytes"
    try:
        message.decode(datagram)
    except MessageFormatError as error:
        print(start + "not CoAP: " + str(error) + size)
        return
    code = message.code
    name = "GET" if code == 1 else code_text(code)
    line = start + ("CON", "NON", "ACK", "RST")[message.mtype] + " " + name
    line += " mid " + str(message.mid)
    if message.uint(OBSERVE) is not None:
        line += " observe " + str(message.uint(OBSERVE))
    if message.uint(BLOCK2) is not None:
        line += " block " + str(message.uint(BLOCK2) >> 4)
    print(line + size)
    path = _joined(message, URI_PATH, "/")
    if path:
        query = _joined(message, URI_QUERY, "&")
        print_wrapped("/" + path[1:] + ("?" + query[1:] if query else ""), "     ", "     ")


def _joined(message, number, separator):
    text = ""
    for i in range(message.n_options):
        if message.numbers[i] == number:
            text += separator + text_of_octets(bytes(message.value(i)))
    return text
