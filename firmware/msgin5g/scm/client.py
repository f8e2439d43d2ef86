"""SCM-C, the configuration management client: one fetch as a state machine (TS 24.546 6.2).

A fetch is a GET of the collection or of the individual document. It may take more than one
request: the blocks of a large document (RFC 7959), and an Echo that the server asks for (RFC
9175). With `observe` it registers for notifications (RFC 7641), and each of these gives an
Outcome, too. The states and the transitions between them are in _TRANSITIONS.
"""

from micropython import const

from msgin5g.cbor.reader import ARRAY, MAP, NINT, TEXT, CborError, Reader
from msgin5g.coap import numbers
from msgin5g.coap.block2 import CHANGED, MORE, Block2Body, BlockError, szx_of
from msgin5g.coap.text import printable
from msgin5g.coap.retransmission import OBSERVING
from msgin5g.scm.request import uri_equal
from msgin5g.scm.ue_config_doc import DocumentError, find_configuration, imei_of

# States of a fetch.
_IDLE = const(0)
_REQUESTING = const(1)  # the first block is asked for
_TRANSFERRING = const(2)  # a further block is asked for
_PAUSED = const(3)  # nothing is asked for; the next fetch asks for the same block again
# States of the observation of the individual document.
_NONE = const(4)
_REGISTERING = const(5)  # a request with Observe 0 was sent
_ACTIVE = const(6)  # the server sends notifications

# Events of a fetch.
_FIRST = const(0)  # the first block is asked for
_NEXT = const(1)  # a further block is asked for
_BUSY = const(2)  # the server is busy
_NOTIFIED = const(3)  # a notification has come, which takes the place of the fetch
_END = const(4)  # there is an Outcome, or the fetch is cancelled
# Events of the observation.
_REGISTER = const(5)  # a request with Observe 0 is sent
_CONFIRM = const(6)  # a 2.xx response with Observe has come
_CEASE = const(7)  # any other response, a time-out, a Reset; or it is deregistered

_NO = const(-1)  # no such transition: a bug

# fmt: off
_TRANSITIONS = const((
    # _FIRST       _NEXT          _BUSY    _NOTIFIED    _END
    (_REQUESTING,  _NO,           _NO,     _REQUESTING, _IDLE),  # _IDLE
    (_REQUESTING,  _TRANSFERRING, _NO,     _REQUESTING, _IDLE),  # _REQUESTING
    (_REQUESTING,  _TRANSFERRING, _PAUSED, _REQUESTING, _IDLE),  # _TRANSFERRING
    (_NO,          _TRANSFERRING, _NO,     _REQUESTING, _IDLE),  # _PAUSED
    # _REGISTER    _CONFIRM       _CEASE
    (_REGISTERING, _NO,           _NONE),                        # _NONE
    (_REGISTERING, _ACTIVE,       _NONE),                        # _REGISTERING
    (_REGISTERING, _ACTIVE,       _NONE),                        # _ACTIVE
))
# fmt: on

# Keys of concise problem details.
_TITLE = const(-1)
_DETAIL = const(-2)
_MAX_TEXT_SIZE = const(200)  # bytes kept of each: they go into events and logs

_MAX_RESTARTS = const(3)  # of a transfer whose document changes meanwhile
_MAX_RESUMES = const(4)  # of one block without a usable response
_DEFAULT_MAX_AGE_S = const(60)  # RFC 7252 section 5.10.5


class Outcome:
    """How a fetch ended. kind is one of

    configuration  texts, etag: a configuration for this UE, see UeConfigDoc.config_data
    unchanged      2.03: the configuration with this etag is still valid
    rejected       code, title, detail: an error of the server or of the next hop
    refused        detail: why the response holds no configuration for this UE
    timeout        no response within MAX_TRANSMIT_WAIT
    paused         the server is busy during a transfer: the next fetch goes on with it

    max_age_s: how long a configuration is fresh, or, for a rejection, when the server wants to be
    asked again; None where a rejection does not say.
    """

    def __init__(self, kind, detail=None, max_age_s=None, code=0, title=None):
        self.kind = kind
        self.code = code
        self.title = title
        self.detail = detail
        self.texts = None
        self.etag = None
        self.max_age_s = max_age_s


