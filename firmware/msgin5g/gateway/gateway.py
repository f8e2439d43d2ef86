"""The MSGin5G Gateway UE (TS 24.538 6.2.2): one request to the server for many constrained UEs.

    receive -> admission -> pending_requests -> cache -> responder
    step    -> scheduler: which UEs go together -> bulk_transfer -> scm_local or scm_remote
    receive -> bulk_transfer: a block, and the documents in it -> pending_requests -> responder

It takes the requests of linked UEs by the rules of a relay, acknowledges them at once, asks the
server for several UEs with one bulk GET, splits the answer, and sends each UE a response of its
own. A UE has one request under way: a newer one replaces it. A request for which there is no room
gets 5.03 with Max-Age.

    counters: those of Admission and of the endpoint, and
    duplicate, busy, cached        requests: repeated, refused for want of room, served at once
    bulk_rejected, bad_answer      bulk requests that the server rejected; answers that are no good
    left_out, bulk_paused          UEs that a bulk answer left out in error; times that showed that
                                   the server does no bulk
    old_notification               notifications of the server that came too late
    invalid_document, not_asked    documents that are none, or that no UE had asked for
    server_timeout                 times that requests got 5.04
    not_acknowledged, reset        responses that no UE acknowledged, or that one rejected
    observations_full              registrations that got a plain response
    no_memory                      what had to wait until some heap was free
"""

from micropython import const

from msgin5g.coap.endpoint import (
    NOTHING,
    REJECTED,
    REQUEST,
    RESERVE_SIZE,
    RESPONSE,
    UNMATCHED,
    Role,
)
from msgin5g.coap.numbers import GATEWAY_TIMEOUT, SERVICE_UNAVAILABLE
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.ticks import diff, shorter
from msgin5g.gateway.bulk_transfer import Transfers
from msgin5g.gateway.cache import Cache
from msgin5g.gateway.observers import Observer, Observers
from msgin5g.gateway.pending_requests import PendingRequests, token_of
from msgin5g.gateway.responder import Responder, response_with
from msgin5g.gateway.scheduler import Scheduler
from msgin5g.gateway.shared_documents import SharedDocuments
from msgin5g.intermediary.admission import Admission
from msgin5g.intermediary.link_table import LinkTable

_FRESH_MS = const(1000)  # what is fresh for less is asked for again
_MAX_INCOMING = const(4)  # the gateway itself remembers the requests that it acknowledged


