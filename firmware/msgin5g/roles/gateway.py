"""The MSGin5G Gateway UE (TS 24.538 6.2.2.x): one request to the server for many constrained UEs.

It takes the requests of linked UEs as a relay does (see hop), acknowledges them at once, asks the
server for several UEs with one bulk GET (see gateway_collect), splits what it gets (see
gateway_bulk), and gives each UE an answer of its own (see gateway_answers). A UE has one request
under way: a newer one takes the place of the former. What cannot be taken on is answered 5.03
with Max-Age.

    counters: those of Hop and of the endpoint, and duplicate, busy, cached, bulk_refused,
    broken_transfer, document_not_asked, document_broken, server_timeout, answer_timeout,
    answer_reset, observations_full, stale_notification
"""

from micropython import const

from msgin5g.coap.endpoint import REJECTED, REQUEST, RESPONSE, UNMATCHED
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
    RST,
    SERVICE_UNAVAILABLE,
    URI_PATH,
    URI_QUERY,
)
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.roles.gateway_answers import DOCUMENT_ID, QUERIES, Waiting
from msgin5g.roles.gateway_documents import Documents
from msgin5g.roles.pace import Pace
from msgin5g.seal.resources import UE_URI
from msgin5g.seal.transfer import Transfer

_PURGE_MS = const(30000)


