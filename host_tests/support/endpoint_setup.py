"""For the tests of the message layer: an endpoint, its peers, and messages without options."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import URI_PATH
from msgin5g.coap.responder import ServerEndpoint

PEER = ("192.0.2.1", 5683)
OTHER = ("192.0.2.2", 5683)
PATH = [(URI_PATH, b"test")]
T0 = 0x3FFFFFFF - 5000  # the clock wraps within every test


def new(**options):
    return ServerEndpoint(xorshift(7), {}, **options)


def sent(endpoint, now=T0):
    """All that the endpoint has to send: list of (Message, remote)."""
    out = []
    while True:
        item = endpoint.transmit(now)
        if item is None:
            return out
        out.append((Message(8).decode(bytes(item[1])), item[2]))


def packet(mtype, code, mid, token=b"", rest=b""):
    """A message as bytes. rest: options and payload, encoded."""
    return bytes((0x40 | mtype << 4 | len(token), code, mid >> 8, mid & 255)) + token + rest
