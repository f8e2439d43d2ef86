"""A UE without a network: a test takes its requests and makes the responses."""

from msgin5g_testkit.checks import xorshift
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import ACK
from msgin5g.ue import ConstrainedUe
from builders import DATA, RELAY, UE_ID, FakeConfiguration, document, ue_settings


def alone(now=0, seed=3, **settings):
    return ConstrainedUe(ue_settings(**settings), xorshift(seed), FakeConfiguration(), RELAY, now)


def asked(ue, now):
    """The one request that the UE has to send at this moment."""
    ue.step(now)
    _, datagram, _ = ue.transmit(now)
    assert ue.transmit(now) is None
    return Message(32).decode(bytes(datagram))


def answer(request, code, options=(), payload=b""):
    buf = bytearray(1152)
    options = list(options) + [(65020, UE_ID.encode())]
    token = request.token()
    return bytes(buf[: encode(buf, ACK, code, request.mid, token, options, payload)])


def body():
    return dumps([document(UE_ID, DATA)])
