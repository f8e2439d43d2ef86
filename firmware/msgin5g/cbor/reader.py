"""CBOR (RFC 8949) read in place: a cursor that makes no objects of what it passes over.

Depth and the keys of a map are bounded, tags are read and dropped. CborError for what is not
well-formed, nested too deep, or a map with two equal keys (RFC 8949 section 5.6).
"""

from micropython import const

MAX_DEPTH = const(8)
MAX_KEYS = const(64)

UINT = const(0)
NINT = const(1)
BYTES = const(2)
TEXT = const(3)
ARRAY = const(4)
MAP = const(5)
_TAG = const(6)
SIMPLE = const(7)
_BREAK = const(0xFF)


class CborError(Exception):
    """Bytes that are not CBOR, or not CBOR that is taken here."""


class Reader:
    """A cursor over `view[i:end]`; each call reads one head or one item and moves on.

    skips_keys: `skip` does not look for equal keys, because nobody reads them.
    """

    skips_keys = False

    def __init__(self, view, i=0, end=None):
        self.view = view
        self.i = i
        self.end = len(view) if end is None else end
        self.first = 0
        self.argument = 0
        self.ends = None

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
            raise CborError("length")
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
            raise CborError("no array" if major == ARRAY else "no map")
        return self.argument

    def begin_items(self):
        """Enter an array, and give the number of its items; 1 before anything else: it is one."""
        return self.begin(ARRAY) if self.peek() == ARRAY else 1

    def more(self, n):
        """Whether one of the last n items is still to come; for -1, reads the closing break."""
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
            raise CborError("no string")
        if self.argument >= 0:
            return self._take(self.argument)
        start = self.i
        size = self._skip_chunks(major)
        whole = bytearray(size)  # not a list of chunks, which takes 16 times their bytes
        room = memoryview(whole)
        self.i = start
        size = 0
        while self.more(-1):
            self.head()
            start = self.i
            self.i += self.argument
            room[size : size + self.argument] = self.view[start : self.i]
            size += self.argument
        return bytes(whole)

    def _skip_chunks(self, major):
        """Pass over the chunks of a string; the sum of their sizes."""
        size = 0
        while self.more(-1):
            if self.head() != major or self.argument < 0:
                raise CborError("no chunk")
            if self.argument > self.end - self.i:
                raise CborError("cut off")
            self.i += self.argument
            size += self.argument
        return size

    def _take(self, size):
        start = self.i
        if size > self.end - start:
            raise CborError("cut off")
        self.i = start + size
        return bytes(self.view[start : self.i])

    def text(self, i):
        """The bytes of the text string that begins at `i`."""
        self.i = i
        return self.string(TEXT)

    def text_in_place(self, i):
        """The same without a copy, as a memoryview; a text that came in chunks is joined."""
        self.i = i
        self._untag()
        if self.head() != TEXT or self.argument < 0:
            return self.text(i)
        start = self.i
        self.i = start + self.argument
        if self.i > self.end:
            raise CborError("cut off")
        return memoryview(self.view)[start : self.i]

    def texts(self, i, key):
        """The bytes of each text string in an array, one after the other.

        The array is the value of `key` in the map that begins at `i`; none when it is not there.
        """
        self.i = i
        self.i = self.find((key,))[0]
        if self.i is None:
            return
        n = self.begin(ARRAY)
        while self.more(n):
            yield self.string(TEXT)
            n -= n > 0

    def find(self, keys):
        """Pass over a map with text keys; the list of where the values of `keys` begin.

        None stands for a key that it has not. `ends` is the list of where they end.
        """
        found = [None] * len(keys)
        self.ends = ends = [None] * len(keys)
        others = []
        n = self.begin(MAP)
        while self.more(n):
            key = self.string(TEXT)
            start = self.i
            self.skip()
            if key not in keys:
                _add_key(others, key)
            else:
                k = keys.index(key)
                if found[k] is not None:
                    raise CborError("a key that comes twice")
                found[k] = start
                ends[k] = self.i
            n -= n > 0
        return found

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
            self._skip_chunks(major)
        elif major == ARRAY or major == MAP or major == _TAG:
            if depth == 0:
                raise CborError("too deep")
            if major == _TAG:
                n = 1
            keys = [] if major == MAP and not self.skips_keys else None
            while self.more(n):
                if major == MAP:
                    start = self.i
                    self.skip(depth - 1)
                    if keys is not None:
                        _add_key(keys, bytes(self.view[start : self.i]))
                self.skip(depth - 1)
                n -= n > 0
        elif (major == SIMPLE and not 20 <= self.first & 31 <= 27) or self.first == 0xF8:
            # 31 is a break out of place.
            raise CborError("simple")


def _add_key(keys, key):
    """Note one more key of a map."""
    if key in keys:
        raise CborError("a key that comes twice")
    if len(keys) >= MAX_KEYS:
        raise CborError("too many keys")
    keys.append(key)
