"""A configuration management server small enough for virtual time, on both interpreters.

The real one is tools/scm_server. This one is a node of a NetworkSim. It responds as TS 24.546
specifies, block by block, with ETag, and notifies its observers.
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


class Server:
    """documents: {UE ID: UeConfigDoc as dict, or the whole body as bytes}; denied: those that get
    4.03.

    slow_ms: how long a response takes. n_requests: the requests that were worked, without repeats.
    observers: a list for each, [incoming, ue_id, sequence, the Block2 of its request].
    """

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
        self.requests = []  # (ue_id, observe) of the last ones
        self._slow = []
        self.untag()
        self.observers = []  # [incoming, ue_id, sequence, the Block2 they asked with]

    def untag(self):
        """Forget the ETag of a body whose bytes have changed."""
        self._tagged = (None, None)

    def receive(self, transport, datagram, remote, now):
        kind = self.endpoint.receive(transport, datagram, remote, now)
        if kind == REJECTED:
            owner = self.endpoint.exchange.owner
            self.observers = [o for o in self.observers if o is not owner]
        if kind != REQUEST:
            return
        message = self.endpoint.message
        queries = option_values(message, URI_QUERY)
        ue_id = next(q[7:].decode() for q in queries if q.startswith(b"ue-uri="))
        paths = option_values(message, URI_PATH)
        observe = message.uint(OBSERVE)
        block = message.uint(BLOCK2, 6)
        etag = message.option(ETAG)
        incoming = self.endpoint.accept(now)
        self.n_requests += 1
        self.requests = self.requests[-63:] + [(ue_id, observe)]
        individual = paths[-1] != b"ue-configurations"
        order = (add(now, self.slow_ms), incoming, ue_id, individual, observe, block, etag)
        if self.slow_ms:
            self.endpoint.acknowledge(incoming)
            self._slow.append(order)
        else:
            self._answer(order)

    def step(self, now):
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            self.observers = [o for o in self.observers if o is not exchange.owner]
        for order in list(self._slow):
            if diff(now, order[0]) >= 0:
                self._slow.remove(order)
                self._answer(order)

    def transmit(self, now):
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        wait = self.endpoint.wait_ms(now)
        for order in self._slow:
            ms = max(diff(order[0], now), 0)
            wait = ms if wait is None else min(wait, ms)
        return wait

    def change(self, ue_id, doc):
        """Give a UE another document, None for none, and tell its observers."""
        if doc is None:
            self.documents.pop(ue_id, None)
        else:
            self.documents[ue_id] = doc
        for observer in list(self.observers):
            if observer[1] == ue_id:
                observer[2] += 1
                code, options, payload = self.representation(
                    ue_id, True, observer[3], None, observer[2]
                )
                if code >> 5 != 2:
                    self.observers.remove(observer)
                self.endpoint.notify(observer[0], code, options, payload, observer)

    def _answer(self, order):
        _, incoming, ue_id, individual, observe, block, etag = order
        self.observers = [
            o
            for o in self.observers
            if o[0].token != incoming.token or o[0].remote != incoming.remote
        ]
        sequence = None
        if individual and observe == 0 and ue_id in self.documents:
            sequence = 1
            self.observers.append([incoming, ue_id, sequence, block & 7])
        code, options, payload = self.representation(ue_id, individual, block, etag, sequence)
        self.endpoint.respond(incoming, code, options, payload)

    def representation(self, ue_id, individual, block, etag, sequence):
        """(code, options, payload) of the answer for a UE. `sequence` is None without Observe."""
        recipient = (RECIPIENT, ue_id.encode())
        if ue_id in self.denied or ue_id not in self.documents:
            code = FORBIDDEN if ue_id in self.denied else NOT_FOUND
            title = "Forbidden" if ue_id in self.denied else "Not found"
            options = [(CONTENT_FORMAT, uint_bytes(257)), recipient]
            return code, options, compose(code, title, "for " + ue_id)
        doc = self.documents[ue_id]
        if isinstance(doc, (bytes, bytearray)):
            body = doc
        else:
            body = dumps(doc if individual else [doc])
        if body is not self._tagged[0]:
            self._tagged = (body, etag_of(body))
        tag = self._tagged[1]
        options = [(ETAG, tag)]
        if sequence is not None:
            options.append((OBSERVE, uint_bytes(sequence)))
        if etag == tag and not block >> 4:
            if self.max_age_s is not None:
                options.append((MAX_AGE, uint_bytes(self.max_age_s)))
            options.append(recipient)
            return VALID, options, b""
        self.n_bodies += 1
        options.append((CONTENT_FORMAT, uint_bytes(65001)))
        if self.max_age_s is not None:
            options.append((MAX_AGE, uint_bytes(self.max_age_s)))
        size = 16 << (block & 7)
        start = (block >> 4) * size
        if len(body) > size or block >> 4:
            more = 8 if start + size < len(body) else 0
            if start >= len(body):
                return BAD_REQUEST, [recipient], b""
            options.append((BLOCK2, uint_bytes(block & ~8 | more)))
            if not start:
                options.append((SIZE2, uint_bytes(len(body))))
        options.append(recipient)
        return CONTENT, options, body[start : start + size]


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
