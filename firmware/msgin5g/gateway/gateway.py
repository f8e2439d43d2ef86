"""The MSGin5G Gateway UE (TS 24.538 6.2.2.x): one request to the server for many constrained UEs.

It takes the requests of linked UEs as a relay does (see hop), acknowledges them at once, asks the
server for several UEs with one bulk GET (see gateway_collect), splits what it gets (see
gateway_bulk), and gives each UE an answer of its own (see gateway_answers). A UE has one request
under way: a newer one takes the place of the former. What cannot be taken on is answered 5.03
with Max-Age.

    counters: those of Hop and of the endpoint, and
    duplicate, busy, cached        requests: repeated, refused for want of room, served at once
    refused, bad_answer, stale     bulk requests; answers of the server; its notifications
    bad_doc, not_asked             documents that are none, or that nobody had asked for
    server_timeout                 times that requests were answered 5.04
    unheard, reset                 answers that no UE acknowledged, or that one rejected
    observations_full              registrations that got a plain answer
    no_memory                      what had to wait until some heap was free
"""

from micropython import const

from msgin5g.coap.endpoint import NOTHING, REJECTED, REQUEST, RESPONSE, UNMATCHED
from msgin5g.coap.numbers import (
    ACCEPT,
    BAD_OPTION,
    BAD_REQUEST,
    BLOCK1,
    BLOCK2,
    CBOR,
    CON,
    ETAG,
    GATEWAY_TIMEOUT,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    URI_PATH,
    URI_QUERY,
)
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.gateway.responder import DOCUMENT_ID, SPECIAL
from msgin5g.gateway.shared_documents import Documents
from msgin5g.scm.request import UE_URI, ScmRequest
from msgin5g.gateway.transfer import Transfer

_PURGE_MS = const(30000)
_PATH_SIZE = const(5)
_MAX_TURN_S = const(30)


