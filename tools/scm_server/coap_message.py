"""CoAP datagrams to and from aiocoap's Message, where aiocoap's own decoder is not enough.

It accepts tokens of 9 to 65,804 bytes (RFC 8974), checks the length rules of options on the bytes
as they were sent, and never raises anything but MessageFormatError.
"""

from aiocoap.message import Direction, Message
from aiocoap.numbers.codes import EMPTY
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import Type

from msgin5g_tools.scm_server import options

_PAYLOAD_MARKER = 0xFF


class MessageFormatError(Exception):
    """The datagram has CoAP's version, but not its form."""


class LongTokenMessage(Message):
    """A message whose token may be longer than 12 bytes (RFC 8974 section 2.1)."""

    def encode(self):
        size = len(self.token)
        if size < 13:
            return super().encode()
        if size < 269:
            nibble, extension = 13, bytes([size - 13])
        else:
            nibble, extension = 14, (size - 269).to_bytes(2, "big")
        token, self.token = self.token, b""
        try:
            plain = super().encode()
        finally:
            self.token = token
        return bytes([plain[0] | nibble]) + plain[1:4] + extension + token + plain[4:]


def decode(datagram, remote):
    """The Message in a datagram, or MessageFormatError.

    Its attribute `unprocessed` lists the critical options whose values are not allowed.
    """
    size, i = _extended(datagram, 4, datagram[0] & 0x0F)
    message = LongTokenMessage(code=datagram[1])
    message.token = datagram[i : i + size]
    if i + size > len(datagram):
        raise MessageFormatError("token")
    message.mid = int.from_bytes(datagram[2:4], "big")
    message.mtype = Type((datagram[0] >> 4) & 3)
    message.remote = remote
    message.direction = Direction.INCOMING
    if message.code == EMPTY and len(datagram) > 4:
        raise MessageFormatError("an Empty message is 4 bytes")
    if not (message.code == EMPTY or message.code.is_request() or message.code.is_response()):
        raise MessageFormatError("reserved code class")
    _decode_options(datagram, i + size, message)
    return message


def _decode_options(datagram, i, message):
    message.unprocessed = []
    number = 0
    while i < len(datagram):
        head = datagram[i]
        i += 1
        if head == _PAYLOAD_MARKER:
            message.payload = datagram[i:]
            if not message.payload:
                raise MessageFormatError("payload marker without payload")
            return
        delta, i = _extended(datagram, i, head >> 4)
        size, i = _extended(datagram, i, head & 0x0F)
        number += delta
        if i + size > len(datagram) or number > 65535:
            raise MessageFormatError("option")
        _add(message, number, datagram[i : i + size])
        i += size


def _add(message, number, value):
    # RFC 7252 section 5.4.3: a value out of its range makes the option unrecognised.
    try:
        if options.fits(number, len(value)):
            message.opt.add_option(OptionNumber(number).create_option(decode=value))
            return
    except UnicodeDecodeError:
        pass
    if number % 2:
        message.unprocessed.append(number)


def _extended(datagram, i, nibble):
    if nibble < 13:
        return nibble, i
    n_bytes = nibble - 12
    if nibble == 15 or i + n_bytes > len(datagram):
        raise MessageFormatError("length")
    base = 13 if nibble == 13 else 269
    return base + int.from_bytes(datagram[i : i + n_bytes], "big"), i + n_bytes
