"""The errors of CoAP: those of the peer, and ours."""


class MessageFormatError(Exception):
    """The peer's fault: bytes that are not a CoAP message (RFC 7252 section 3)."""


class BufferTooSmall(Exception):
    """Our fault, or a setting's: a message that does not fit the largest datagram."""


class BlockError(Exception):
    """A block-wise transfer that cannot go on (RFC 7959)."""
