"""CBOR (RFC 8949) to objects: the part that configuration needs. For large bodies see `reader`."""

import struct

from micropython import const

from msgin5g.cbor.reader import (
    ARRAY,
    BYTES,
    MAX_DEPTH,
    NINT,
    SIMPLE,
    TEXT,
    UINT,
    CborError,
    Reader,
)

_MAX_ITEMS = const(1000)


def loads(data, max_items=_MAX_ITEMS):
    """The one item that `data` holds: int, bytes, str, list, dict, bool, None or float.

    Tags are dropped, so big integers of tags 2 and 3 stay byte strings. max_items: how many items
    it may hold, keys too. Each takes 32 bytes of heap or more, however few bytes it has in CBOR.
    """
    reader = Reader(data)
    reader.n_left = max_items
    item = _item(reader)
    if reader.i != reader.end:
        raise CborError("bytes after the item")
    return item


def _item(reader, depth=MAX_DEPTH):
    """One item as an object: int, bytes, str, list, dict, bool, None or float."""
    reader.n_left -= 1
    if reader.n_left < 0:
        raise CborError("too many items")
    major = reader.peek()
    if major == TEXT:
        return _decoded(reader.string(TEXT))
    if major == BYTES:
        return reader.string(BYTES)
    reader.head()
    n = reader.argument
    if major == UINT:
        return n
    if major == NINT:
        return -1 - n
    if major == SIMPLE:
        return _simple(reader)
    if depth == 0:
        raise CborError("too deep")
    if major == ARRAY:
        items = []
        while reader.more(n):
            items.append(_item(reader, depth - 1))
            n -= n > 0
        return items
    pairs = {}
    while reader.more(n):
        if reader.peek() not in (UINT, NINT, BYTES, TEXT):
            raise CborError("a key that is not a number or a string")
        key = _item(reader, 0)
        if key in pairs:
            raise CborError("a key that comes twice")
        pairs[key] = _item(reader, depth - 1)
        n -= n > 0
    return pairs


def _decoded(raw):
    try:
        return str(raw, "utf-8")
    except UnicodeError:
        raise CborError("text that is not UTF-8")


def _simple(reader):
    """The value of major type 7, whose head has just been read."""
    low = reader.first & 31
    if 20 <= low <= 23:
        return None if low > 21 else low == 21
    if low == 25:
        return _half(reader.argument)
    if low == 26:
        return struct.unpack(">f", reader.view[reader.i - 4 : reader.i])[0]
    if low == 27:
        return struct.unpack(">d", reader.view[reader.i - 8 : reader.i])[0]
    # 31 is a break out of place.
    raise CborError("simple")


def _half(bits):
    """RFC 8949 appendix D."""
    exponent = (bits >> 10) & 31
    fraction = bits & 0x3FF
    if exponent == 0:
        value = fraction / 16777216
    elif exponent < 31:
        value = (fraction + 1024) * (2.0**exponent) / 33554432
    else:
        value = float("nan") if fraction else float("inf")
    return -value if bits & 0x8000 else value
