"""The security contexts and messages of RFC 8613 appendix C, for tests of one node's side."""

from binascii import unhexlify

from msgin5g.coap.message import Message, encode
from msgin5g.oscore.context import SecurityContext

RECIPIENT = 65020
SECRET = unhexlify("0102030405060708090a0b0c0d0e0f10")
SALT = unhexlify("9e7ca92223786340")


class Sequence:
    def __init__(self, first=0):
        self._next = first

    def next(self):
        self._next += 1
        return self._next - 1


def context(sender, recipient, first=0, salt=SALT, id_context=None):
    return SecurityContext(SECRET, sender, recipient, Sequence(first), salt, id_context)


def pair(first=0):
    """(client, server): the two contexts of RFC 8613 appendix C.1."""
    return context(b"", b"\x01", first), context(b"\x01", b"", first)


def message(code, mtype, mid, token, options, payload):
    buf = bytearray(1152)
    size = encode(buf, mtype, code, mid, token, options, payload)
    return Message(32).decode(bytes(buf[:size]))
