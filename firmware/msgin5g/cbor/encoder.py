"""CBOR (RFC 8949) to objects and back, the part that configuration needs.

int, bytes, str, list, dict, bool, None and float; tags are dropped, so big integers of tags 2
and 3 stay byte strings. For bodies that are large see `cbor_reader`.
"""

import struct

from msgin5g.cbor.decoder import (
    ARRAY,
    BYTES,
    MAP,
    MAX_DEPTH,
    NINT,
    SIMPLE,
    TEXT,
    UINT,
    CborError,
    Reader,
)


def loads(data):
    """The one item that `data` holds."""
    reader = Reader(data)
    item = _item(reader)
    if reader.i != reader.end:
        raise CborError("bytes after the item")
    return item


def _item(reader, depth=MAX_DEPTH):
    """One item as an object: int, bytes, str, list, dict, bool, None or float."""
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


def dumps(value):
    """`value` (int, bytes, str, list, tuple, dict, bool or None) as bytes.

    Lengths are shortest and keys in the order of their bytes (RFC 8949 section 4.2.1), so equal
    values give equal bytes on an interpreter whose dict has no order.
    """
    out = bytearray()
    _write(out, value)
    return bytes(out)


def write_head(out, major, number):
    """Append a head with the shortest argument to a bytearray."""
    major <<= 5
    if number < 24:
        out.append(major | number)
        return
    low = 24
    while number >> (8 << (low - 24)):
        low += 1
        if low > 27:
            raise CborError("a number beyond 64 bits")
    out.append(major | low)
    out.extend(number.to_bytes(1 << (low - 24), "big"))


def _write(out, value):
    if value is None:
        out.append(0xF6)
    elif value is True or value is False:
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        write_head(out, UINT if value >= 0 else NINT, value if value >= 0 else -1 - value)
    elif isinstance(value, str):
        raw = value.encode()
        write_head(out, TEXT, len(raw))
        out.extend(raw)
    elif isinstance(value, (bytes, bytearray)):
        write_head(out, BYTES, len(value))
        out.extend(value)
    elif isinstance(value, (list, tuple)):
        write_head(out, ARRAY, len(value))
        for item in value:
            _write(out, item)
    elif isinstance(value, dict):
        write_head(out, MAP, len(value))
        # No two keys are equal, so it does not matter that the sort is not stable.
        for key, item in sorted((dumps(k), v) for k, v in value.items()):
            out.extend(key)
            _write(out, item)
    else:
        raise CborError("a value of a kind that is not written")
