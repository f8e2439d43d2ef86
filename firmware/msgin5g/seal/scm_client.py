"""SCM-C, the configuration management client: one GET and what becomes of it (TS 24.546 6.2).

A fetch ends in one Outcome. In between lie, unseen by the caller, the blocks of a large document
(RFC 7959), an Echo that the server asked for (RFC 9175) and, when observing, the notifications
(RFC 7641), each of which gives an Outcome of its own.
"""

import sys

from micropython import const

from msgin5g.coap.blockwise import CHANGED, MORE, Assembly, size_exponent
from msgin5g.coap.errors import BlockError
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CBOR,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    ETAG,
    GATEWAY_TIMEOUT,
    GET,
    MAX_AGE,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    VALID,
)
from msgin5g.coap.ticks import diff
from msgin5g.seal.errors import DocumentError
from msgin5g.seal.resources import same_uri
from msgin5g.unload import unload

# Kinds of Outcome.
CONFIGURATION = const(0)  # data, etag: a configuration for this UE
UNCHANGED = const(1)  # 2.03: what is held is still true
REJECTED = const(2)  # code, title, detail: the server, or a hop, said no
REFUSED = const(3)  # detail: an answer that holds no configuration for this UE
TIMEOUT = const(4)  # no answer within MAX_TRANSMIT_WAIT
PAUSED = const(5)  # busy, in the midst of a transfer: the next fetch goes on with it

_MAX_RESTARTS = const(3)  # of a transfer whose document changed under it
_MAX_RESUMES = const(4)  # of one block that nobody had, before the transfer is given up
_REORDER_MS = const(128000)  # RFC 7641 section 3.4
_DEFAULT_MAX_AGE_S = const(60)  # RFC 7252 section 5.10.5


class Outcome:
    """How a fetch ended. max_age_s: how long a configuration is fresh, or, for a rejection, when
    the server wants to be asked again; None where a rejection did not say."""

    def __init__(self, kind, code=0, detail=None):
        self.kind = kind
        self.code = code
        self.title = None
        self.detail = detail
        self.data = None
        self.etag = None
        self.max_age_s = None