class Gateway(Documents):
    """A gateway; settings and random as for ConstrainedUe. Its `seal_c` is set before it runs.

    Bounds: settings.max_waiting requests, max_transfers GETs to the server and max_answers
    answers at a time, hold_size bytes of documents that are not sent yet, cache_size of bodies.
    """

    def __init__(self, settings, random, now):
        super().__init__(settings, random)
        self.own = None
        self._path = (b"su-uc", b"v1", b"val-services", settings.service_id.encode(),
                      b"ue-configurations")  # fmt: skip
        self._urgent = [ue_id.encode() for ue_id in settings.bulk_urgent]
        self._max_waiting = settings.max_waiting
        self._pace = Pace(settings.max_rate, now)
        self._form = None  # of the last request: the next one is often equal
        self._purge_at = now

    # The four verbs

    def receive(self, link, datagram, remote, now):
        """One datagram has arrived."""
        endpoint = self.endpoint
        kind = endpoint.receive(link, datagram, remote, now)
        if kind == REQUEST:
            self._request(link, remote, now)
        elif kind == RESPONSE or kind == REJECTED:
            owner = endpoint.exchange.owner
            if isinstance(owner, Transfer):
                if kind == RESPONSE:
                    self._upstream(owner, now)
                else:
                    self._settle(owner, SERVICE_UNAVAILABLE, "Reset by the server")
            elif self.own is not None and owner is self.own.client:
                self.own.handle(kind, now)
            else:
                endpoint.count("answer_reset")
                self._gone(owner.peer)
        elif kind == UNMATCHED:
            endpoint.count("unmatched_response")
            upstream = self.seal_c
            if (
                endpoint.message.mtype == CON
                and link == upstream.link
                and endpoint.same_peer(remote, upstream.remote)
            ):
                # RFC 7252 section 4.2: what nobody waits for any more need not be repeated.
                endpoint._send_empty(RST)

    def step(self, now):
        """The clock has moved."""
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            owner = exchange.owner
            if isinstance(owner, Transfer):
                self._settle(owner, GATEWAY_TIMEOUT, "No answer from the server")
            elif self.own is not None and owner is self.own.client:
                self.own.timed_out(exchange, now)
            else:
                self.endpoint.count("answer_timeout")
                self._gone(owner.peer)
        self._tend(now)
        if diff(now, self._purge_at) >= 0:
            self._purge_at = add(now, _PURGE_MS)
            self.cache.purge(now)
            self._pace.step(now)
        if self.own is not None:
            self.own.tick(now)

    def transmit(self, now):
        """(link, datagram, remote) to send, or None."""
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = shorter(self.endpoint.wait_ms(now), self._tend_ms(now))
        return wait if self.own is None else shorter(wait, self.own.own_wait_ms(now))

    def poll(self):
        """The oldest event of the gateway's own configuration, or None."""
        return None if self.own is None else self.own.poll()

    # Links

    def link_up(self, ue_id, link, remote):
        """A one-to-one link with a UE (bytes) is established; false when the table is full."""
        known = self.links.of_ue(ue_id)
        if known is not None and (known.link != link or known.remote != remote):
            self.link_down(ue_id)
        return self.links.up(ue_id, link, remote)

    def link_down(self, ue_id):
        """The link with a UE has ended: forget all that was under way for it."""
        peer = self.links.down(ue_id)
        if peer is not None:
            self._gone(peer)
            self._forget_request(peer)
            self.endpoint.forget_peer(peer.link, peer.remote)

    # Requests

    def _request(self, link, remote, now):
        endpoint = self.endpoint
        peer = self.admitted(link, remote, now)
        if peer is None:
            return
        message = endpoint.message
        if peer.remote != remote:
            peer.remote = remote  # another port, where ports are not checked
        key = bytes(message.view[2:4]) + message.token()
        asked = peer.asked
        waits = isinstance(asked, Waiting)
        if asked is not None and (asked.key if waits else asked) == key:
            # RFC 7252 section 4.5: acknowledged once more, asked for once.
            endpoint.count("duplicate")
            self._acknowledge(now)
            return
        form = self._understand(message, peer, now)
        if form is None:
            return
        if self._cached(peer, form, key, now):
            return
        if waits and asked.form == form:
            asked.key = key  # the UE has begun anew
            self._acknowledge(now)
            return
        if waits:
            self._forget_request(peer)
        if self.n_waiting >= self._max_waiting:
            endpoint.count("busy")
            seconds = self._pace.appointment_s(now)
            self.refuse(SERVICE_UNAVAILABLE, "Gateway is busy", peer, now, max_age_s=seconds)
            return
        waiting = Waiting(peer, key, form, now)
        peer.asked = waiting
        self.n_waiting += 1
        self._acknowledge(now)
        self._collect(waiting, peer.ue_id in self._urgent or self._is_special(form), now)

    def _acknowledge(self, now):
        incoming = self.endpoint.accept(now)
        if incoming is not None:
            self.endpoint.acknowledge(incoming)
            incoming.open = False

    def _forget_request(self, peer):
        if isinstance(peer.asked, Waiting):
            waiting = peer.asked
            shared = self._of(waiting.form[DOCUMENT_ID])
            if shared is not None:
                self._unobserve(peer, shared)
            self._drop(waiting)
            self._withdraw((waiting,))
        peer.asked = None

    def _is_special(self, form):
        """Whether a request has a query that is not for several UEs."""
        for query in form[QUERIES]:
            if not query.startswith(b"ue-vendor=") and not query.startswith(b"ue-type="):
                return True
        return False

    def _understand(self, message, peer, now):
        """What a request asks for (see gateway_answers), or None when it was refused."""
        path = []
        queries = []
        for i in range(message.n_options):
            number = message.numbers[i]
            if number == URI_PATH:
                path.append(message.value(i))
            elif number == URI_QUERY:
                query = message.value(i)
                if not query.startswith(UE_URI):
                    queries.append(query)
        if tuple(path[:5]) != self._path or len(path) > 6:
            self.refuse(NOT_FOUND, "No such resource", peer, now)
            return None
        if message.find(BLOCK1) >= 0:
            self.refuse(BAD_OPTION, "Option not supported", peer, now, option=BLOCK1)
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
            path[5] if len(path) > 5 else None,
            accept,
            block,
            message.option(ETAG),
            tuple(queries),
            message.mtype == CON,
            message.uint(OBSERVE),
        )
        if form != self._form:
            self._form = form
        return self._form
