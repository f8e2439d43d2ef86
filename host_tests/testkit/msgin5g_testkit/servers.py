"""A configuration management server small enough for virtual time, on both interpreters.

The real one is tools/scm_server. This one is a node of a NetworkSim. It responds as TS 24.546
specifies, block by block, with ETag, to one UE and to a gateway's bulk requests, and notifies its
observers.
"""

from msgin5g.cbor.encoder import dumps
from msgin5g.coap.endpoint import REJECTED, REQUEST
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    FORBIDDEN,
    MAX_AGE,
    NOT_FOUND,
    OBSERVE,
    SIZE2,
    URI_PATH,
    URI_QUERY,
    VALID,
)
from msgin5g.coap.ticks import add, diff
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.scm.problem_details import compose

RECIPIENT = 65020


class Request:
    """What was asked: ids (tuple of UE IDs), document_id (None for the collection), observe, block
    (the value of Block2), etag, queries (list of the others, bytes), number (from 0).
    """

    def __init__(self, message, number):
        queries = option_values(message, URI_QUERY)
        # Sorted: on MicroPython the order of nodes in a network is random.
        self.ids = tuple(sorted([q[7:].decode() for q in queries if q.startswith(b"ue-uri=")]))
        self.queries = [q for q in queries if not q.startswith(b"ue-uri=")]
        last = option_values(message, URI_PATH)[-1]
        self.document_id = None if last == b"ue-configurations" else last.decode()
        self.observe = message.uint(OBSERVE)
        self.block = message.uint(BLOCK2, 6)
        self.etag = message.option(ETAG)
        self.number = number


