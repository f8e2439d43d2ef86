"""The message format of RFC 7252 section 3, read and written with one cursor over one buffer.

     0                   1                   2                   3
    |Ver| T |  TKL  |      Code     |          Message ID           |
    |   Token (TKL bytes) ...
    |   Options ...
    |1 1 1 1 1 1 1 1|    Payload ...

A `Message` is a view: decoding notes where each option is and copies nothing. It is valid until
the next `decode` on it. TKL 13 and 14 are the extended tokens of RFC 8974.
"""

from array import array

from micropython import const

# The module, not its names: MicroPython finds a builtin such as len sooner among few names.
from msgin5g.coap import numbers as registry

_ONCE = const(0x10000)
_FILLED = const(0x20000)  # at least one byte
# The options that somebody here reads, with the largest size of their values: RFC 7252 section
# 5.10, RFC 7641, 7959, 7967, 8613, 8768, 9175.
_FORMATS = {
    1: 8,  # If-Match
    registry.URI_HOST: _ONCE | _FILLED | 255,
    registry.ETAG: _FILLED | 8,
    5: _ONCE,  # If-None-Match
    registry.OBSERVE: _ONCE | 3,
    7: _ONCE | 2,  # Uri-Port
    9: _ONCE | 255,  # OSCORE
    registry.URI_PATH: 255,
    registry.CONTENT_FORMAT: _ONCE | 2,
    registry.MAX_AGE: _ONCE | 4,
    registry.URI_QUERY: 255,
    16: _ONCE | 255,  # Hop-Limit; RFC 8768 section 3: its value is wrong then, which is 4.00
    registry.ACCEPT: _ONCE | 2,
    registry.BLOCK2: _ONCE | 3,
    27: _ONCE | 3,  # Block1
    registry.SIZE2: _ONCE | 4,
    registry.ECHO: _ONCE | _FILLED | 40,
    registry.NO_RESPONSE: _ONCE | 1,
}
_PRIVATE = const(0x300FF)  # the Recipient, whose number is a setting: _ONCE | _FILLED | 255
_FIRST_PRIVATE = const(65000)  # RFC 7252 section 12.2: for experiments

_PAYLOAD_MARKER = const(0xFF)
_MAX_TOKEN_SIZE = const(65804)  # RFC 8974 section 2.1: 269 + 65535


class MessageFormatError(Exception):
    """The peer's fault: bytes that are not a CoAP message (RFC 7252 section 3)."""


class BufferTooSmall(Exception):
    """Our fault, or a setting's: a message that does not fit the largest datagram."""


