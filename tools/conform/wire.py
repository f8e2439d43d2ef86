"""CoAP messages as bytes (RFC 7252 section 3), and in the words of a report."""

from dataclasses import dataclass, field, replace

CON, NON, ACK, RST = range(4)
TYPES = ("CON", "NON", "ACK", "RST")
EMPTY, GET, POST, PUT, DELETE = 0x00, 0x01, 0x02, 0x03, 0x04
CONTENT, VALID = 0x45, 0x43
BAD_REQUEST, UNAUTHORIZED, BAD_OPTION, FORBIDDEN, NOT_FOUND = 0x80, 0x81, 0x82, 0x83, 0x84
METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, TOO_MANY_REQUESTS = 0x85, 0x86, 0x9D
INTERNAL_SERVER_ERROR, BAD_GATEWAY, SERVICE_UNAVAILABLE = 0xA0, 0xA2, 0xA3
PROXYING_NOT_SUPPORTED = 0xA5
METHODS = {GET: "GET", POST: "POST", PUT: "PUT", DELETE: "DELETE"}

IF_MATCH, URI_HOST, ETAG, IF_NONE_MATCH, OBSERVE, URI_PORT = 1, 3, 4, 5, 6, 7
URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, ACCEPT = 11, 12, 14, 15, 17
BLOCK2, SIZE2, PROXY_URI, ECHO = 23, 28, 35, 252
# Unregistered numbers that nobody understands; RFC 7252 section 5.4.6: bit 0 critical, 1 unsafe.
CRITICAL_SAFE, ELECTIVE_UNSAFE, CRITICAL_UNSAFE, ELECTIVE_SAFE = 65505, 65506, 65507, 65508
_NAMES = {
    URI_HOST: "Uri-Host",
    ETAG: "ETag",
    OBSERVE: "Observe",
    URI_PORT: "Uri-Port",
    CONTENT_FORMAT: "Content-Format",
    MAX_AGE: "Max-Age",
    ACCEPT: "Accept",
    BLOCK2: "Block2",
    SIZE2: "Size2",
    PROXY_URI: "Proxy-Uri",
    ECHO: "Echo",
}
_UINTS = {OBSERVE, URI_PORT, CONTENT_FORMAT, MAX_AGE, ACCEPT, SIZE2}
_MAX_TEXT = 40
_COLLECTION = "ue-configurations"


class FormatError(Exception):
    """These bytes are no CoAP message."""


