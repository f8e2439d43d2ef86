"""The configuration management server of `servers` for bulk requests and shared documents."""

from msgin5g.cbor.encoder import dumps
from msgin5g.coap.endpoint import REJECTED, REQUEST
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import BLOCK2, ETAG, OBSERVE, SIZE2, URI_PATH, URI_QUERY
from msgin5g.coap.ticks import add
from msgin5g.scm.problem_details import compose
from msgin5g_testkit.servers import RECIPIENT, Server, etag_of, option_values


class BulkServer(Server):
    """documents: list of UeConfigDoc, each as dict; entitled: whether bulk is allowed.

    A document is for the UEs that it names, or whose vendor, TAC or serial number it has
    (ueVendors, imeiRanges). one_by_one: it answers for the first ue-uri only.

    asked: (UE IDs, number of the block, document ID, observe) of every request that was worked;
    faults: {number of the request: (code, options, payload) to give instead}.
    """

    def __init__(self, random, documents, denied=(), entitled=True, faults=None, one_by_one=False,
                 **options):  # fmt: skip
        super().__init__(random, documents, denied, **options)
        self.entitled = entitled
        self.one_by_one = one_by_one
        self.faults = faults or {}
        self.asked = []
        self.queries = []
        self.largest = 0  # request, bytes

    @property
    def bulks(self):
        """The ID lists of the bulk requests, without those for later blocks."""
        return [a[0] for a in self.asked if len(a[0]) > 1 and not a[1]]

    def receive(self, transport, datagram, remote, now):
        kind = self.endpoint.receive(transport, datagram, remote, now)
        if kind == REJECTED:
            owner = self.endpoint.exchange.owner
            self.observers = [o for o in self.observers if o is not owner]
        if kind != REQUEST:
            return
        message = self.endpoint.message
        self.largest = max(self.largest, message.size)
        queries = option_values(message, URI_QUERY)
        # Sorted: on MicroPython the order of nodes in a network is random.
        ids = tuple(sorted(q[7:].decode() for q in queries if q.startswith(b"ue-uri=")))
        path = option_values(message, URI_PATH)
        document_id = None if path[-1] == b"ue-configurations" else path[-1].decode()
        observe = message.uint(OBSERVE)
        block = message.uint(BLOCK2, 6)
        others = [q for q in queries if not q.startswith(b"ue-uri=")]
        assert (len(ids) > 1) == (b"bulkConfFlag=msgin5g-bulk" in others), queries
        self.queries.append(others)
        incoming = self.endpoint.accept(now)
        self.asked.append((ids, block >> 4, document_id, observe))
        self.n_requests += 1
        what = (ids, document_id, len(self.asked) - 1, others)
        order = (add(now, self.slow_ms), incoming, what, document_id, observe, block,
                 message.option(ETAG))  # fmt: skip
        if self.slow_ms:
            self.endpoint.acknowledge(incoming)
            self._slow.append(order)
        else:
            self._answer(order)

    def change(self, document_id, doc):
        """Give a document, None for none, a new content, and tell its observers."""
        self.documents = [d for d in self.documents if d["ueConfigDocId"] != document_id]
        if doc is not None:
            self.documents.append(doc)
        for observer in list(self.observers):
            if observer[1][1] == document_id:
                observer[2] += 1
                code, options, payload = self.representation(
                    observer[1], True, 6, None, observer[2]
                )
                if code >> 5 != 2:
                    self.observers.remove(observer)
                self.endpoint.notify(observer[0], code, options, payload, observer)

    def _answer(self, order):
        _, incoming, what, individual, observe, block, etag = order
        self.observers = [
            o
            for o in self.observers
            if o[0].token != incoming.token or o[0].remote != incoming.remote
        ]
        sequence = None
        if individual and observe == 0 and self.documents_of(what):
            sequence = 1
            self.observers.append([incoming, what, sequence])
        code, options, payload = self.representation(what, individual, block, etag, sequence)
        self.endpoint.respond(incoming, code, options, payload)

    def documents_of(self, what):
        """The documents that a request is about."""
        ids, document_id, _, queries = what
        if self.one_by_one:
            ids = ids[:1]
        found = []
        for doc in self.documents:
            named = doc.get("valUeIds")
            if document_id in (None, doc["ueConfigDocId"]) and (
                (named is None and "ueVendors" not in doc)
                or any(i in (named or {}).get("uris", ()) for i in ids)
                or selected(doc, queries)
                or (document_id and "imeiRanges" in (named or {}) and "uris" not in named)
                or (document_id and "ueVendors" in doc)
            ):
                found.append(doc)
        return found

    def representation(self, what, individual, block, etag, sequence):
        ids, _, number, _ = what
        if number in self.faults:
            return self.faults.pop(number)
        options = []
        recipient = [(RECIPIENT, ids[0].encode())] if len(ids) == 1 else []
        bad = [i for i in ids if i in self.denied]
        docs = self.documents_of(what)
        if bad or (len(ids) > 1 and not self.entitled):
            text = (bad[0] if bad else "gateway") + " is not allowed"
            return 0x83, [(12, uint_bytes(257))] + recipient, compose(0x83, "Forbidden", text)
        if not docs and len(ids) == 1:
            text = "for " + ids[0]
            return 0x84, [(12, uint_bytes(257))] + recipient, compose(0x84, "Not found", text)
        body = dumps(docs[0] if individual else docs)
        tag = etag_of(body)
        options.append((4, tag))
        if sequence is not None:
            options.append((6, uint_bytes(sequence)))
        age = [] if self.max_age_s is None else [(14, uint_bytes(self.max_age_s))]
        if etag == tag and not block >> 4:
            return 0x43, options + age + recipient, b""
        self.n_bodies += 1
        options.append((12, uint_bytes(65001)))
        options.extend(age)
        size = 16 << (block & 7)
        start = (block >> 4) * size
        if len(body) > size or start:
            if start >= len(body):
                return 0x80, recipient, b""
            more = 8 if start + size < len(body) else 0
            options.append((BLOCK2, uint_bytes(block & ~8 | more)))
            if not start:
                options.append((SIZE2, uint_bytes(len(body))))
        return 0x45, options + recipient, body[start : start + size]


def selected(doc, queries):
    """Whether the queries select a document, as tools/scm_server has it."""
    values = {}
    for query in queries:
        key, _, value = query.decode().partition("=")
        values[key] = value
    if values.get("ue-vendor") in doc.get("ueVendors", ()):
        return True
    tac = values.get("ue-type")
    snr = values.get("ue-snr")
    for imei in doc.get("valUeIds", {}).get("imeiRanges", ()) if tac else ():
        if imei["tac"] == tac and (
            snr is None or "snrs" not in imei or int(snr) in [int(n) for n in imei["snrs"]]
        ):
            return True
    return False