class Message:
    """One datagram seen as fields.

    mtype, code, mid: integers. n_options: how many options there are; `numbers[i]`, `starts[i]`
    and `ends[i]` describe option i, in the order of the wire. Of more than max_options those that
    are elective and that nobody here reads are left out (is_full); left_out is the number of an
    unsafe one of these, 0 without. token_start, token_end, payload_start, size: offsets into
    `view`, the datagram.
    """

    left_out = 0
    is_full = False
    _no_room = 0  # the number of a critical option that there is no room for

    def __init__(self, max_options=64):
        # Starts and ends are below 65,536, the largest UDP payload.
        self.numbers = array("H", bytes(2 * max_options))
        self.starts = array("H", bytes(2 * max_options))
        self.ends = array("H", bytes(2 * max_options))
        self.n_options = 0
        self.view = b""
        self.size = 0
        self.mtype = 0
        self.code = 0
        self.mid = 0
        self.token_start = 4
        self.token_end = 4
        self.payload_start = 0

    def decode(self, datagram):
        """Parse `datagram`; MessageFormatError for anything that is not a CoAP message."""
        size = len(datagram)
        if size < 4:
            raise MessageFormatError("too short")
        first = datagram[0]
        if first >> 6 != 1:
            raise MessageFormatError("version")  # section 3: silently ignored
        code = datagram[1]
        i = 4
        token_length = first & 15
        if token_length > 12:
            # RFC 8974 section 2.1: 13 adds one byte, 14 adds two, 15 is reserved.
            if token_length == 13 and size > 4:
                token_length = datagram[4] + 13
                i = 5
            elif token_length == 14 and size > 5:
                token_length = ((datagram[4] << 8) | datagram[5]) + 269
                i = 6
            else:
                raise MessageFormatError("token")
        self.token_start = i
        i += token_length
        if i > size:
            raise MessageFormatError("token")
        if code == 0:
            if size > 4:
                raise MessageFormatError("not empty")  # section 4.1
        elif 31 < code < 64 or code > 191:
            raise MessageFormatError("code class")  # section 12.1
        self.token_end = i
        numbers = self.numbers
        starts = self.starts
        ends = self.ends
        room = len(numbers)
        self.left_out = self._no_room = 0
        n = 0
        number = 0
        while i < size:
            head = datagram[i]
            i += 1
            if head == _PAYLOAD_MARKER:
                if i == size:
                    raise MessageFormatError("no payload")
                break
            delta = head >> 4
            length = head & 15
            # Section 3.1: 13 adds one byte, 14 adds two, 15 is reserved.
            if delta > 12:
                if delta == 13 and i < size:
                    delta = datagram[i] + 13
                    i += 1
                elif delta == 14 and i + 1 < size:
                    delta = ((datagram[i] << 8) | datagram[i + 1]) + 269
                    i += 2
                else:
                    raise MessageFormatError("delta")
            if length > 12:
                if length == 13 and i < size:
                    length = datagram[i] + 13
                    i += 1
                elif length == 14 and i + 1 < size:
                    length = ((datagram[i] << 8) | datagram[i + 1]) + 269
                    i += 2
                else:
                    raise MessageFormatError("length")
            number += delta
            if number > 65535:
                raise MessageFormatError("number")
            start = i
            i += length
            if i > size:
                raise MessageFormatError("length")
            if n >= room:
                if room:
                    room = 0  # from now on each option is looked at
                    n = self._keep_known(n)
                if n == len(numbers) or not _is_known(number):
                    self._leave_out(number)
                    continue
            numbers[n] = number
            starts[n] = start
            ends[n] = i
            n += 1
        self.is_full = not room
        self.view = datagram
        self.size = size
        self.n_options = n
        self.payload_start = i
        self.mtype = (first >> 4) & 3
        self.code = code
        self.mid = (datagram[2] << 8) | datagram[3]
        return self

    def _leave_out(self, number):
        """There is no room for an option."""
        if number & 1:
            self._no_room = number
        if number & 2:
            self.left_out = number

    def _keep_known(self, n):
        """Make room: leave out those of the first n options that may be (RFC 7252 5.4.1)."""
        kept = 0
        for i in range(n):
            number = self.numbers[i]
            if _is_known(number):
                self.numbers[kept] = number
                self.starts[kept] = self.starts[i]
                self.ends[kept] = self.ends[i]
                kept += 1
            else:
                self._leave_out(number)
        return kept

    def critical(self, understood, private=0):
        """The number of the first critical option that cannot be processed, 0 without one.

        It is one that is not understood, whose value has a wrong length, that is repeated though
        it may not be (RFC 7252 sections 5.4.1, 5.4.3, 5.4.5), or a Uri-Path `.` or `..` (5.10.1).
        understood: the numbers below 30 that are, as bits; private: another one.
        """
        numbers = self.numbers
        previous = 0
        for i in range(self.n_options):
            number = numbers[i]
            if number & 1:
                if number < 30:
                    form = _FORMATS.get(number) if understood >> number & 1 else None
                else:
                    form = _PRIVATE if number == private else None
                size = self.ends[i] - self.starts[i]
                if (
                    form is None
                    or size > form & 0xFFFF
                    or (not size and form & _FILLED)
                    or (number == previous and form & _ONCE)
                    or (number == registry.URI_PATH and self.value(i) in (b".", b".."))
                ):
                    return number
            previous = number
        return self._no_room

    def token(self):
        """The token as bytes, which outlive the datagram."""
        return bytes(self.view[self.token_start : self.token_end])

    def payload(self):
        """The payload as bytes, b"" when there is none."""
        return bytes(self.view[self.payload_start : self.size])

    def tail(self):
        """Options and payload, all after the token, as a view for an intermediary to copy."""
        return memoryview(self.view)[self.token_end : self.size]

    def find(self, number):
        """The index of the first option `number`, -1 when there is none.

        One whose value has a wrong length is not there (RFC 7252 section 5.4.3).
        """
        n = self.n_options
        numbers = self.numbers
        # They ascend; in a request most of them are a Uri-Path (11) or a Uri-Query (15).
        if number < 15:
            i = 0
            while i < n and numbers[i] < number:
                i += 1
            if i == n or numbers[i] != number:
                return -1
        else:
            i = n - 1
            while i >= 0 and numbers[i] > number:
                i -= 1
            if i < 0 or numbers[i] != number:
                return -1
            while i and numbers[i - 1] == number:
                i -= 1
        form = _FORMATS.get(number, _PRIVATE)
        size = self.ends[i] - self.starts[i]
        return i if size <= form & 0xFFFF and (size or not form & _FILLED) else -1

    def value(self, i):
        """The value of option i as bytes."""
        return bytes(self.view[self.starts[i] : self.ends[i]])

    def option(self, number):
        """The value of the first option `number` as bytes, None when there is none."""
        i = self.find(number)
        return None if i < 0 else self.value(i)

    def uint(self, number, default=None):
        """The first option `number` as an unsigned integer (section 3.2), or `default`."""
        i = self.find(number)
        if i < 0:
            return default
        start = self.starts[i]
        end = self.ends[i]
        view = self.view
        number = 0  # big-endian; no bytes are 0
        while start < end:
            number = (number << 8) | view[start]
            start += 1
        return number


