"""SCM-C, the configuration management client: one GET and what becomes of it (TS 24.546 6.2).

This is what asks, and what is known from one answer to the next. What reads an answer is in
`answer`: it is needed for a moment now and then, and takes more heap than all of this.
"""

from msgin5g.coap.block2 import szx_of
from msgin5g.coap.numbers import GET
from msgin5g.coap.observe import NotificationOrder


class ScmClient:
    """The configuration client of one UE on an endpoint; one fetch at a time.

    resource: ScmRequest. ue_id: bytes, the Recipient that answers must carry;
    `require_recipient` says whether one without is dropped, as it is behind a relay or gateway.
    """

    def __init__(self, endpoint, transport, remote, resource, ue_id, settings):
        self.endpoint = endpoint
        self.transport = transport
        self.remote = remote
        self.resource = resource
        self.ue_id = ue_id
        self.recipient_option = settings.recipient_option
        self.content_format = settings.content_format
        self.require_recipient = settings.require_recipient
        self.szx = szx_of(settings.block_size)
        self.max_size = settings.max_document_size
        self.document_id = None  # of the individual document, once it is known
        self.observing = False
        self.observe_asked = False  # by the fetch under way, or the last one
        self.etag = None  # of the representation that came last, and of which resource it is
        self.etag_of = None
        self.unanswered_size = 0  # bytes sent, repetitions included, that timed out
        self.observation = None  # the exchange that asked to observe
        self.order = NotificationOrder()
        self.exchange = None  # the request that is under way
        self.assembly = None  # of the blocks of a document that has begun to come
        self.conditional = False  # as the request under way was made
        self.asked_observe = None
        self.request_size = 0
        self.n_restarts = 0  # of the fetch under way
        self.n_resumes = 0

    @property
    def busy(self):
        """Whether a fetch is under way."""
        return self.exchange is not None

    def fetch(self, observe=False, conditional=True):
        """Ask for the configuration; false when the endpoint has no room for it.

        conditional: with the ETag of the former answer, which is still held. observe: once the
        document is known, register, or renew a registration, for its changes.
        """
        if self.assembly is not None:
            return self.ask()  # a transfer that has paused
        self.observe_asked = observe and self.document_id is not None
        self.n_restarts = self.n_resumes = 0
        return self.ask(conditional, 0 if self.observe_asked else None)

    def stop(self):
        """End the observation, if any, with a GET that deregisters (RFC 7641 section 3.6)."""
        self.drop_exchange()
        if self.observation is not None:
            self.observe_asked = True
            self.ask(True, 1)

    def drop_exchange(self):
        """Give up the request that is under way, and what has come of a document."""
        exchange = self.exchange
        self.exchange = self.assembly = None
        if exchange is not None and exchange is not self.observation:
            self.endpoint.cancel(exchange)

    def ask(self, conditional=False, observe=None, echo=None):
        """Ask for what comes next: the document, or its next block; false: there is no room."""
        document_id = self.document_id if self.observe_asked else None
        etag = self.etag if conditional and self.etag_of == document_id else None
        block2 = None
        if self.assembly is not None:
            block2 = self.assembly.next_block()
        elif self.szx < 6:
            block2 = self.szx  # RFC 7959 section 2.4: propose the size with the first request
        options = self.resource.options(document_id, etag, observe, block2, echo)
        token = None
        if observe is not None and self.observation is not None:
            # RFC 7641 section 3.6: the same token renews or ends a registration.
            token = self.observation.token
            self.endpoint.cancel(self.observation)
        exchange = self.endpoint.request(
            self.transport, self.remote, GET, options, self, True, None, token
        )
        if exchange is None:
            return False
        self.conditional = conditional
        self.asked_observe = observe
        self.request_size = len(exchange.datagram)
        self.exchange = exchange
        if observe is not None:
            self.observation = exchange if observe == 0 else None
            self.observing = False
        return True
