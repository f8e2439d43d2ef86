"""What can go wrong in CoAP: one error for the peer's fault, one for ours."""


class CoapError(Exception):
    """Any error of this package."""


class MessageFormatError(CoapError):
    """The peer's fault: bytes that are not a CoAP message (RFC 7252 section 3)."""


class BufferTooSmall(CoapError):
    """Our fault, or a setting's: a message that does not fit the largest datagram."""


class BlockError(CoapError):
    """A block-wise transfer that cannot go on (RFC 7959)."""
