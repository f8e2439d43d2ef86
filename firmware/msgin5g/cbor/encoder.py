"""CBOR (RFC 8949) written: the part that configuration needs."""

from msgin5g.cbor.reader import ARRAY, BYTES, MAP, NINT, TEXT, UINT, CborError


def dumps(value):
    """`value` (int, bytes, str, list, tuple, dict, bool or None) as bytes.

    Lengths are shortest and keys in the order of their bytes (RFC 8949 section 4.2.1), so equal
    values give equal bytes on an interpreter whose dict has no order.
    """
    out = bytearray()
    _write(out, value)
    return bytes(out)


def array_of(items):
    """An array of items that are CBOR already."""
    out = bytearray()
    write_head(out, ARRAY, len(items))
    for item in items:
        out.extend(item)
    return out


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
