"""The response that each UE gets from the gateway: when it is sent, and what is in it.

A response is a message of its own, confirmable and repeated until the UE has acknowledged it
(RFC 7252 section 5.2.2), with the options that the server would have given it. What is too large
for one message goes block by block: the later blocks are cut from the body that the cache keeps.
"""

from micropython import const

from msgin5g.cbor.encoder import array_of
from msgin5g.coap.block2 import szx_of
from msgin5g.coap.responder import cut, must_confirm
from msgin5g.coap.retransmission import QUEUED, SENT, Incoming
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    MAX_AGE,
    MAX_MESSAGE_SIZE,
    OBSERVE,
    SIZE2,
    VALID,
)
from msgin5g.intermediary.numbers import CONCISE_PROBLEM_DETAILS
from msgin5g.coap.ticks import diff
from msgin5g.gateway.cache import Entry
from msgin5g.gateway.pending_requests import token_of
from msgin5g.scm.problem_details import compose

# Header, ETag, Observe, Content-Format, Max-Age, Block2, Size2, head of Recipient, marker.
_OVERHEAD = const(4 + 9 + 4 + 4 + 6 + 5 + 5 + 5 + 1)
_MAX_AT_ONCE = const(2)  # meanwhile datagrams wait at the socket, and a board keeps four of them
_MANY_TRANSMISSIONS = const(3)  # after so many a response makes room for others


class Response:
    """What responses are made of, the same for all UEs that were asked for together.

    code. payload, max_age_s: of an error. Of a 2.05: fresh_until, and either `common`, the
    documents for everybody, which join those of each request, or `entry`, a whole body.
    server_etag: the server's ETag of a body for one UE.
    """

    entry = None
    server_etag = None

    def __init__(self, code, payload=b"", max_age_s=None, fresh_until=0, common=()):
        self.code = code
        self.payload = payload
        self.max_age_s = max_age_s
        self.fresh_until = fresh_until
        self.common = common


def response_with(entry):
    """The 2.05 Response with the body of an Entry."""
    response = Response(CONTENT, b"", None, entry.fresh_until)
    response.entry = entry
    return response


