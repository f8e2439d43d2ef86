"""The part of CBOR (RFC 8949) that configuration needs, with bounded depth and linear work.

`Reader` walks over an item in place, so that a large document is not turned into objects;
`loads` and `dumps` are for the small ones. Tags are read and dropped; big integers of tags 2
and 3 stay byte strings. CborError for anything that is not well-formed, or nested too deep.
"""

import struct

from micropython import const

MAX_DEPTH = const(8)

UINT = const(0)
NINT = const(1)
BYTES = const(2)
TEXT = const(3)
ARRAY = const(4)
MAP = const(5)
_TAG = const(6)
_SIMPLE = const(7)
_BREAK = const(0xFF)


class CborError(Exception):
    """Bytes that are not CBOR, or not CBOR that is taken here."""


class Reader:
    """A cursor over `view[i:end]`; each call reads one head or one item and moves on."""

    def __init__(self, view, i=0, end=None):
        self.view = view
        self.i = i
        self.end = len(view) if end is None else end
        self.first = 0
        self.argument = 0

    def head(self):
        """Read a head; give the major type. `argument` is its number, -1 for indefinite."""
        i = self.i
        view = self.view
        if i >= self.end:
            raise CborError("cut off")
        self.first = first = view[i]
        i += 1
        low = first & 31
        if low < 24:
            self.argument = low
        elif low < 28:
            stop = i + (1 << (low - 24))
            if stop > self.end:
                raise CborError("cut off")
            number = 0
            while i < stop:
                number = (number << 8) | view[i]
                i += 1
            self.argument = number
        elif low == 31 and first >> 5 not in (UINT, NINT, _TAG):
            self.argument = -1
        else:
            raise CborError("reserved length")
        self.i = i
        return first >> 5

    def peek(self):
        """The major type of the item that comes, tags left out, without reading it."""
        self._untag()
        if self.i >= self.end:
            raise CborError("cut off")
        return self.view[self.i] >> 5

    def _untag(self):
        while self.i < self.end and self.view[self.i] >> 5 == _TAG:
            self.head()

    def begin(self, major):
        """Enter an array or a map; give the number of its items or pairs, -1 for indefinite."""
        self._untag()
        if self.head() != major:
            raise CborError("an array was expected" if major == ARRAY else "a map was expected")
        return self.argument

    def more(self, n):
        """Whether the n-th from last item is still to come; for -1, eats the closing break."""
        if n >= 0:
            return n > 0
        if self.i < self.end and self.view[self.i] == _BREAK:
            self.i += 1
            return False
        return True

    def string(self, major):
        """The bytes of a byte or text string, joined when they came in chunks."""
        self._untag()
        if self.head() != major:
            raise CborError("a string was expected")
        if self.argument >= 0:
            return self._take(self.argument)
        chunks = []
        while self.more(-1):
            if self.head() != major or self.argument < 0:
                raise CborError("a chunk was expected")
            chunks.append(self._take(self.argument))
        return b"".join(chunks)

    def text(self):
        """A text string as str; CborError when it is not UTF-8."""
        return _decoded(self.string(TEXT))

    def _take(self, size):
        start = self.i
        if size > self.end - start:
            raise CborError("cut off")
        self.i = start + size
        return bytes(self.view[start : self.i])

    def skip(self, depth=MAX_DEPTH):
        """Pass over one item, checking that it is well-formed."""
        major = self.head()
        n = self.argument
        if major == TEXT or major == BYTES:
            if n >= 0:
                if n > self.end - self.i:
                    raise CborError("cut off")
                self.i += n
                return
            while self.more(-1):
                if self.head() != major or self.argument < 0:
                    raise CborError("a chunk was expected")
                if self.argument > self.end - self.i:
                    raise CborError("cut off")
                self.i += self.argument
        elif major == ARRAY or major == MAP or major == _TAG:
            if depth == 0:
                raise CborError("nested too deep")
            if major == _TAG:
                n = 1
            while self.more(n):
                self.skip(depth - 1)
                if major == MAP:
                    self.skip(depth - 1)
                n -= n > 0
        elif major == _SIMPLE:
            self._simple()

    def _simple(self):
        """The value of major type 7, whose head has just been read."""
        low = self.first & 31
        if 20 <= low <= 23:
            return None if low > 21 else low == 21
        if low == 25:
            return _half(self.argument)
        if low == 26:
            return struct.unpack(">f", self.view[self.i - 4 : self.i])[0]
        if low == 27:
            return struct.unpack(">d", self.view[self.i - 8 : self.i])[0]
        # 31 is a break out of place.
        raise CborError("a simple value that has no meaning")

    def item(self, depth=MAX_DEPTH):
        """One item as an object: int, bytes, str, list, dict, bool, None or float."""
        major = self.peek()
        if major == TEXT:
            return self.text()
        if major == BYTES:
            return self.string(BYTES)
        self.head()
        n = self.argument
        if major == UINT:
            return n
        if major == NINT:
            return -1 - n
        if major == _SIMPLE:
            return self._simple()
        if depth == 0:
            raise CborError("nested too deep")
        if major == ARRAY:
            items = []
            while self.more(n):
                items.append(self.item(depth - 1))
                n -= n > 0
            return items
        pairs = {}
        while self.more(n):
            if self.peek() not in (UINT, NINT, BYTES, TEXT):
                raise CborError("a key that is not a number or a string")
            key = self.item(0)
            if key in pairs:
                raise CborError("a key that comes twice")
            pairs[key] = self.item(depth - 1)
            n -= n > 0
        return pairs


def _decoded(raw):
    try:
        return str(raw, "utf-8")
    except UnicodeError:
        raise CborError("text that is not UTF-8")


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


def loads(data):
    """The one item that `data` holds."""
    reader = Reader(data)
    item = reader.item()
    if reader.i != reader.end:
        raise CborError("bytes after the item")
    return item


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