def uint(value):
    """A number as an option has it: without leading zeros (section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number, more, szx):
    """The value of a Block2 option (RFC 7959 section 2.2)."""
    return uint(number << 4 | more << 3 | szx)


def block_of(body, number, szx):
    """(Block2 option, payload) of one block of a body."""
    size = 16 << szx
    start, end = number * size, (number + 1) * size
    return (BLOCK2, block(number, end < len(body), szx)), body[start:end]


def code_text(code):
    """A code as the RFC writes it: 4.04; a method by its name."""
    return METHODS.get(code) or f"{code >> 5}.{code & 31:02}"


@dataclass(frozen=True)
class Message:
    """One message. options: pairs (number, value), values bytes, in the order of the wire."""

    type: int
    code: int
    mid: int
    token: bytes = b""
    options: list = field(default_factory=list)
    payload: bytes = b""

    def all(self, number):
        """Every value of an option."""
        return [value for n, value in self.options if n == number]

    def one(self, number):
        """The first value of an option, or None."""
        return next(iter(self.all(number)), None)

    def uint(self, number, default=None):
        value = self.one(number)
        return default if value is None else int.from_bytes(value, "big")

    @property
    def is_request(self):
        return 0 < self.code < 32

    @property
    def is_response(self):
        return self.code >> 5 in (2, 4, 5)

    @property
    def path(self):
        return [value.decode(errors="replace") for value in self.all(URI_PATH)]

    @property
    def queries(self):
        return [value.decode(errors="replace") for value in self.all(URI_QUERY)]

    @property
    def block2(self):
        """(number, more, szx), or None."""
        value = self.uint(BLOCK2)
        return None if value is None else (value >> 4, bool(value & 8), value & 7)

    def but(self, **changes):
        """This message with other values."""
        return replace(self, **changes)

    def encode(self):
        out = bytearray([0x40 | self.type << 4 | len(self.token), self.code])
        out += self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            delta, delta_bytes = _nibble(number - last)
            size, size_bytes = _nibble(len(value))
            out += bytes([delta << 4 | size]) + delta_bytes + size_bytes + value
            last = number
        return bytes(out + b"\xff" + self.payload if self.payload else out)


def _nibble(value):
    if value < 13:
        return value, b""
    return (13, bytes([value - 13])) if value < 269 else (14, (value - 269).to_bytes(2, "big"))


def decode(datagram):
    """The Message, or FormatError with the reason."""
    if len(datagram) < 4:
        raise FormatError("shorter than four bytes")
    if datagram[0] >> 6 != 1:
        raise FormatError(f"version {datagram[0] >> 6}")
    size = datagram[0] & 15
    if size > 8:
        raise FormatError(f"a token length of {size}")
    token, i = datagram[4 : 4 + size], 4 + size
    if len(token) < size:
        raise FormatError("ends within the token")
    kind, code, mid = datagram[0] >> 4 & 3, datagram[1], int.from_bytes(datagram[2:4], "big")
    if code == EMPTY and len(datagram) > 4:
        raise FormatError("an empty message of more than four bytes")
    options, number = [], 0
    while i < len(datagram) and datagram[i] != 0xFF:
        head = datagram[i]
        delta, i = _extended(head >> 4, datagram, i + 1)
        size, i = _extended(head & 15, datagram, i)
        number += delta
        if i + size > len(datagram):
            raise FormatError("ends within an option")
        options.append((number, datagram[i : i + size]))
        i += size
    if i == len(datagram) - 1:
        raise FormatError("a payload marker without a payload")
    return Message(kind, code, mid, token, options, datagram[i + 1 :])


def _extended(nibble, datagram, i):
    if nibble == 15:
        raise FormatError("an option nibble of 15")
    n_bytes = max(0, nibble - 12)
    if i + n_bytes > len(datagram):
        raise FormatError("ends within an option")
    base = {13: 13, 14: 269}.get(nibble, nibble)
    return base + int.from_bytes(datagram[i : i + n_bytes], "big"), i + n_bytes


def in_words(message, recipient_option=None):
    """A message in one line."""
    words = [TYPES[message.type]]
    if message.code != EMPTY:
        words.append(code_text(message.code))
    elif message.type == CON:
        words.append("empty")
    if message.path:
        words.append(
            "?".join([_path_in_words(message.path), "&".join(message.queries)]).rstrip("?")
        )
    for number, value in message.options:
        if number not in (URI_PATH, URI_QUERY):
            words.append(_option_in_words(number, value, recipient_option))
    if message.payload:
        words.append(f"{len(message.payload)} bytes")
    return " ".join(words)


def _path_in_words(path):
    if path[-1] == _COLLECTION:
        return "collection"
    if path[-2:-1] == [_COLLECTION]:
        return "document " + path[-1]
    return "/".join(path)


def _option_in_words(number, value, recipient_option):
    name = "Recipient" if number == recipient_option else _NAMES.get(number, f"option {number}")
    if number in _UINTS:
        text = str(int.from_bytes(value, "big"))
    elif number == BLOCK2:
        whole = int.from_bytes(value, "big")
        text = f"{whole >> 4}/{whole >> 3 & 1}/{16 << (whole & 7)}"
    elif number in (ETAG, ECHO):
        text = value.hex()
    else:
        text = value.decode(errors="backslashreplace")
    return f"{name}={text[:_MAX_TEXT]}"
