"""A configuration client with the server's side in a test's hands."""

from default_settings import DATA, RELAY, UE_ID, ue_settings
from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.documents import document
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.endpoint import RESPONSE, Endpoint
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import ACK, BLOCK2, CON, CONTENT, ETAG, OBSERVE
from msgin5g.scm.client import ScmClient
from msgin5g.scm.request import ScmRequest

BODY = dumps([document(UE_ID, DATA)])
_BLOCK_SIZE = 64
_BUFFER = bytearray(1152)  # taken once: a heap as small as a board's has few pieces as large


class Fetcher:
    """A ScmClient on an endpoint of its own, with the server's side by hand."""

    def __init__(self):
        settings = ue_settings(block_size=_BLOCK_SIZE)
        self.endpoint = Endpoint(xorshift(3), {})
        request = ScmRequest("msgin5g", [UE_ID.encode()], b"coap://scm.example")
        self.client = ScmClient(self.endpoint, 0, RELAY, request, UE_ID.encode(), settings)
        self.now = 0
        self._mid = 0

    def request(self):
        """The one message that the client sends now."""
        datagram = self.endpoint.transmit(self.now)[1]
        assert self.endpoint.transmit(self.now) is None
        return Message(32).decode(bytes(datagram))

    def response(self, request, code, options=(), payload=b"", mtype=ACK):
        """The Outcome of a response, which is a notification when it is confirmable."""
        options = list(options) + [(65020, UE_ID.encode())]
        self._mid += 1
        mid = request.mid if mtype == ACK else self._mid
        size = encode(_BUFFER, mtype, code, mid, request.token(), options, payload)
        assert self.endpoint.receive(0, bytes(_BUFFER[:size]), RELAY, self.now) == RESPONSE
        outcome = self.client.response(self.now)
        while mtype == CON and self.endpoint.outbox:
            self.endpoint.transmit(self.now)
        return outcome

    def block(self, request, number):
        start = number * _BLOCK_SIZE
        more = 8 if start + _BLOCK_SIZE < len(BODY) else 0
        options = [(BLOCK2, bytes((number << 4 | more | 2,)))]
        return self.response(request, CONTENT, options, BODY[start : start + _BLOCK_SIZE])


def observing():
    """(a Fetcher that observes its document, the registration)."""
    it = Fetcher()
    it.client.fetch()
    it.response(it.request(), CONTENT, [(ETAG, b"e")], BODY)
    it.client.fetch(True)
    registration = it.request()
    it.response(registration, CONTENT, [(ETAG, b"e"), (OBSERVE, b"\x05")], BODY)
    return it, registration