class ScmClient:
    """The configuration client of one UE on an endpoint; one fetch at a time.

    resource: ConfigurationResource. ue_id: bytes, the Recipient that answers must carry;
    `require_recipient` says whether one without is dropped, as it is behind a relay or gateway.
    """

    def __init__(self, endpoint, link, remote, resource, ue_id, settings):
        self.endpoint = endpoint
        self.link = link
        self.remote = remote
        self.resource = resource
        self.ue_id = ue_id
        self.recipient_option = settings.recipient_option
        self.content_format = settings.content_format
        self.require_recipient = settings.require_recipient
        self.szx = size_exponent(settings.block_size)
        self.max_size = settings.max_document_size
        self.document_id = None  # of the individual document, once it is known
        self.observing = False
        self.observe_asked = False  # by the fetch under way, or the last one
        self.etag = None  # of the representation that came last, and of which resource it is
        self.unanswered_size = 0  # bytes sent, repetitions included, that timed out
        self._etag_of = None
        self._observation = None  # the exchange that asked to observe
        self._observe_token = None
        self._sequence = 0
        self._notified_at = 0
        self._exchange = None  # the request that is under way
        self._assembly = None
        self._individual = False
        self._request_size = 0
        self._asked_etag = None  # with which the request under way was made
        self._asked_observe = None
        self._echo = None
        self._n_restarts = 0
        self._n_resumes = 0

    @property
    def busy(self):
        """Whether a fetch is under way."""
        return self._exchange is not None

    def fetch(self, observe=False, conditional=True):
        """Ask for the configuration; false when the endpoint has no room for it.

        conditional: with the ETag of the former answer, which is still held. observe: once the
        document is known, register, or renew a registration, for its changes.
        """
        if self._assembly is not None:
            return self._ask()  # a transfer that has paused
        self._individual = self.observe_asked = observe and self.document_id is not None
        self._n_restarts = self._n_resumes = 0
        etag = self._known_etag() if conditional else None
        return self._ask(etag, 0 if self._individual else None)

    def _known_etag(self):
        return self.etag if self._etag_of == self._asked_document() else None

    def _asked_document(self):
        return self.document_id if self._individual else None

    def stop(self):
        """End the observation, if any, with a GET that deregisters (RFC 7641 section 3.6)."""
        self._drop_exchange()
        if self._observation is not None:
            self._individual = True
            self._ask(self._known_etag(), 1)

    def forget(self):
        """Forget what is held: the next fetch begins as the first one did."""
        self._drop_exchange()
        if self._observation is not None:
            self.endpoint.cancel(self._observation)
            self._observation = None
        self.observing = False
        self.document_id = self.etag = self._etag_of = None

    def _drop_exchange(self):
        if self._exchange is not None:
            if self._exchange is not self._observation:
                self.endpoint.cancel(self._exchange)
            self._exchange = None
        self._assembly = None

    def _ask(self, etag=None, observe=None):
        block2 = None
        if self._assembly is not None:
            block2 = self._assembly.next_block()
        elif self.szx < 6:
            block2 = self.szx  # RFC 7959 section 2.4: propose the size with the first request
        options = self.resource.options(self._asked_document(), etag, observe, block2, self._echo)
        self._echo = None
        token = None
        if observe is not None and self._observation is not None:
            # RFC 7641 section 3.6: the same token renews or ends a registration.
            self.endpoint.cancel(self._observation)
            token = self._observe_token
        exchange = self.endpoint.request(
            self.link, self.remote, GET, options, self, True, None, token
        )
        if exchange is None:
            return False
        self._asked_etag = etag
        self._asked_observe = observe
        self._request_size = len(exchange.datagram)
        self._exchange = exchange
        if observe is not None:
            self._observation = exchange if observe == 0 else None
            self._observe_token = exchange.token
            self.observing = False
        return True

    # What the endpoint reports; each gives an Outcome, or None while the fetch goes on

    def response(self, now):
        """The endpoint's message answers one of our exchanges."""
        endpoint = self.endpoint
        message = endpoint.message
        exchange = endpoint.exchange
        i = message.find(self.recipient_option)
        if i < 0:
            if self.require_recipient:
                endpoint.count("missing_recipient")
                return None
        elif not same_uri(message.value(i), self.ue_id):
            endpoint.count("foreign_recipient")
            return None
        if self._has_unknown_critical(message):
            endpoint.count("critical_option")  # RFC 7252 section 5.4.1: rejected
            return None
        sequence = message.uint(OBSERVE)
        mine = exchange is self._observation
        watching = mine and sequence is not None and message.code >> 5 == 2
        if watching and self.observing and not self._newer(sequence, now):
            endpoint.accept(now, True)
            endpoint.count("stale_notification")
            return None
        endpoint.accept(now, watching)
        self.unanswered_size = 0
        if mine:
            if exchange is not self._exchange:
                self._drop_exchange()  # blocks of the former state are worth nothing now
                self._individual = True
                self._n_restarts = self._n_resumes = 0
            self._assembly = None
            self.observing = watching
            if watching:
                self._sequence = sequence
                self._notified_at = now
            else:
                self._observation = None
        self._exchange = None
        return self._evaluate(message)

    def timed_out(self, exchange):
        """An exchange of ours has timed out."""
        if exchange is not self._exchange:
            return None
        self._exchange = None
        self.unanswered_size = self._request_size * exchange.n_sent
        if self._assembly is not None and self._n_resumes < _MAX_RESUMES:
            self._n_resumes += 1
            if self._ask():
                return None
        if exchange is self._observation:
            self._observation = None
        self._assembly = None
        return Outcome(TIMEOUT)

    def rejected(self, exchange):
        """The peer has sent a Reset for an exchange of ours."""
        if exchange is not self._exchange:
            return None
        self._drop_exchange()
        if exchange is self._observation:
            self._observation = None
        outcome = Outcome(REJECTED)
        outcome.title = "Reset by the peer"
        return outcome

    def _newer(self, sequence, now):
        """The order of notifications, RFC 7641 section 3.4."""
        ahead = (sequence - self._sequence) & 0xFFFFFF
        return 0 < ahead < 0x800000 or diff(now, self._notified_at) > _REORDER_MS

    def _evaluate(self, message):
        code = message.code
        if code == VALID:
            etag = message.option(ETAG)
            if self.etag is None or (etag is not None and etag != self.etag):
                return self._restart()  # true is a state that is not held any more
            outcome = Outcome(UNCHANGED, code)
            outcome.etag = self.etag
            outcome.max_age_s = message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S)
            return outcome
        if code == CONTENT:
            return self._content(message)
        if self._assembly is not None:
            if code == BAD_REQUEST:
                return self._restart()  # a block past the end: the document has become shorter
            if (
                code in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE, GATEWAY_TIMEOUT)
                and self._n_resumes < _MAX_RESUMES
            ):
                self._n_resumes += 1
                outcome = Outcome(PAUSED, code)
                outcome.max_age_s = message.uint(MAX_AGE)
                return outcome
        echo = message.option(ECHO)
        if code == 0x81 and echo and len(echo) <= 40 and self._n_restarts < _MAX_RESTARTS:
            # RFC 9175 section 2.3: show that we are reachable at our address.
            self._n_restarts += 1
            self._echo = echo
            if self._ask(self._asked_etag, self._asked_observe):
                return None
        self._assembly = None
        # Imported here and below: what reads an answer takes its heap only once one has come.
        from msgin5g.seal.problem import parse

        outcome = Outcome(REJECTED, code)
        outcome.title, outcome.detail = parse(message.payload())
        outcome.max_age_s = message.uint(MAX_AGE)
        return outcome

    def _content(self, message):
        content_format = message.uint(CONTENT_FORMAT, CBOR)
        if content_format not in (CBOR, self.content_format):
            return Outcome(REFUSED, CONTENT, "Content-Format " + str(content_format))
        if self._assembly is None:
            self._assembly = Assembly(self.szx, self.max_size)
        assembly = self._assembly
        max_age_s = message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S)
        try:
            progress = assembly.take(message)
            if progress == CHANGED:
                return self._restart()
            if progress == MORE:
                self._n_resumes = 0
                if self._ask():
                    return None
                raise BlockError("no room for the next request")
            self._assembly = None
            body = assembly.body
            data, document_id = _read(body, self.ue_id)
        except (BlockError, DocumentError) as error:
            self._assembly = None
            return Outcome(REFUSED, CONTENT, str(error))
        except MemoryError:
            self._assembly = None
            return Outcome(REFUSED, CONTENT, "too large for the memory that is free")
        self.etag = assembly.etag
        self._etag_of = self._asked_document()
        if not self._individual and document_id and len(document_id) <= 255:
            self.document_id = document_id
        outcome = Outcome(CONFIGURATION, CONTENT)
        outcome.data = data
        outcome.etag = assembly.etag
        outcome.max_age_s = max_age_s
        return outcome

    def _restart(self):
        self._assembly = None
        self._n_restarts += 1
        if self._n_restarts <= _MAX_RESTARTS and self._ask():
            return None
        return Outcome(REFUSED, CONTENT, "the document kept changing during its transfer")

    def _has_unknown_critical(self, message):
        """Whether a critical option is not understood, RFC 7252 section 5.4.1."""
        for i in range(message.n_options):
            number = message.numbers[i]
            if number & 1 and number != BLOCK2 and number != self.recipient_option:
                return True
        return False


def _read(body, ue_id):
    """`find_configuration`, whose modules stay loaded only where others need them, too."""
    kept = "msgin5g.cbor_reader" in sys.modules
    from msgin5g.seal.documents import find_configuration

    try:
        return find_configuration(body, ue_id)
    finally:
        del find_configuration
        if not kept:
            unload("seal.documents")
            unload("cbor_reader")