class Server:
    """documents: {UE ID: UeConfigDoc as dict, or the whole body as bytes}; denied: those that get
    4.03.

    slow_ms: how long a response takes. n_requests: the requests that were worked, without repeats.
    observers: a list for each, [incoming, Request, sequence, exchange of its last notification].
    requests: (UE ID, Observe) of the last 64, one for each UE that a bulk request names.
    """

    replaces = False  # whether a notification takes the place of one that is not acknowledged

    def __init__(self, random, documents, denied=(), slow_ms=0, max_age_s=None, max_exchanges=64,
                 max_incoming=64):  # fmt: skip
        self.counters = {}
        self.endpoint = ServerEndpoint(
            random, self.counters, None, None, max_exchanges, max_incoming
        )
        self.documents = documents
        self.denied = denied
        self.slow_ms = slow_ms
        self.max_age_s = max_age_s
        self.n_requests = 0
        self.n_bodies = 0
        self.requests = []
        self._slow = []  # (when, incoming, Request)
        self.untag()
        self.observers = []

    def untag(self):
        """Forget the ETag of a body whose bytes have changed."""
        self._tagged = (None, None)

    def receive(self, transport, datagram, remote, now):
        kind = self.endpoint.receive(transport, datagram, remote, now)
        if kind == REJECTED:
            self._drop(self.endpoint.exchange.owner)
        if kind != REQUEST:
            return
        request = Request(self.endpoint.message, self.n_requests)
        self.note(request)
        incoming = self.endpoint.accept(now)
        self.n_requests += 1
        if self.slow_ms:
            self.endpoint.acknowledge(incoming)
            self._slow.append((add(now, self.slow_ms), incoming, request))
        else:
            self._answer(incoming, request)

    def note(self, request):
        """A request has come; the endpoint has its message."""
        self.requests += [(ue_id, request.observe) for ue_id in request.ids]
        del self.requests[:-64]

    def step(self, now):
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            self._drop(exchange.owner)
        for order in list(self._slow):
            if diff(now, order[0]) >= 0:
                self._slow.remove(order)
                self._answer(order[1], order[2])

    def transmit(self, now):
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        wait = self.endpoint.wait_ms(now)
        for order in self._slow:
            ms = max(diff(order[0], now), 0)
            wait = ms if wait is None else min(wait, ms)
        return wait

    def change(self, ue_id, doc):
        """Give a UE another document, None for none, and notify its observers."""
        if doc is None:
            self.documents.pop(ue_id, None)
        else:
            self.documents[ue_id] = doc
        self.notify(lambda request: ue_id in request.ids)

    def notify(self, is_about):
        """Notify the observers of whose Request `is_about` is true."""
        for observer in list(self.observers):
            if is_about(observer[1]):
                observer[2] = self.following(observer[2])
                code, options, payload = self.representation(observer[1], observer[2])
                if code >> 5 != 2:
                    self.observers.remove(observer)
                former = observer[3] if self.replaces else None
                observer[3] = self.endpoint.notify(
                    observer[0], code, options, payload, observer, True, former
                )

    def following(self, sequence):
        """The value of Observe after this one; None: the first of an observation."""
        return 1 if sequence is None else sequence + 1

    def _drop(self, observer):
        self.observers = [o for o in self.observers if o is not observer]

    def _answer(self, incoming, request):
        self.observers = [
            o
            for o in self.observers
            if o[0].token != incoming.token or o[0].remote != incoming.remote
        ]
        sequence = None
        if request.document_id and request.observe == 0 and not self.refusal(request):
            sequence = self.following(None)
        code, options, payload = self.representation(request, sequence)
        self.endpoint.respond(incoming, code, options, payload)
        if sequence is not None:
            request.block &= 7
            request.etag = None
            self.observers.append([incoming, request, sequence, None])

    def documents_of(self, request):
        """The documents that a request is about, a list."""
        return [self.documents[i] for i in request.ids if i in self.documents]

    def refusal(self, request):
        """(code, title, detail) of the error that answers a request, or None."""
        for ue_id in request.ids:
            if ue_id in self.denied:
                return FORBIDDEN, "Forbidden", ue_id + " is not allowed"
        if len(request.ids) == 1 and not self.documents_of(request):
            return NOT_FOUND, "Not found", "for " + request.ids[0]
        return None

    def representation(self, request, sequence):
        """(code, options, payload) of a response. sequence: the value of Observe, or None."""
        recipient = [(RECIPIENT, request.ids[0].encode())] if len(request.ids) == 1 else []
        refusal = self.refusal(request)
        if refusal:
            options = [(CONTENT_FORMAT, uint_bytes(257))] + recipient
            return refusal[0], options, compose(*refusal)
        documents = self.documents_of(request)
        body = documents[0] if documents else None
        if not isinstance(body, (bytes, bytearray)):
            body = dumps(body if request.document_id else documents)
        if body is not self._tagged[0]:
            self._tagged = (body, etag_of(body))
        tag = self._tagged[1]
        options = [(ETAG, tag)]
        if sequence is not None:
            options.append((OBSERVE, uint_bytes(sequence)))
        age = [] if self.max_age_s is None else [(MAX_AGE, uint_bytes(self.max_age_s))]
        block = request.block
        if request.etag == tag and not block >> 4:
            return VALID, options + age + recipient, b""
        self.n_bodies += 1
        options.append((CONTENT_FORMAT, uint_bytes(65001)))
        options.extend(age)
        size = 16 << (block & 7)
        start = (block >> 4) * size
        if len(body) > size or start:
            if start >= len(body):
                return BAD_REQUEST, recipient, b""
            more = 8 if start + size < len(body) else 0
            options.append((BLOCK2, uint_bytes(block & ~8 | more)))
            if not start:
                options.append((SIZE2, uint_bytes(len(body))))
        return CONTENT, options + recipient, body[start : start + size]


def option_values(message, number):
    """The values of all options of this number."""
    return [message.value(i) for i in range(message.n_options) if message.numbers[i] == number]


def etag_of(body):
    """Eight bytes that depend on the content only."""
    a, b = 1, 0
    for byte in body:
        a = (a * 31 + byte) % 65521
        b = (b + a) % 65521
    return bytes((a >> 8, a & 255, b >> 8, b & 255, len(body) >> 8 & 255, len(body) & 255, 7, 7))
