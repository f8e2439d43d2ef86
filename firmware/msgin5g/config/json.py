"""A strict parser of JSON (RFC 8259): MicroPython's own takes much that is not JSON.

One pass, linear work, recursion no deeper than a limit. The values are dict, list, str, int,
float, bool and None. The parser is stricter than RFC 8259 where two readers could differ
(RFC 7493): no key twice in an object, no lone surrogate, integers within 2**53, and numbers of
at most 32 characters and within the single precision of a board.
"""

from binascii import unhexlify

from micropython import const

_MAX_DEPTH = const(8)
_NUMBER_BYTES = const(b"+-.0123456789Ee")
_WHOLE = const("-0123456789")
_MAX_NUMBER_SIZE = const(32)  # keeps int() and float() from quadratic work
_MAX_FLOAT = const(3.4e38)  # a board's floats have 32 bits; beyond this they are infinite
_ESCAPES = const(b'"\\/bfnrt')
_ESCAPED = const(b'"\\/\b\f\n\r\t')


class JsonError(Exception):
    """Not JSON, or JSON beyond our limits; `str()` gives the rule and the position in bytes."""


def loads(text):
    """The value of a JSON text, bytes or a memoryview; JsonError for all other bytes."""
    parser = _Parser(text)
    value = parser.value(_MAX_DEPTH)
    parser.next()
    if parser.i < len(text):
        parser.fail("text after the end")
    return value


class _Parser:
    """A cursor in `text`, a memoryview, at index `i`: what is passed over is not copied."""

    def __init__(self, text):
        self.text = memoryview(text)
        self.i = 0

    def value(self, depth):
        """Read a value in which up to `depth` containers are nested."""
        c = self.next()
        if c == 0x22:
            return self.string()
        if c in b"-0123456789":
            return self.number()
        if c not in b"{[":
            return self.literal()
        if not depth:
            self.fail("nested too deep")
        self.i += 1
        value = {} if c == 0x7B else []
        end = c + 2  # ] and } follow their openers by two
        after = 0
        if self.next() == end:
            self.i += 1
            return value
        while after != end:
            if c == 0x5B:
                value.append(self.value(depth - 1))
            else:
                if self.next() != 0x22:
                    self.fail("no key")
                key = self.string()
                if key in value:
                    self.fail("key %s twice" % key[:32])
                if self.next() != 0x3A:
                    self.fail("no colon")
                self.i += 1
                value[key] = self.value(depth - 1)
            after = self.next()
            if after != 0x2C and after != end:
                self.fail("no comma and no %c" % end)
            self.i += 1
        return value

    def fail(self, rule):
        raise JsonError("JSON: %s at byte %d" % (rule, self.i))

    def next(self):
        """Skip white space; the byte behind it, not read yet, or 0 at the end."""
        text = self.text
        i = self.i
        while i < len(text) and text[i] in b" \t\n\r":
            i += 1
        self.i = i
        return text[i] if i < len(text) else 0

    def literal(self):
        for word, value in ((b"true", True), (b"false", False), (b"null", None)):
            if self.text[self.i : self.i + len(word)] == word:
                self.i += len(word)
                return value
        return self.fail("no value")

    def number(self):
        text = self.text
        end = self.i
        while end < len(text) and text[end] in _NUMBER_BYTES:
            end += 1
        end = min(end, self.i + _MAX_NUMBER_SIZE + 1)
        digits = str(text[self.i : end], "utf-8").lower()
        # int() and float() take numbers of these characters that RFC 8259 section 6 excludes.
        bare = digits[1:] if digits[:1] == "-" else digits
        if (
            not (bare[:1].isdigit() and bare[-1:].isdigit())
            or (bare[:1] == "0" and bare[1:2].isdigit())
            or ".e" in bare
            or len(digits) > _MAX_NUMBER_SIZE
        ):
            digits = ""
        try:
            if digits.strip(_WHOLE):
                value = float(digits)
                if not -_MAX_FLOAT < value < _MAX_FLOAT:
                    self.fail("beyond 3.4e38")
            else:
                value = int(digits)
                if value >> 53 not in (0, -1):
                    self.fail("beyond 2**53")
        except ValueError:
            self.fail("not a number, or over 32 characters")
        self.i = end
        return value

    def string(self):
        text = self.text
        self.i = start = i = self.i + 1
        size = 0  # of the string before `after`
        after = i  # the last escape ends here
        c = 0
        while c != 0x22:
            if i >= len(text):
                self.fail("no end of string")
            self.i = i
            c = text[i]
            i += 1
            if c < 0x20:
                self.fail("control character")
            if c == 0x5C:
                size += self.i - after + len(self.escape())
                after = i = self.i
            elif c > 0xBF:
                # RFC 3629 section 4. MicroPython's str() below does not check these second bytes.
                pair = c << 8 | (text[i] if i < len(text) else 0)
                if (
                    pair < 0xC200
                    or 0xE000 <= pair < 0xE0A0
                    or 0xEDA0 <= pair < 0xEE00
                    or 0xF000 <= pair < 0xF090
                    or 0xF490 <= pair
                ):
                    self.fail("not UTF-8")
        string = text[start : i - 1]
        if after != start:
            string = self.unescaped(start, i - 1, size + i - 1 - after)
        self.i = i
        try:
            return str(string, "utf-8")
        except UnicodeError:
            self.fail("not UTF-8")

    def unescaped(self, i, end, size):
        """text[i:end] without its escapes, `size` bytes: a buffer that does not grow."""
        text = self.text
        out = bytearray(size)
        n = 0
        while i < end:
            if text[i] == 0x5C:
                self.i = i
                for c in self.escape():
                    out[n] = c
                    n += 1
                i = self.i
            else:
                out[n] = text[i]
                n += 1
                i += 1
        return out

    def escape(self):
        """Read one escape; its character in UTF-8."""
        text = self.text
        i = self.i + 1
        self.i = i + 1
        c = bytes(text[i : i + 1])
        if c == b"u":
            code = self.hex()
            if 0xD800 <= code < 0xE000:
                # RFC 8259 section 7: two escapes stand for one character beyond U+FFFF.
                low = 0
                if code < 0xDC00 and text[self.i : self.i + 2] == b"\\u":
                    self.i += 2
                    low = self.hex()
                if not 0xDC00 <= low < 0xE000:
                    self.fail("half a surrogate pair")
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            return chr(code).encode()
        i = _ESCAPES.find(c)
        if not c or i < 0:
            self.fail("no such escape")
        return _ESCAPED[i : i + 1]

    def hex(self):
        """Read four hexadecimal digits; their number."""
        try:
            high, low = unhexlify(self.text[self.i : self.i + 4])
        except ValueError:
            self.fail("not four hex digits")
        self.i += 4
        return high << 8 | low