class Gateway(Role):
    """A gateway; settings and random as for ConstrainedUe. `connect` it before it runs.

    security: a ServerSecurity, or None. own: a ConstrainedUe on the same endpoint, for the
    gateway's own configuration, or None.
    Bounds: settings.max_waiting requests, max_transfers GETs to the server and max_answers
    responses at a time, hold_size bytes of documents that are not sent yet, cache_size of bodies.
    """

    def __init__(self, settings, random, now, security=None):
        n = 4 * settings.max_answers + 2 * settings.max_transfers + 2 * settings.max_observations
        endpoint = ServerEndpoint(
            random,
            {},
            settings.parameters,
            settings.peer_key,
            n + 4,
            _MAX_INCOMING,
        )
        super().__init__(endpoint, 2 * RESERVE_SIZE)
        endpoint.security = security
        if security is not None:
            security.peers = self
        self.links = LinkTable(settings.max_links, settings.peer_key)
        self.cache = cache = Cache(settings.cache_size)
        self._admission = Admission(settings, endpoint, self.links)
        self.pending_requests = pending = PendingRequests(settings, endpoint, self._admission)
        self.responder = responder = Responder(settings, endpoint, pending, cache)
        self.observers = Observers(settings, endpoint, self._admission, pending, responder)
        self.transfers = Transfers(settings, endpoint, pending, responder, cache)
        self.scheduler = Scheduler(
            settings, endpoint, pending, responder, self.transfers, self.links, now
        )
        self.transfers.scheduler = self.scheduler
        self.shared_documents = SharedDocuments(
            endpoint, self.transfers, self.scheduler, self.observers, responder, cache
        )
        self.scheduler.shared_documents = self.shared_documents
        self.run_due = self.scheduler.run_due

    def connect(self, scm):
        """Ask the server through this LocalScmClient or RemoteScmClient."""
        self.transfers.scm = scm

    @property
    def n_waiting(self):
        """How many requests and notifications wait to be sent."""
        return self.pending_requests.n_waiting

    # The verbs, see Role

    def handle_message(self, kind, now):
        endpoint = self.endpoint
        if kind == REQUEST:
            self._request(endpoint.transport, endpoint.remote, now)
        elif kind == RESPONSE or kind == REJECTED:
            exchange = endpoint.exchange
            owner = exchange.owner
            if self.own is not None and owner is self.own.client:
                self.own.handle_exchange(kind, exchange, now)
            elif kind == RESPONSE:
                self.transfers.answered(owner, now)
            elif exchange.token is not None:
                self.transfers.fail(owner, SERVICE_UNAVAILABLE, "Reset")
            else:
                endpoint.count("reset")
                self._end_observation(owner)
        elif kind == UNMATCHED:
            endpoint.count("unmatched_response")
            endpoint.reject()

    def handle_timeout(self, exchange, now):
        owner = exchange.owner
        if self.own is not None and owner is self.own.client:
            self.own.handle_exchange(NOTHING, exchange, now)
        elif exchange.token is not None:
            self.transfers.fail(owner, GATEWAY_TIMEOUT, "No answer")
        else:
            self.endpoint.count("not_acknowledged")
            self._end_observation(owner)

    def drop_half_done(self, now):
        self.responder.drop_half_done()
        self.observers.drop_half_done(self.shared_documents.documents.values())
        waiting = self.scheduler.drop_half_done(now) + self.responder.ready
        self.pending_requests.drop_half_done(self.links, waiting)
        self.shared_documents.drop_half_done()
        self.endpoint.drop_half_done()
        if self.own is not None:
            self.own.drop_half_fetched(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = shorter(self.endpoint.wait_ms(now), self.scheduler.wait_ms(now))
        return wait if self.own is None else shorter(wait, self.own.own_wait_ms(now))

    def poll(self):
        """The oldest event of the gateway's own configuration, or None."""
        return None if self.own is None else self.own.poll()

    def set_server(self, remote, now):
        """The server, or the other end of SEAL-C, has this address; new requests go there."""
        self.transfers.scm.remote = remote
        if self.own is not None:
            self.own.set_next_hop(remote, now)

    # Links

    def link_up(self, ue_id, transport, remote):
        """A one-to-one link with a UE (bytes) is established; false when the table is full."""
        if self.links.has_moved(ue_id, transport, remote):
            self.link_down(ue_id)
        is_new = self.links.of_ue(ue_id) is None
        if not self.links.up(ue_id, transport, remote):
            return False
        if is_new:
            self.pending_requests.prepare(self.links.of_ue(ue_id))
        return True

    def link_down(self, ue_id):
        """The link with a UE has ended: forget everything under way for it."""
        ue = self.links.down(ue_id)
        if ue is not None:
            self.observers.remove_all(ue)
            self._forget_request(ue)
            self.endpoint.forget_peer(ue.transport, ue.remote)

    def _end_observation(self, owner):
        """owner: of an exchange that failed; only an Observer's are about an observation."""
        if isinstance(owner, Observer):
            self.observers.remove(owner)

    # Requests

    def sender(self, now):
        """Who has sent the request just received, which is not unprotected yet.

        None when there is no more to do about it: it comes from no linked UE, or is repeated.
        """
        endpoint = self.endpoint
        ue = self.links.from_address(endpoint.transport, endpoint.remote)
        if ue is None:
            endpoint.count("not_linked")
            return None
        if self.pending_requests.is_duplicate(endpoint.message, ue, now):
            return None
        return ue.ue_id

    def _request(self, transport, remote, now):
        ue = self._admission.admit(transport, remote, now)
        if ue is None:
            return
        if ue.remote != remote:
            ue.remote = remote  # another port, where ports are not checked
        endpoint = self.endpoint
        pending_requests = self.pending_requests
        read = pending_requests.read(endpoint.message, ue, now)
        if read is None:
            return
        key, parameters = read
        if parameters.observe == 1:
            self._end_observation(self.observers.find(ue, endpoint.message.token()))
        if self._respond_from_cache(ue, key, parameters, now):
            return
        request = ue.request
        if request is not None and request.parameters == parameters:
            ue.request_key = key  # the UE has begun anew
        else:
            if request is not None:
                self._forget_request(ue)
            # Without memory for it, it is not acknowledged, and will come again.
            request = pending_requests.add(ue, key, parameters, now)
            if request is None:
                return
            self.scheduler.take(request, now)
        self._take(request)

    def _take(self, request):
        """Take the request just received: its response will be a message of its own."""
        if self.endpoint.binding is not None:  # an attribute that is not there takes no heap
            request.binding = self.endpoint.take()
        if request.parameters.confirmable:
            self.endpoint.send_ack()

    def _forget_request(self, ue):
        request = ue.request
        if request is not None:
            self.scheduler.withdraw(request)
        self.pending_requests.forget(ue)

    def _respond_from_cache(self, ue, key, parameters, now):
        """Respond from what is kept while it is fresh; a later block as long as it is there.

        RFC 7252 section 5.6. False when the server must be asked.
        """
        document_id = parameters.document_id
        document = None
        if document_id is None:
            entry = self.cache.find((ue.ue_id, parameters.queries))
        else:
            document = self.shared_documents.find(document_id)
            entry = None
            if not parameters.is_special:
                entry = self.cache.find(document_id)
        if entry is None:
            return False
        is_later = parameters.block2 is not None and parameters.block2 >> 4 > 0
        if document_id is not None:
            if not entry.is_permitted(ue, now, is_later):
                return False
            entry = entry.copy_for(ue)
        if not is_later and diff(entry.fresh_until, now) < _FRESH_MS:
            return False
        wants_observe = document_id is not None and parameters.observe == 0 and not is_later
        if wants_observe and (document is None or not document.is_observing):
            if self.observers.has_room(ue):
                return False
            wants_observe = False
        endpoint = self.endpoint
        if endpoint.binding is not None:
            # It is not worked again when it is repeated: its response must be acknowledged.
            self._forget_request(ue)
            request = self.pending_requests.add(ue, key, parameters, now)
            if request is not None:
                endpoint.count("cached")
                if wants_observe:
                    request.observer = self.observers.add(
                        document, ue, token_of(key), parameters, now, endpoint.binding
                    )
                self.responder.respond((request,), response_with(entry))
                self._take(request)
            return True
        incoming = endpoint.accept(now)
        if incoming is None:
            return True
        endpoint.count("cached")
        self._forget_request(ue)
        observer = sequence = None
        if wants_observe:
            token = incoming.token
            observer = self.observers.add(document, ue, token, parameters, now, None)
        if observer is not None:
            sequence = self.responder.notification_number
        code, options, payload = self.responder.part_of(
            entry, parameters, ue, incoming.token, now, sequence
        )
        if observer is not None:
            observer.exchange = endpoint.respond(incoming, code, options, payload, observer, True)
        else:
            endpoint.respond(incoming, code, options, payload)
            # When the request is repeated it is worked again: that costs less than to keep the
            # response.
            endpoint.forget(incoming)
        return True