class Gateway(Documents):
    """A gateway; settings and random as for ConstrainedUe. Its `seal_c` is set before it runs.

    Bounds: settings.max_waiting requests, max_transfers GETs to the server and max_answers
    answers at a time, hold_size bytes of documents that are not sent yet, cache_size of bodies.
    gc_threshold: with hundreds of UEs little heap is left, and it must not be in small pieces.
    """

    gc_threshold = 2048

    def __init__(self, settings, random, now):
        super().__init__(settings, random)
        path = ScmRequest(settings.service_id, (), None).options()[:_PATH_SIZE]
        self._path = [segment for _, segment in path]
        self._urgent = [ue_id.encode() for ue_id in settings.bulk_urgent]
        self._max_waiting = settings.max_waiting
        self._turn_s = 0  # the Max-Age that was given last to one without room
        self._form = None  # of the last request: the next one is often equal
        self._purge_at = now

    # The four verbs

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        endpoint = self.endpoint
        kind = endpoint.receive(transport, datagram, remote, now)
        if kind == REQUEST:
            self._request(transport, remote, now)
        elif kind == RESPONSE or kind == REJECTED:
            owner = endpoint.exchange.owner
            if isinstance(owner, Transfer):
                if kind == RESPONSE:
                    self._upstream(owner, now)
                else:
                    self._settle(owner, SERVICE_UNAVAILABLE, "Reset")
            elif self.own is not None and owner is self.own.client:
                self.own.handle_exchange(kind, self.endpoint.exchange, now)
            else:
                endpoint.count("reset")
                self._gone(owner)
        elif kind == UNMATCHED:
            endpoint.count("unmatched_response")
            upstream = self.seal_c
            if (
                endpoint.message.mtype == CON
                and transport == upstream.transport
                and endpoint.same_peer(remote, upstream.remote)
            ):
                # RFC 7252 section 4.2: what nobody waits for any more need not be repeated.
                endpoint.send_reset()

    def step(self, now):
        """The clock has moved."""
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            owner = exchange.owner
            if isinstance(owner, Transfer):
                self._settle(owner, GATEWAY_TIMEOUT, "No answer")
            elif self.own is not None and owner is self.own.client:
                self.own.handle_exchange(NOTHING, exchange, now)
            else:
                self.endpoint.count("unheard")
                self._gone(owner)
        try:
            self._tend(now)
        except MemoryError:
            self._hurry(now)
        if diff(now, self._purge_at) >= 0:
            self._purge_at = add(now, _PURGE_MS)
            self.cache.purge(now)
            for peer in self.links._by_id.values():
                if self._bygone(peer, now):
                    peer.asked = None  # before its moment looks like the future
        if self.own is not None:
            self.own.tick(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = shorter(self.endpoint.wait_ms(now), self._tend_ms(now))
        return wait if self.own is None else shorter(wait, self.own.own_wait_ms(now))

    def unlinked(self, peer):
        """See Hop."""
        self._gone(peer)
        self._forget_request(peer)

    # Requests

    def _request(self, transport, remote, now):
        endpoint = self.endpoint
        peer = self.admitted(transport, remote, now)
        if peer is None:
            return
        message = endpoint.message
        if peer.remote != remote:
            peer.remote = remote  # another port, where ports are not checked
        key = int.from_bytes(b"\1" + bytes(message.view[2:4]) + message.token(), "big")
        if peer.asked == key and not self._bygone(peer, now):
            # RFC 7252 section 4.5: acknowledged once more, asked for once.
            endpoint.count("duplicate")
            self._acknowledge()
            return
        form = self._understand(message, peer, now)
        if form is None:
            return
        if self._cached(peer, form, key, now):
            return
        waits = peer.form is not None
        if waits and peer.form == form:
            peer.asked = key  # the UE has begun anew
            self._acknowledge()
            return
        if waits:
            self._forget_request(peer)
        if self.n_waiting >= self._max_waiting:
            endpoint.count("busy")
            # Not all at the same time again.
            self._turn_s = self._turn_s % _MAX_TURN_S + 1
            self.refuse(SERVICE_UNAVAILABLE, "Busy", peer, now, max_age_s=self._turn_s)
            return
        peer.form = form
        peer.asked = key
        peer.asked_at = now
        try:
            self._collect(peer, form[SPECIAL] or peer.ue_id in self._urgent, now)
        except MemoryError:
            peer.form = peer.asked = None  # not acknowledged: it will come again
            endpoint.count("no_memory")
            return
        self.n_waiting += 1
        self._acknowledge()

    def _bygone(self, peer, now):
        """Whether what a UE asked is so long ago that the same key is another request."""
        return (
            peer.form is None
            and diff(now, peer.asked_at) >= self._settings.parameters.exchange_lifetime_ms
        )

    def _acknowledge(self):
        # The endpoint need not remember the message: the Place does.
        if self.endpoint.message.mtype == CON:
            self.endpoint.send_ack()

    def _forget_request(self, peer):
        if peer.form is not None:
            shared = self._of(peer.form[DOCUMENT_ID])
            if shared is not None:
                self._unobserve(peer, shared)
            self._empty(peer)
            peer.form = None
            self.n_waiting -= 1
            self._withdraw((peer,))
        peer.asked = None

    def _understand(self, message, peer, now):
        """What a request asks for (see gateway_answers), or None when it was refused."""
        path = []
        queries = []
        special = False
        for i in range(message.n_options):
            number = message.numbers[i]
            if number == URI_PATH:
                path.append(message.value(i))
            elif number & 3 == 1 and number != ACCEPT and number != self._recipient_option:
                # RFC 7252 section 5.4.1: critical. Those that are unsafe as well: see Hop.
                if message.mtype == CON:
                    self.refuse(BAD_OPTION, "Option", peer, now, option=number)
                else:
                    self.endpoint.count("critical_option")
                return None
            elif number == URI_QUERY:
                query = message.value(i)
                if not query.startswith(UE_URI):
                    queries.append(query)
                    if not query.startswith(b"ue-vendor=") and not query.startswith(b"ue-type="):
                        special = True
        if path[:_PATH_SIZE] != self._path or len(path) > _PATH_SIZE + 1:
            self.refuse(NOT_FOUND, "Not found", peer, now)
            return None
        if message.find(BLOCK1) >= 0:
            self.refuse(BAD_OPTION, "Option", peer, now, option=BLOCK1)
            return None
        accept = message.uint(ACCEPT, self._settings.content_format)
        if accept != CBOR and accept != self._settings.content_format:
            self.refuse(NOT_ACCEPTABLE, "Accept", peer, now)
            return None
        block = message.uint(BLOCK2)
        if block is not None and block & 7 == 7:
            self.refuse(BAD_REQUEST, "Block2", peer, now)
            return None
        form = (
            path[_PATH_SIZE] if len(path) > _PATH_SIZE else None,
            accept,
            block,
            message.option(ETAG),
            tuple(queries),
            message.mtype == CON,
            message.uint(OBSERVE),
            special,
        )
        if form != self._form:
            self._form = form
        return self._form
