"""The requests that UEs have under way at the gateway: at most one for each linked UE.

Each LinkedUe has its newest request, in attributes that cost no heap when the request comes:

    request         the PendingRequest, None when the UE has got its response
    request_key     its message ID and token as one number, with a 1 before them that keeps their
                    leading zeros; with a token of four bytes it takes no heap on a 64-bit port.
                    It stays for as long as the request may be repeated (RFC 7252 section 4.5)
    asked_at        when it came
"""

from collections import namedtuple

from micropython import const

from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import (
    ACCEPT,
    BAD_REQUEST,
    BLOCK2,
    CBOR,
    CON,
    ETAG,
    OBSERVE,
    URI_PATH,
    URI_QUERY,
)
from msgin5g.intermediary.numbers import (
    BAD_OPTION,
    BLOCK1,
    NOT_ACCEPTABLE,
    PROXYING_NOT_SUPPORTED,
)
from msgin5g.coap.ticks import diff
from msgin5g.scm.request import UE_SNR, UE_URI, is_filter, scm_request_of

# Critical options that are understood: Uri-Host, Uri-Port, Uri-Path, Uri-Query, Accept 17, Block2
# 23, Block1 27.
_UNDERSTOOD = const(0x08828888)
_KEY_HEAD = const(3)  # bytes of a request_key before the token

# What a request asks for; equal requests of several UEs share one tuple.
#   document_id     of the individual document, None for the collection
#   content_format  of the response, the value of its option
#   block2          None when the UE leaves the size to the gateway
#   etag            of what the UE has
#   queries         all but ue-uri
#   confirmable     whether the request is
#   observe         its Observe option, None without
#   is_special      it has a query that is not known, so that nobody else can get its answer
#   is_of_one       it has a serial number, which is of one UE
RequestParameters = namedtuple(
    "RequestParameters",
    ("document_id", "content_format", "block2", "etag", "queries", "confirmable", "observe",
     "is_special", "is_of_one"),
)  # fmt: skip


def token_of(request_key):
    """The token in a request_key."""
    size = _KEY_HEAD
    while request_key >> (8 * size):
        size += 1
    return request_key.to_bytes(size, "big")[_KEY_HEAD:]


def _key_of(message):
    """The request_key of a request."""
    view = message.view
    token = bytes(view[message.token_start : message.token_end])
    return int.from_bytes(b"\1" + bytes(view[2:4]) + token, "big")


class PendingRequest:
    """A request of a LinkedUe (ue), until its response is sent.

    documents: those that have come for it. response: a Response that waits to be sent. observer:
    the Observer that the UE is with this request, or None. is_left_out: a bulk request did not
    bring its document, perhaps in error. binding: see Endpoint.
    """

    documents = None
    response = None
    observer = None
    is_left_out = False
    binding = None

    def __init__(self, ue, parameters):
        self.ue = ue
        self.parameters = parameters


