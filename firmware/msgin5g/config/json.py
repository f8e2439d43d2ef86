"""JSON as RFC 8259 has it and no more: the interpreter's own parser takes much that is not JSON.

One pass, linear work, recursion no deeper than the limit. The values are the interpreter's own:
dict, list, str, int, float, bool, None. Stricter than RFC 8259 where two readers could differ
(RFC 7493): no key twice in an object, no lone surrogate, integers within 2**53, and numbers of
at most 32 characters and within the single precision of a board.
"""

from binascii import unhexlify

from micropython import const

MAX_DEPTH = const(8)

_NUMBER_BYTES = const(b"+-.0123456789Ee")
_WHOLE = const("-0123456789")
_MAX_NUMBER_SIZE = const(32)  # keeps int() and float() from quadratic work
_MAX_FLOAT = const(3.4e38)  # a board's floats have 32 bits; beyond this they are infinite
_ESCAPES = const(b'"\\/bfnrt')
_ESCAPED = const(b'"\\/\b\f\n\r\t')


class JsonFault(Exception):
    """Not JSON, or not JSON that is taken here; `str()` gives the rule and the byte."""


def parse(text, max_depth=MAX_DEPTH):
    """The value that `text` (bytes) holds; JsonFault for any other bytes."""
    parser = _Parser(text)
    value = parser.value(max_depth)
    parser.next()
    if parser.i < len(text):
        parser.fault("text after the end")
    return value


class _Parser:
    """A cursor over `text`: `i` is where it is."""

    def __init__(self, text):
        self.text = text
        self.i = 0

    def value(self, depth):
        """Pass a value in which `depth` containers may be nested."""
        c = self.next()
        if c == 0x22:
            return self.string()
        if c in b"-0123456789":
            return self.number()
        if c not in b"{[":
            return self.literal()
        if not depth:
            self.fault("nested too deep")
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
                    self.fault("no key")
                key = self.string()
                if key in value:
                    self.fault("key %s twice" % key[:32])
                if self.next() != 0x3A:
                    self.fault("no colon")
                self.i += 1
                value[key] = self.value(depth - 1)
            after = self.next()
            if after != 0x2C and after != end:
                self.fault("no comma and no %c" % end)
            self.i += 1
        return value

    def fault(self, rule):
        raise JsonFault("JSON: %s at byte %d" % (rule, self.i))

    def next(self):
        """The next byte after white space, left uneaten; at the end 0, which begins nothing."""
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
        return self.fault("no value")

    def number(self):
        text = self.text
        end = self.i
        while end < len(text) and text[end] in _NUMBER_BYTES:
            end += 1
        digits = str(text[self.i : end], "utf-8").lower()
        # What RFC 8259 section 6 has not, of all that int() and float() take of these characters.
        bare = digits[1:] if digits[0] == "-" else digits
        if (
            not (bare[:1].isdigit() and bare[-1].isdigit())
            or (bare[0] == "0" and bare[1:2].isdigit())
            or ".e" in bare
            or len(digits) > _MAX_NUMBER_SIZE
        ):
            digits = ""
        try:
            if digits.strip(_WHOLE):
                value = float(digits)
                if not -_MAX_FLOAT < value < _MAX_FLOAT:
                    self.fault("beyond 3.4e38")
            else:
                value = int(digits)
                if value >> 53 not in (0, -1):
                    self.fault("beyond 2**53")
        except ValueError:
            self.fault("not a number, or over 32 characters")
        self.i = end
        return value

    def string(self):
        text = self.text
        self.i = start = i = self.i + 1
        decoded = bytearray()  # what came before `start`
        c = 0
        while c != 0x22:
            if i >= len(text):
                self.fault("no end of string")
            self.i = i
            c = text[i]
            i += 1
            if c < 0x20:
                self.fault("control character")
            if c == 0x5C:
                decoded.extend(text[start : self.i])
                decoded.extend(self.escape())
                start = i = self.i
            elif c > 0xBF:
                # RFC 3629 section 4; what it says of other bytes, str() below checks.
                pair = c << 8 | (text[i] if i < len(text) else 0)
                if (
                    pair < 0xC200
                    or 0xE000 <= pair < 0xE0A0
                    or 0xEDA0 <= pair < 0xEE00
                    or 0xF000 <= pair < 0xF090
                    or 0xF490 <= pair
                ):
                    self.fault("not UTF-8")
        self.i = i
        decoded.extend(text[start : i - 1])
        try:
            return str(decoded, "utf-8")
        except UnicodeError:
            self.fault("not UTF-8")

    def escape(self):
        """Pass one escape; its bytes, UTF-8."""
        text = self.text
        i = self.i + 1
        self.i = i + 1
        c = text[i : i + 1]
        if c == b"u":
            code = self.hex()
            if 0xD800 <= code < 0xE000:
                # RFC 8259 section 7: two escapes make one character beyond U+FFFF.
                low = 0
                if code < 0xDC00 and text[self.i : self.i + 2] == b"\\u":
                    self.i += 2
                    low = self.hex()
                if not 0xDC00 <= low < 0xE000:
                    self.fault("half a surrogate pair")
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            return chr(code).encode()
        i = _ESCAPES.find(c)
        if not c or i < 0:
            self.fault("no such escape")
        return _ESCAPED[i : i + 1]

    def hex(self):
        """Pass four hexadecimal digits; their number."""
        try:
            high, low = unhexlify(self.text[self.i : self.i + 4])
        except ValueError:
            self.fault("not four hex digits")
        self.i += 4
        return high << 8 | low
