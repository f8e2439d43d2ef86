"""One option of a packet."""


class CoapOption:
    """number, and buffer: the value, a bytearray."""

    def __init__(self, number=-1, buffer=None):
        self.number = number
        self.buffer = bytearray(as_bytes(buffer))


def as_bytes(value):
    """What a program gives as text, bytes or None."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value
