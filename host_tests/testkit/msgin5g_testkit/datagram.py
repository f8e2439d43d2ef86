"""One datagram as fields and as text, read without any code of the firmware (RFC 7252, section 3).

A check that used the firmware's own decoder would not find what the two get wrong together.
"""

TYPES = ("CON", "NON", "ACK", "RST")
RECIPIENT = 65020
_EXTENDED = 13
_NAMES = {
    1: "If-Match", 3: "Uri-Host", 4: "ETag", 5: "If-None-Match", 6: "Observe", 7: "Uri-Port",
    8: "Location-Path", 9: "OSCORE", 11: "Uri-Path", 12: "Content-Format", 14: "Max-Age",
    15: "Uri-Query", 17: "Accept", 23: "Block2", 27: "Block1", 28: "Size2", 60: "Size1",
    252: "Echo", 258: "No-Response", 292: "Request-Tag", RECIPIENT: "Recipient",
}  # fmt: skip
_TEXTS = (3, 11, 15, RECIPIENT)
_METHODS = ("empty", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH")
_MAX_SHOWN = 64  # bytes of a payload


class DatagramError(Exception):
    """These bytes are no CoAP message; the text says why."""


class Datagram:
    """A CoAP message: `mtype` 0 to 3 (see TYPES), `code`, `mid`, `token`, `options`, `payload`.

    options: list of (number, value), values bytes, in the order of the wire. DatagramError for
    bytes that are no message.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        if len(data) < 4 or data[0] >> 6 != 1:
            raise DatagramError("no header of version 1")
        self.mtype = data[0] >> 4 & 3
        self.code = data[1]
        self.mid = data[2] << 8 | data[3]
        end = 4 + (data[0] & 15)
        if data[0] & 15 > 8 or end > len(data):
            raise DatagramError("token length %d" % (data[0] & 15))
        self.token = data[4:end]
        self.options: list = []
        self.payload = b""
        if self.code == 0 and len(data) > 4:
            raise DatagramError("an empty message with more than a header")
        self._read_options(end)

    def _read_options(self, i: int) -> None:
        data, number = self.data, 0
        while i < len(data):
            if data[i] == 0xFF:
                self.payload = data[i + 1 :]
                if not self.payload:
                    raise DatagramError("a payload marker without a payload")
                return
            head = data[i]
            delta, i = self._extended(head >> 4, i + 1)
            length, i = self._extended(head & 15, i)
            number += delta
            if i + length > len(data):
                raise DatagramError("option %d is longer than the datagram" % number)
            self.options.append((number, data[i : i + length]))
            i += length

    def _extended(self, nibble: int, i: int) -> tuple:
        """(number, offset behind it): 13 adds one byte, 14 adds two, 15 is reserved."""
        size = max(nibble - 12, 0)
        if size == 3 or i + size > len(self.data):
            raise DatagramError("option head at byte %d" % (i - 1))
        if not size:
            return nibble, i
        value = 0
        for byte in self.data[i : i + size]:
            value = value << 8 | byte
        return value + (13 if nibble == _EXTENDED else 269), i + size

    def values(self, number: int) -> list:
        """The values, bytes, of all options of this number."""
        return [value for found, value in self.options if found == number]

    def query(self, name: str) -> list:
        """The values, str, of a query parameter."""
        start = name.encode() + b"="
        return [v[len(start) :].decode() for v in self.values(15) if v.startswith(start)]

    @property
    def is_request(self) -> bool:
        """Whether its code is one of a request."""
        return 0 < self.code < 32

    @property
    def is_response(self) -> bool:
        """Whether its code is one of a response."""
        return self.code >= 64

    def __str__(self) -> str:
        head = TYPES[self.mtype] + " " + code_text(self.code) + " MID 0x%04x" % self.mid
        lines = [head + " token " + (_hex(self.token) or "none")]
        for number, value in self.options:
            lines.append("  " + _NAMES.get(number, str(number)) + ": " + _value(number, value))
        if self.payload:
            more = " ..." if len(self.payload) > _MAX_SHOWN else ""
            text = "  payload of %d bytes: " % len(self.payload)
            lines.append(text + _hex(self.payload[:_MAX_SHOWN]) + more)
        return "\n".join(lines)


def code_text(code: int) -> str:
    """`GET`, `2.05`, `empty`."""
    return _METHODS[code] if code < len(_METHODS) else "%d.%02d" % (code >> 5, code & 31)


def explain(data: bytes) -> str:
    """A datagram as text: its head, a line for each option, its payload in hex; no error."""
    try:
        return str(Datagram(data))
    except DatagramError as error:
        return "no CoAP message: " + str(error) + ": " + _hex(data)


def _value(number: int, value: bytes) -> str:
    if number in _TEXTS:
        return "".join([chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte for byte in value])
    return _hex(value) or "0"


def _hex(data: bytes) -> str:
    return "".join(["%02x" % byte for byte in data])