class ScmClient:
    """The configuration management client of one UE on an endpoint; one fetch at a time.

    request: ScmRequest. imei: that of the UE, see imei_of. ue_id: bytes, the Recipient that
    responses must carry; require_recipient: a response without one is dropped, as it must be
    behind a relay or gateway. It and recipient_option, content_format, block_size and
    max_document_size are as in settings. document_id: that of the individual document, None until
    it is known. is_named: whether that document names the UE by its URI, so that none can go
    before it. etag: that of the last representation. individual: whether the last request was
    for the individual document, not for the collection. state: that of the fetch. exchange: that
    of the request under way, or None. block2: the Block2Body of the document under way, or None.
    unanswered_size: bytes sent to a server that did not answer.
    """

    def __init__(self, endpoint, transport, remote, request, ue_id, settings):
        self.endpoint = endpoint
        self.transport = transport
        self.remote = remote
        self.document_id = None
        self.is_named = True
        self.etag = None
        self.individual = False
        self.unanswered_size = 0
        self.request = request
        self.ue_id = ue_id
        self.imei = imei_of([value for _, value in request.queries])
        self.recipient_option = settings.recipient_option
        self.require_recipient = settings.require_recipient
        self.content_format = settings.content_format
        self.block_size = settings.block_size
        self.max_document_size = settings.max_document_size
        self.state = _IDLE
        self._observation = _NONE
        self.exchange = self.block2 = None
        self._registration = None  # the exchange of the request with Observe 0
        self._refused_id = None  # of the document that the server refused in this fetch
        self._etag_of = None  # the document_id that `etag` belongs to; None: the collection
        self._asked = (False, None)  # arguments of the last request, for an Echo
        self._request_size = 0
        self._n_restarts = 0  # of this fetch
        self._n_resumes = 0  # of this block

    def _change(self, event):
        """Change the state; nothing else does."""
        if event < _REGISTER:
            self.state = _TRANSITIONS[self.state][event]
            assert self.state != _NO, "no such transition"
        else:
            self._observation = _TRANSITIONS[self._observation][event - _REGISTER]
            assert self._observation != _NO, "no such transition"

    @property
    def busy(self):
        """Whether a request is under way."""
        return self.state == _REQUESTING or self.state == _TRANSFERRING

    @property
    def observing(self):
        """Whether the server sends notifications."""
        return self._observation == _ACTIVE

    def fetch(self, observe=False, conditional=True):
        """Ask for the configuration; false when the endpoint has no room for a request.

        conditional: with the ETag of the last representation, which must still be held. observe:
        register, or renew the registration, once the document is known; without it the request is
        for the collection, and an observation goes on.
        """
        if self.state == _PAUSED:
            return self._ask(_NEXT)
        self.individual = observe and self.document_id is not None
        self._n_restarts = self._n_resumes = 0
        self._refused_id = None
        return self._ask(_FIRST, conditional, 0 if self.individual else None)

    def stop(self):
        """Deregister from notifications, if registered (RFC 7641 section 3.6)."""
        self.cancel()
        if self._registration is not None:
            self.individual = True
            self._ask(_FIRST, True, 1)

    def forget(self):
        """Forget the document: the next fetch is as the first one was."""
        self.cancel()
        self._cease()
        self.document_id = self.etag = self._etag_of = None

    def drop_half_done(self):
        """End a fetch and an observation that wait for nothing, after a MemoryError."""
        exchange = self.exchange
        if self.busy and (exchange is None or exchange.state >= OBSERVING):
            self.cancel()
        if self._registration is not None and self._registration.state > OBSERVING:
            self._cease()

    def no_response(self, exchange, reset):
        """An exchange has timed out, or was rejected with a Reset: the Outcome.

        None while the fetch goes on.
        """
        if exchange is not self.exchange:
            return None
        if not reset:
            self.unanswered_size = self._request_size * exchange.n_sent
            if self.state == _TRANSFERRING and self._resume() and self._ask(_NEXT):
                return None
        if exchange is self._registration:
            self._cease()
        return (
            self._end("rejected", None, None, 0, "Reset by the peer")
            if reset
            else self._end("timeout")
        )

    def is_recipient(self, message):
        """Whether a response is for this UE; if not it is dropped without a word (6.2.2.2)."""
        recipient = message.option(self.recipient_option)
        if recipient is None:
            return not self.require_recipient
        return recipient == self.ue_id or uri_equal(recipient, self.ue_id)

    def response(self, now):
        """The Outcome of the endpoint's message, which belongs to an exchange of ours.

        None while the fetch goes on, or when the message is dropped.
        """
        endpoint = self.endpoint
        message = endpoint.message
        exchange = endpoint.exchange
        recipient_option = self.recipient_option
        if not self.is_recipient(message):
            missing = message.find(recipient_option) < 0
            endpoint.count("missing_recipient" if missing else "foreign_recipient")
            return None
        critical = message.critical(1 << numbers.BLOCK2, recipient_option)
        if critical:
            # RFC 7252 section 5.4.1: the response is rejected, so there will be none.
            endpoint.count("critical_option")
            endpoint.reject()
            endpoint.cancel(exchange)
            if exchange is self._registration:
                self._cease()
            if exchange is not self.exchange:
                return None  # it was a notification
            return self._end("refused", "an option that must be understood: " + str(critical))
        registered = exchange is self._registration
        sequence = message.uint(numbers.OBSERVE) if registered else None
        observing = sequence is not None and message.code >> 5 == 2
        endpoint.accept(now, observing)
        if observing and not exchange.newer(sequence, now):
            endpoint.count("old_notification")
            return None
        self.unanswered_size = 0
        if registered:
            if exchange is not self.exchange:
                self.cancel()  # the blocks of a former state are worthless now
                self._change(_NOTIFIED)
                self.block2 = Block2Body(szx_of(self.block_size), self.max_document_size)
                self.individual = True
                self._n_restarts = self._n_resumes = 0
            if observing:
                self._change(_CONFIRM)
            else:
                self._change(_CEASE)
                self._registration = None
        self.exchange = None
        code = message.code
        if code == numbers.VALID:
            return self._valid(message)
        if code == numbers.CONTENT:
            return self._content(message)
        return self._error(code, message)

    def _valid(self, message):
        etag = message.option(numbers.ETAG)
        if self.etag is None or (etag is not None and etag != self.etag):
            return self._restart()  # a representation is valid that is not held any more
        max_age_s = message.uint(numbers.MAX_AGE, _DEFAULT_MAX_AGE_S)
        outcome = self._end("unchanged", None, max_age_s)
        outcome.etag = self.etag
        return outcome

    def _content(self, message):
        content_format = message.uint(numbers.CONTENT_FORMAT, numbers.CBOR)
        if content_format != numbers.CBOR and content_format != self.content_format:
            return self._end("refused", "Content-Format " + str(content_format))
        block2 = self.block2
        try:
            progress = block2.take(message)
            if progress == CHANGED:
                return self._restart()
            if progress == MORE:
                self._n_resumes = 0
                if self._ask(_NEXT):
                    return None
                raise BlockError("no room for the next request")
            found = find_configuration(block2.body, self.ue_id, self.imei)
        except BlockError as error:
            return self._end("refused", str(error))
        except DocumentError as error:
            if self._look_in_collection():
                return None
            return self._end("refused", str(error))
        except MemoryError:
            return self._end("refused", "too large for the memory that is free")
        texts, document_id, self.is_named = found
        if not self.individual and document_id != self.document_id:
            # The collection names another document than the one that is observed.
            self._cease()
            usable = document_id and len(document_id) <= 255 and document_id != self._refused_id
            if document_id in (b".", b".."):
                usable = False  # RFC 7252 section 5.10.1: no Uri-Path
            self.document_id = document_id if usable else None
        # Without the ETag the next fetch brings a document again that is not observed for now.
        self.etag = None if document_id and document_id == self._refused_id else block2.etag
        self._etag_of = self.document_id if self.individual else None
        max_age_s = message.uint(numbers.MAX_AGE, _DEFAULT_MAX_AGE_S)
        outcome = self._end("configuration", None, max_age_s)
        outcome.texts = texts
        outcome.etag = block2.etag
        return outcome

    def _error(self, code, message):
        max_age_s = message.uint(numbers.MAX_AGE)
        if self.state == _TRANSFERRING:
            if code == numbers.BAD_REQUEST:
                return self._restart()  # the block is past the end: the document is shorter now
            if (
                code == numbers.TOO_MANY_REQUESTS
                or code == numbers.SERVICE_UNAVAILABLE
                or code == numbers.GATEWAY_TIMEOUT
            ) and self._resume():
                self._change(_BUSY)
                return Outcome("paused", None, max_age_s)
        echo = message.option(numbers.ECHO)
        if (
            code == numbers.UNAUTHORIZED
            and echo
            and len(echo) <= 40
            and self._n_restarts < _MAX_RESTARTS
        ):
            # RFC 9175 section 2.3: show that we are reachable at our address.
            self._n_restarts += 1
            event = _NEXT if self.state == _TRANSFERRING else _FIRST
            if self._ask(event, self._asked[0], self._asked[1], echo):
                return None
        is_none = code == numbers.FORBIDDEN or code == numbers.NOT_FOUND
        if is_none and self._look_in_collection():
            return None
        title, detail = problem_of(message.payload())
        return self._end("rejected", detail, max_age_s, code, title)

    def _look_in_collection(self):
        """Ask for the collection, as the individual document is gone or is for other UEs now.

        The collection shows whether another one is for this UE. If it is the same one, it is not
        observed for now: that would go round in circles. False when there is no such request.
        """
        if not self.individual or self._asked[1] == 1:
            return False
        refused_id = self.document_id
        self.forget()
        self._refused_id = refused_id
        self.individual = False
        if self._ask(_FIRST):
            return True
        self.individual = True
        return False

    def _restart(self):
        """Ask for the first block again, unconditionally."""
        self._n_restarts += 1
        if self._n_restarts <= _MAX_RESTARTS and self._ask(_FIRST):
            return None
        return self._end("refused", "the document kept changing during its transfer")

    def _resume(self):
        """Whether the same block may be asked for once more."""
        self._n_resumes += 1
        return self._n_resumes <= _MAX_RESUMES

    def _ask(self, event, conditional=False, observe=None, echo=None):
        """Send the request for the first block or for the next one; false: there is no room."""
        if event == _FIRST:
            self.block2 = Block2Body(szx_of(self.block_size), self.max_document_size)
        document_id = self.document_id if self.individual else None
        etag = self.etag if conditional and self._etag_of == document_id else None
        block2 = self.block2.next_block()
        token = None
        if observe is not None and self._registration is not None:
            # RFC 7641 section 3.6: the same token renews or ends a registration.
            token = self._registration.token
            self.endpoint.cancel(self._registration)
        asked = (conditional, observe)
        exchange = self.request.start(self, document_id, etag, observe, block2, echo, token)
        if exchange is None:
            return False
        self._asked = asked
        self._request_size = len(exchange.datagram)
        self.exchange = exchange
        self._change(event)
        if observe is not None:
            self._registration = exchange if observe == 0 else None
            self._change(_REGISTER if observe == 0 else _CEASE)
        return True

    def _end(self, kind, detail=None, max_age_s=None, code=0, title=None):
        """End the fetch with an Outcome."""
        self.exchange = self.block2 = None
        self._change(_END)
        return Outcome(kind, detail, max_age_s, code, title)

    def cancel(self):
        """End the fetch without an Outcome."""
        exchange = self.exchange
        if exchange is not None and exchange is not self._registration:
            self.endpoint.cancel(exchange)
        self.exchange = self.block2 = None
        self._change(_END)

    def _cease(self):
        """End the observation on our side; the next notification is rejected with a Reset."""
        if self._registration is not None:
            self.endpoint.cancel(self._registration)
            self._registration = None
        self._change(_CEASE)


def problem_of(payload):
    """(title, detail) of concise problem details (RFC 9290), each may be None; never raises."""
    found = [None, None]
    try:
        reader = Reader(payload)
        n = reader.begin(MAP)
        while reader.more(n):
            key = 0
            if reader.peek() == NINT:
                reader.head()
                key = -1 - reader.argument
            else:
                reader.skip()
            if key == _TITLE or key == _DETAIL:
                if found[-1 - key] is not None:
                    return None, None  # there twice: not CBOR that means anything
                found[-1 - key] = _text(reader)
            else:
                reader.skip()
            n -= n > 0
    except CborError:
        pass
    return found[0], found[1]


def _text(reader):
    """A text, or one with its language (tag 38: an array of the language and the text)."""
    if reader.peek() == ARRAY:
        reader.begin(ARRAY)
        reader.skip()
    octets = reader.string(TEXT)
    end = min(len(octets), _MAX_TEXT_SIZE)
    while 0 < end < len(octets) and octets[end] & 0xC0 == 0x80:
        end -= 1  # a character is cut off whole (RFC 3629 section 3)
    try:
        return printable(octets[:end])
    except UnicodeError:
        return None
