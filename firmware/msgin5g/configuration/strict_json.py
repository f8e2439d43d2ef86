"""JSON as RFC 8259 has it and no more: the interpreter's own parser takes much that is not JSON.

One pass, linear work, recursion no deeper than the limit. The values are the interpreter's own:
dict, list, str, int, float, bool, None. Stricter than RFC 8259 where two readers could differ
(RFC 7493): no key twice in an object, no lone surrogate, integers within 2**53, and numbers of
at most 32 characters and within the single precision of a board.
"""

from binascii import unhexlify

from micropython import const

MAX_DEPTH = const(8)

_NUMBER_BYTES = b"+-.0123456789Ee"
_MAX_NUMBER_SIZE = const(32)  # keeps int() and float() from quadratic work
_MAX_FLOAT = 3.4e38  # a board's floats have 32 bits; beyond this they are infinite
_ESCAPES = b'"\\/bfnrt'
_ESCAPED = b'"\\/\b\f\n\r\t'


class JsonFault(Exception):
    """Not JSON, or not JSON that is taken here; `str()` gives the rule and the byte."""


def parse(text, max_depth=MAX_DEPTH):
    """The value that `text` (bytes) holds; JsonFault for any other bytes."""
    parser = _Parser(text)
    value = parser.value(max_depth)
    parser.end()
    return value


class _Parser:
    """A cursor over `text`."""

    def __init__(self, text):
        self._text = text
        self._i = 0

    def value(self, depth):
        """Pass a value in which `depth` containers may be nested."""
        c = self._next()
        if c == 0x22:
            return self._string()
        if c in b"-0123456789":
            return self._number()
        if c not in b"{[":
            return self._literal()
        if not depth:
            self._fault("nested too deep")
        self._i += 1
        value = {} if c == 0x7B else []
        end = c + 2  # ] and } follow their openers by two
        if self._next() == end:
            self._i += 1
            return value
        while True:
            if c == 0x7B:
                key = self._key(value)
                value[key] = self.value(depth - 1)
            else:
                value.append(self.value(depth - 1))
            after = self._next()
            if after != 0x2C and after != end:
                self._fault("no comma and no " + chr(end))
            self._i += 1
            if after == end:
                return value

    def end(self):
        self._next()
        if self._i < len(self._text):
            self._fault("text after the end")

    def _fault(self, rule):
        raise JsonFault("JSON: " + rule + " at byte " + str(self._i))

    def _next(self):
        """The next byte after white space, left uneaten; at the end 0, which begins nothing."""
        text = self._text
        i = self._i
        while i < len(text) and text[i] in b" \t\n\r":
            i += 1
        self._i = i
        return text[i] if i < len(text) else 0

    def _key(self, container):
        if self._next() != 0x22:
            self._fault("no key")
        key = self._string()
        if key in container:
            self._fault("key " + key[:32] + " twice")
        if self._next() != 0x3A:
            self._fault("no colon")
        self._i += 1
        return key

    def _literal(self):
        for word, value in ((b"true", True), (b"false", False), (b"null", None)):
            if self._text[self._i : self._i + len(word)] == word:
                self._i += len(word)
                return value
        return self._fault("no value")

    def _number(self):
        text = self._text
        start = end = self._i
        while end < len(text) and text[end] in _NUMBER_BYTES:
            end += 1
        digits = str(text[start:end], "utf-8")
        # RFC 8259 section 6: -whole.fraction e+exponent
        whole, exp, exponent = digits.lower().partition("e")
        whole, dot, fraction = whole.partition(".")
        if whole[0] == "-":
            whole = whole[1:]
        if exponent[:1] in ("+", "-"):
            exponent = exponent[1:]
        if (
            not whole.isdigit()
            or (whole[0] == "0" and whole != "0")
            or (dot and not fraction.isdigit())
            or (exp and not exponent.isdigit())
            or len(digits) > _MAX_NUMBER_SIZE
        ):
            self._fault("not a number, or over 32 characters")
        try:
            value = int(digits)
            if value >> 53 not in (0, -1):
                self._fault("beyond 2**53")
        except ValueError:
            value = float(digits)
            if not -_MAX_FLOAT < value < _MAX_FLOAT:
                self._fault("beyond 3.4e38")
        self._i = end
        return value

    def _string(self):
        text = self._text
        self._i = i = self._i + 1
        start = i
        decoded = None  # what came before `start`, once there was an escape
        while True:
            if i >= len(text):
                self._fault("no end of string")
            self._i = i
            c = text[i]
            if c == 0x22:
                break
            i += 1
            if c < 0x20:
                self._fault("control character")
            elif c == 0x5C:
                decoded = decoded or bytearray()
                decoded.extend(text[start : self._i])
                decoded.extend(self._escape())
                start = i = self._i
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
                    self._fault("not UTF-8")
        self._i += 1
        raw = text[start:i]
        if decoded is not None:
            decoded.extend(raw)
            raw = decoded
        try:
            return str(raw, "utf-8")
        except UnicodeError:
            self._fault("not UTF-8")

    def _escape(self):
        """Pass one escape; its bytes, UTF-8."""
        text = self._text
        i = self._i + 1
        self._i = i + 1
        c = text[i : i + 1]
        if c == b"u":
            code = self._hex()
            if 0xD800 <= code < 0xE000:
                # RFC 8259 section 7: two escapes make one character beyond U+FFFF.
                low = 0
                if code < 0xDC00 and text[self._i : self._i + 2] == b"\\u":
                    self._i += 2
                    low = self._hex()
                if not 0xDC00 <= low < 0xE000:
                    self._fault("half a surrogate pair")
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            return chr(code).encode()
        i = _ESCAPES.find(c)
        if not c or i < 0:
            self._fault("no such escape")
        return _ESCAPED[i : i + 1]

    def _hex(self):
        """Pass four hexadecimal digits; their number."""
        try:
            high, low = unhexlify(self._text[self._i : self._i + 4])
        except ValueError:
            self._fault("not four hex digits")
        self._i += 4
        return high << 8 | low
