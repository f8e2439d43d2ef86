"""A datagram from its fields, and the datagrams that a node has to send."""

from msgin5g.coap.message import Message, encode


def packet(mtype, code, mid, token, options, payload=b""):
    """A message as bytes."""
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, mtype, code, mid, token, options, payload)])


def taken(node, now=0):
    """What a node has to send: list of (Message, remote)."""
    out = []
    while True:
        item = node.transmit(now)
        if item is None:
            return out
        out.append((Message(32).decode(bytes(item[1])), item[2]))