class PendingRequests:
    """The table of them, with its bounds.

    At most settings.max_waiting requests wait. n_waiting: how many do, together with the
    notifications that wait to be sent. held_size: bytes of documents that wait to be sent; above
    settings.hold_size no further block is asked for. counters: see gateway.
    """

    def __init__(self, settings, endpoint, admission):
        self._endpoint = endpoint
        self._admission = admission
        self._recipient_option = settings.recipient_option
        self._formats = {}  # the value of Content-Format for each Accept
        for number in (CBOR, settings.content_format):
            self._formats[number] = uint_bytes(number)
        self._default_format = settings.content_format
        self._path = [segment for _, segment in scm_request_of(settings, ()).path]
        self._max_waiting = settings.max_waiting
        self._lifetime_ms = settings.parameters.exchange_lifetime_ms
        self._parameters = None  # of the last request: the next ones are often equal
        self.n_waiting = 0
        self.held_size = 0

    def prepare(self, ue):
        """Add the attributes for requests to a LinkedUe that is new."""
        ue.request = None
        ue.request_key = None
        ue.asked_at = 0

    def is_duplicate(self, message, ue, now):
        """Whether a message is the UE's newest request, repeated; then it is dealt with."""
        if ue.request_key != _key_of(message) or self.is_expired(ue, now):
            return False
        # RFC 7252 section 4.5: acknowledged again, asked for once.
        self._endpoint.count("duplicate")
        if message.mtype == CON:
            self._endpoint.send_ack()
        return True

    def read(self, message, ue, now):
        """(request_key, RequestParameters) of a request; None when it is dealt with."""
        if self.is_duplicate(message, ue, now):
            return None
        view = message.view
        mtype = message.mtype
        refuse = self._admission.refuse
        critical = message.critical(_UNDERSTOOD, self._recipient_option)
        if critical:
            if mtype == CON:
                refuse(BAD_OPTION, "Option", ue, now, option=critical)
            else:
                self._endpoint.count("critical_option")
            return None
        # One pass over the options, without a call for each of them. The critical ones have values
        # of a right length.
        numbers = message.numbers
        starts = message.starts
        ends = message.ends
        path = []
        queries = []
        accept = self._default_format
        block2 = etag = observe = None
        is_special = is_of_one = has_block1 = False
        for i in range(message.n_options):
            number = numbers[i]
            value = bytes(view[starts[i] : ends[i]])
            if number == URI_PATH:
                path.append(value)
            elif number == URI_QUERY:
                if not value.startswith(UE_URI):
                    queries.append(value)
                    if value.startswith(UE_SNR):
                        is_of_one = True
                    elif not is_filter(value):
                        is_special = True
            elif number == ACCEPT:
                accept = int.from_bytes(value, "big")
            elif number == BLOCK2:
                block2 = int.from_bytes(value, "big")
            elif number == ETAG:
                etag = message.option(ETAG)
            elif number == OBSERVE:
                observe = message.uint(OBSERVE)
            elif number == BLOCK1:
                has_block1 = True
        n = len(self._path)
        if path[:n] != self._path or len(path) > n + 1:
            # Not 4.04, which would say that the server has no document for this UE.
            refuse(PROXYING_NOT_SUPPORTED, "Another path than the gateway's", ue, now)
        elif has_block1:
            refuse(BAD_OPTION, "Option", ue, now, option=BLOCK1)
        elif accept not in self._formats:
            refuse(NOT_ACCEPTABLE, "Accept", ue, now)
        elif block2 is not None and block2 & 7 == 7:
            refuse(BAD_REQUEST, "Block2", ue, now)
        else:
            parameters = RequestParameters(
                path[n] if len(path) > n else None,
                self._formats[accept],
                block2,
                etag,
                tuple(queries),
                mtype == CON,
                observe,
                is_special,
                is_of_one,
            )
            if parameters != self._parameters:
                self._parameters = parameters
            return _key_of(message), self._parameters
        return None

    def add(self, ue, request_key, parameters, now):
        """Put a request into the table; None when it was refused for want of room."""
        if self.n_waiting >= self._max_waiting:
            self._admission.refuse_busy("Busy", ue, now)
            return None
        ue.request = request = PendingRequest(ue, parameters)
        ue.request_key = request_key
        ue.asked_at = now
        self.n_waiting += 1
        return request

    def found(self, request, document):
        """A document (bytes) has come for a request."""
        self.held_size += len(document)
        request.documents = (request.documents or []) + [document]

    def release_documents(self, request):
        """Free the documents of a request."""
        if request.documents:
            for document in request.documents:
                self.held_size -= len(document)
            request.documents = None

    def responded(self, request):
        """The response of a request, or a notification of an Observer, was sent."""
        self.n_waiting -= 1
        request.response = None
        if request.documents:
            self.release_documents(request)
        if request.observer is not request:
            request.ue.request = None

    def forget(self, ue):
        """Drop the request of a UE."""
        if ue.request is not None:
            self.release_documents(ue.request)
            self.n_waiting -= 1
            ue.request = None
        ue.request_key = None

    def drop_half_done(self, links, waiting):
        """Forget each request that nothing works on, after a MemoryError.

        waiting: the requests and Observers that are asked for, or that have a response.
        """
        self.n_waiting = self.held_size = 0
        for ue in links:
            request = ue.request
            if request is not None and request not in waiting:
                request.documents = ue.request = ue.request_key = None
            elif request is not None:
                self.n_waiting += 1
                for document in request.documents or ():
                    self.held_size += len(document)
        for one in waiting:
            if one.observer is one:
                self.n_waiting += 1  # a notification

    def is_expired(self, ue, now):
        """Whether the UE's request is so old that the same request_key is another request."""
        return ue.request is None and diff(now, ue.asked_at) >= self._lifetime_ms

    def purge(self, links, now):
        """Forget expired requests, before the clock wraps and they look new."""
        for ue in links:
            if ue.request_key is not None and self.is_expired(ue, now):
                ue.request_key = None