class Responder:
    """Sends responses, at most settings.max_answers at a time.

    ready: PendingRequests and Observers with a response, in the order in which it came.
    unacknowledged: the exchanges of responses that were sent, or are about to be.
    has_more: the next ones can be sent at once.
    notification_number: the Observe value of the newest notification to any UE.
    """

    def __init__(self, settings, endpoint, pending_requests, cache):
        self._endpoint = endpoint
        self._pending_requests = pending_requests
        self._cache = cache
        self._recipient_option = settings.recipient_option
        self._max_answers = settings.max_answers
        self._block_size = settings.block_size
        # For a body, the token and the UE ID.
        self._room = MAX_MESSAGE_SIZE - endpoint.overhead() - _OVERHEAD - 3
        self._szx = szx_of(settings.block_size)
        self._last_max_age = (None, None, None)  # (fresh_until, now, value of the option)
        self._problem_format = uint_bytes(CONCISE_PROBLEM_DETAILS)
        self.ready = []
        self.unacknowledged = []
        self.has_more = False
        self.notification_number = 1

    def respond(self, requests, response):
        """Send a response to each of these requests, as soon as there is room for it."""
        for request in requests:
            if request.response is None:
                self.ready.append(request)
            request.response = response
            if request.documents and response.code != CONTENT:
                self._pending_requests.release_documents(request)

    def fail(self, requests, code, title, max_age_s=None):
        """Respond to requests with an error of the gateway's own."""
        if requests:
            self.respond(requests, Response(code, compose(code, title), max_age_s))

    def notify(self, observer, response):
        """Send a notification; it replaces one that was not sent yet."""
        if observer.response is None:
            self.ready.append(observer)
            self._pending_requests.n_waiting += 1
        observer.response = response

    def withdraw(self, request):
        """Do not send the response of a PendingRequest or an Observer."""
        if request.response is not None:
            request.response = None
            self.ready.remove(request)

    def drop_half_done(self):
        """Drop what is ready without a response, after a MemoryError."""
        ready = self.ready
        for i in range(len(ready) - 1, -1, -1):
            if ready[i].response is None:
                ready.pop(i)

    def flush(self, now):
        """Send what is ready while there is room, a few at a time: a step is to be short."""
        unacknowledged = self.unacknowledged
        self.has_more = False
        n_hopeful = 0
        for i in range(len(unacknowledged) - 1, -1, -1):
            exchange = unacknowledged[i]
            if exchange.state != QUEUED and exchange.state != SENT:
                unacknowledged.pop(i)
            elif exchange.n_sent < _MANY_TRANSMISSIONS:
                n_hopeful += 1
        n = 0
        while self.ready and n_hopeful < self._max_answers:
            if len(unacknowledged) >= 4 * self._max_answers:
                return
            if n == _MAX_AT_ONCE:
                self.has_more = True
                return
            self._send(self.ready[0], now)
            self.ready.pop(0)
            n_hopeful += 1
            n += 1

    def _send(self, request, now):
        ue = request.ue
        parameters = request.parameters
        response = request.response
        # A notification goes to where its request came from, with its token (RFC 7641 4.2).
        is_notification = request.observer is request
        remote = request.remote if is_notification else ue.remote
        token = request.token if is_notification else token_of(ue.request_key)
        code = response.code
        observer = None
        if code == CONTENT:
            entry = response.entry
            if entry is None:
                entry = self._join(request, response)
            elif parameters.document_id is not None:
                entry = entry.copy_for(ue)
                observer = request.observer
                if observer is not None:
                    if not observer.is_active or observer.token != token:
                        observer = None  # the UE observes with another request, or not any more
            sequence = None if observer is None else self.notification_number
            code, options, payload = self.part_of(entry, parameters, ue, token, now, sequence)
        else:
            payload = response.payload
            options = [(CONTENT_FORMAT, self._problem_format)]
            if response.max_age_s is not None:
                options.append((MAX_AGE, uint_bytes(response.max_age_s)))
            options.append((self._recipient_option, ue.ue_id))
        confirmable = parameters.confirmable
        former = None
        owner = ue
        if observer is not None:
            owner = observer  # a Reset or a time-out of this message ends the observation
            former = observer.exchange
            if is_notification and must_confirm(observer.confirmed_at, now):
                confirmable = True
            if confirmable:
                observer.confirmed_at = now
        if confirmable and former is None and request.binding is None:
            exchange = self._endpoint.reply(
                ue.transport, remote, code, token, options, payload, owner
            )
        else:
            incoming = Incoming(ue.transport, remote, None, token)
            incoming.confirmable = confirmable
            if request.binding is not None:
                incoming.binding = request.binding
            exchange = self._endpoint.notify(
                incoming,
                code,
                options,
                payload,
                owner,
                confirmable,
                former,
                observer is not None,
            )
        if exchange is not None:
            self.unacknowledged.append(exchange)
        if observer is not None:
            observer.exchange = exchange
        self._pending_requests.responded(request)

    def _join(self, request, response):
        """The documents of one request as an Entry; a collection is kept in the cache."""
        parameters = request.parameters
        documents = (request.documents or []) + response.common
        if parameters.document_id is not None:
            return Entry(None, documents[0], response.fresh_until)
        return self._cache.put(
            (request.ue.ue_id, parameters.queries),
            array_of(documents),
            response.fresh_until,
            response.server_etag,
        )

    def part_of(self, entry, parameters, ue, token, now, sequence=None):
        """(code, options, payload) of the block of an Entry that a request asks for.

        sequence: the number of a notification (RFC 7641), None when it is not one.
        """
        max_age = self._max_age(entry.fresh_until, now)
        options = [(ETAG, entry.etag)]
        if sequence is not None:
            options.append((OBSERVE, uint_bytes(sequence)))
        # The number of the Recipient option is above that of all others.
        recipient = (self._recipient_option, ue.ue_id)
        asked = parameters.block2
        if parameters.etag == entry.etag and not (asked and asked >> 4):
            options.append((MAX_AGE, max_age))
            options.append(recipient)
            return VALID, options, b""
        options.append((CONTENT_FORMAT, parameters.content_format))
        options.append((MAX_AGE, max_age))
        body = entry.body
        room = self._room - len(token) - len(ue.ue_id)
        if asked is None and len(body) <= self._block_size <= room:
            options.append(recipient)
            return CONTENT, options, body
        part = cut(asked, len(body), min(self._szx, szx_of(room)))
        if part is None:
            options = [(CONTENT_FORMAT, self._problem_format), recipient]
            return BAD_REQUEST, options, compose(BAD_REQUEST, "Block2")
        start, end, block2 = part
        if block2 is not None:
            options.append((BLOCK2, uint_bytes(block2)))
            if not start:
                options.append((SIZE2, uint_bytes(len(body))))
        options.append(recipient)
        return CONTENT, options, bytes(memoryview(body)[start:end])

    def _max_age(self, fresh_until, now):
        """The value of Max-Age; responses that leave together often have the same."""
        if self._last_max_age[0] != fresh_until or self._last_max_age[1] != now:
            max_age_s = max(diff(fresh_until, now), 0) // 1000
            self._last_max_age = (fresh_until, now, uint_bytes(max_age_s))
        return self._last_max_age[2]