def _is_known(number):
    """Whether an option must not be left out."""
    return number & 1 or number >= _FIRST_PRIVATE or number in _FORMATS


def uint_bytes(number):
    """The shortest bytes of an unsigned integer: b"" for 0 (section 3.2)."""
    size = 0
    rest = number
    while rest:
        size += 1
        rest >>= 8
    return number.to_bytes(size, "big")


def insert(options, number, value):
    """Insert an option into an ascending list of (number, value), after its equals."""
    i = len(options)
    while i and options[i - 1][0] > number:
        i -= 1
    options.insert(i, (number, value))


def size_of(token, options, payload=b""):
    """The size of a message; the arguments are those of `encode`."""
    n = len(token)
    size = n + 4
    if n > 12:
        size += 1 if n < 269 else 2
    previous = 0
    for number, value in options:
        n = len(value)
        size += n + 1
        if n > 12:
            size += 1 if n < 269 else 2
        n = number - previous
        if n > 12:
            size += 1 if n < 269 else 2
        previous = number
    return size + len(payload) + 1 if payload else size


# A message to be sent is a bytearray. It gets its type and its message ID, which belong to the
# message layer, when it is sent: see `set_header` in retransmission.py.


def datagram_of(max_size, code, token, options, payload=b""):
    """A message in a buffer of its size; None when that is above max_size. See `encode`."""
    n = size_of(token, options, payload)
    if n > max_size:
        return None
    buf = bytearray(n)
    encode(buf, 0, code, 0, token, options, payload)
    return buf


def _extension(n):
    """How many bytes more a length or a delta takes (section 3.1)."""
    return 0 if n < 13 else 1 if n < 269 else 2


def encode(buf, mtype, code, mid, token, options, payload=b""):
    """Write a message into `buf` and return its size.

    options: list of (number, value), values bytes, ascending. BufferTooSmall when it does not
    fit. On a board `buf` should have the size of the message (see size_of): each store of a
    slice moves what lies behind it.
    """
    limit = len(buf)
    n = len(token)
    if (n + 6 > limit and n + 4 + _extension(n) > limit) or n > _MAX_TOKEN_SIZE:
        raise BufferTooSmall("token")
    buf[1] = code
    buf[2] = mid >> 8
    buf[3] = mid & 0xFF
    i = 4
    if n < 13:
        buf[0] = 0x40 | mtype << 4 | n
    elif n < 269:
        buf[0] = 0x4D | mtype << 4
        buf[4] = n - 13
        i = 5
    else:
        buf[0] = 0x4E | mtype << 4
        buf[4] = (n - 269) >> 8
        buf[5] = (n - 269) & 0xFF
        i = 6
    buf[i : i + n] = token
    i += n
    previous = 0
    for number, value in options:
        n = len(value)
        delta = number - previous
        if i + n + 5 > limit and i + n + 1 + _extension(delta) + _extension(n) > limit:
            raise BufferTooSmall("options")
        assert delta >= 0, "options must ascend"
        previous = number
        head = i
        i += 1
        if delta < 13:
            high = delta << 4
        elif delta < 269:
            high = 0xD0
            buf[i] = delta - 13
            i += 1
        else:
            high = 0xE0
            delta -= 269
            buf[i] = delta >> 8
            buf[i + 1] = delta & 0xFF
            i += 2
        if n < 13:
            buf[head] = high | n
        elif n < 269:
            buf[head] = high | 13
            buf[i] = n - 13
            i += 1
        else:
            buf[head] = high | 14
            buf[i] = (n - 269) >> 8
            buf[i + 1] = (n - 269) & 0xFF
            i += 2
        buf[i : i + n] = value
        i += n
    n = len(payload)
    if n:
        if i + n + 1 > limit:
            raise BufferTooSmall("payload")
        buf[i] = _PAYLOAD_MARKER
        i += 1
        buf[i : i + n] = payload
        i += n
    return i
