"""Option values as text, and what is wrong with them."""

from msgin5g_tools.decode.names import (
    BLOCK,
    EMPTY,
    FORMAT,
    OBSERVE,
    SECONDS,
    TEXT,
    UINT,
)
from msgin5g_tools.text import printable


def value_text(number, value, registry, is_request):
    """The value of an option (bytes) as text."""
    known = registry.option(number)
    if known is None:
        return _unknown(number, value)
    _, kind, low, high = known
    if not low <= len(value) <= high:
        # RFC 7252 section 5.4.3: the option counts as not recognised.
        return f"{value.hex()}  ({len(value)} bytes, not {low} to {high}: not recognised)"
    if kind == TEXT:
        return text_of(value)
    if kind == EMPTY:
        return ""
    if kind in (UINT, SECONDS, FORMAT, OBSERVE, BLOCK):
        return _number(kind, int.from_bytes(value, "big"), registry, is_request)
    return value.hex() or "empty"


def text_of(value):
    """Bytes that should be UTF-8 on one line; in hex when they are not."""
    try:
        return printable(value.decode()) or '""'
    except UnicodeDecodeError:
        return f"{value.hex()}  (not UTF-8)"


def flags(number):
    """The properties that the number gives an unknown option (RFC 7252 section 5.4.6)."""
    words = ["critical" if number & 1 else "elective"]
    words.append("unsafe to forward" if number & 2 else "safe to forward")
    if number & 0x1E == 0x1C:
        words.append("no cache key")
    return ", ".join(words)


def _unknown(number, value):
    shown = value.hex() or "empty"
    if 0 < len(value) and all(32 <= byte < 127 for byte in value):
        shown += f' "{value.decode()}"'
    return f"{shown}  ({flags(number)})"


def _number(kind, number, registry, is_request):
    if kind == SECONDS:
        return f"{number} s"
    if kind == FORMAT:
        return f"{number}  {registry.media_type(number) or _unnamed_format(number)}"
    if kind == OBSERVE and is_request:
        return f"{number}  " + {0: "register", 1: "deregister"}.get(number, "not defined")
    if kind == BLOCK:
        exponent = number & 7
        size = f"{16 << exponent} bytes a block" if exponent < 7 else "size 7 is reserved"
        more = "more follow" if number & 8 else "no more"
        return f"block {number >> 4}, {more}, {size}"
    return str(number)


def _unnamed_format(number):
    return "experimental" if number >= 65000 else "not known here"
