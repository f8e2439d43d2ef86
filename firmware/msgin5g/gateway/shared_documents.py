"""Individual documents at the gateway: one request, and one observation, for all who ask.

What came for one UE serves every UE that the document names, as long as it is fresh; after that
it is revalidated with its ETag. UEs that observe a document (RFC 7641) share one observation at
the server. Each gets the document as if it named nobody but itself.
"""

from msgin5g.coap.numbers import (
    GATEWAY_TIMEOUT,
    MAX_AGE,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    VALID,
)
from msgin5g.gateway.bulk_transfer import Download
from msgin5g.gateway.pending_requests import token_of
from msgin5g.gateway.responder import Response, response_with
from msgin5g.scm.problem_details import compose


class SharedDocument:
    """An individual document that UEs wait for (requests) or observe (observers).

    It is a transfer, see bulk_transfer. observation: the exchange that asked the server to
    observe; is_observing: the server agreed.
    """

    common = ()

    def __init__(self, documents, ue_id, document_id):
        self._documents = documents
        self.document_id = document_id
        self.requests = []
        self.observers = []
        self.ue_ids = [ue_id]
        self.observation = None
        self.is_observing = False
        self._token = None  # of the observation
        self._body = None  # the document, once it has come
        transfers = documents.transfers
        self.download = Download(transfers.szx, transfers.max_document_size)

    def ask(self, now, echo=None):
        documents = self._documents
        download = self.download
        size = download.block2.size
        etag = observe = token = None
        if not size:
            download.wants_next = True  # as long as there is no memory for it
            # In the name of the same UE as before, or of another one when it is gone.
            renewed = False
            ue = None
            for one in self.requests + self.observers:
                ue = one.ue
                renewed = renewed or ue.ue_id == self.ue_ids[0]
            if ue is not None and not renewed:
                self.ue_ids = [ue.ue_id]
            if self._wants_observe():
                observe = 0
            if self.observation is not None:
                if observe == 0 and renewed:
                    # RFC 7641 section 3.6: the same token renews the registration. In another
                    # name it is another one, and the next notification of this one is rejected.
                    token = self._token
                self.stop_observing()
            entry = documents.cache.find(self.document_id)
            etag = None if entry is None else entry.server_etag
        exchange = documents.transfers.scm.ask(
            self,
            self.ue_ids,
            (),
            self.document_id,
            download.block2.next_block(),
            etag,
            observe,
            token,
            echo,
        )
        download.started(exchange, now)
        if exchange is not None and observe == 0:
            self.observation = exchange
            self._token = exchange.token

    def _wants_observe(self):
        if self.observers:
            return True
        for request in self.requests:
            if request.parameters.observe == 0 and self._documents.observers.has_room(request.ue):
                return True
        return False

    def stop_observing(self):
        """Forget the observation; the server's next notification gets a Reset."""
        self._documents.endpoint.cancel(self.observation)
        self.observation = None
        self.is_observing = False

    def accept(self, message, now):
        documents = self._documents
        endpoint = documents.endpoint
        exchange = endpoint.exchange
        download = self.download
        if exchange is not self.observation:
            endpoint.accept(now)
            download.exchange = None
            return True
        number = message.uint(OBSERVE)
        is_observing = number is not None and message.code >> 5 == 2
        endpoint.accept(now, is_observing)
        if is_observing and not exchange.newer(number, now):
            endpoint.count("old_notification")
            return False
        self.is_observing = is_observing
        if not is_observing:
            self.observation = None
        if download.exchange is not exchange and download.exchange is not None:
            endpoint.cancel(download.exchange)  # blocks of the former state
        download.exchange = None
        download.begin()
        documents.scheduler.dequeue(self)  # what its requests wait for has come by itself
        if self not in documents.transfers.under_way:
            documents.transfers.under_way.append(self)
        return True

    def found(self, document):
        # Read its URIs now: CborError counts it as invalid, and the cache holds only valid ones.
        for _ in document.uris():
            pass
        self._body = document.copy()

    def complete(self, now):
        documents = self._documents
        body = self._body
        if body is None:
            documents.transfers.fail(self, SERVICE_UNAVAILABLE, "Bad answer")  # an empty array
            return
        self._body = None
        download = self.download
        etag = download.block2.etag
        entry = documents.cache.put(self.document_id, body, download.fresh_until, etag)
        self._publish(entry, True)

    def _publish(self, entry, changed):
        """Give the document to all who wait for it, and to its observers when it has changed."""
        documents = self._documents
        response = response_with(entry)
        if changed:
            documents.observers.notify(self, response)
        named = []
        for request in self.requests:
            ue = request.ue
            if not entry.is_for(ue.ue_id):
                documents.scheduler.singles.append(request)  # the server is to refuse it
                continue
            named.append(request)
            if self.is_observing and request.parameters.observe == 0:
                request.observer = documents.observers.add(
                    self, ue, token_of(ue.request_key), request.parameters, ue.asked_at
                )
        documents.responder.respond(named, response)
        self.requests = []
        documents.transfers.end(self)

    def restart(self):
        self._body = None
        return self.download.restart()

    def refused(self, code, message, now):
        documents = self._documents
        if code == VALID:
            entry = documents.cache.find(self.document_id)
            if entry is not None:
                entry.fresh_until = documents.transfers.fresh_until(message, now)
                self._publish(entry, False)
            else:
                documents.transfers.restart(self)  # it was dropped from the cache meanwhile
            return
        documents.cache.drop(self.document_id)
        ue_id = title = None
        if code == NOT_FOUND:
            title = "Not found"
        elif code >> 5 == 4 and code != TOO_MANY_REQUESTS:
            # That is between the server and the UE that was named: another one is named next.
            ue_id = self.ue_ids[0]
        else:
            if code != TOO_MANY_REQUESTS and code != GATEWAY_TIMEOUT:
                code = SERVICE_UNAVAILABLE
            title = "Busy"
        payload = compose(code, title) if title else message.payload()
        self._deny(Response(code, payload, message.uint(MAX_AGE)), ue_id)

    def _deny(self, response, ue_id):
        """An error for all, or for one of the UEs, with their observations."""
        documents = self._documents
        if response.code == NOT_FOUND or ue_id is not None or self.observation is None:
            documents.observers.notify(self, response, ue_id)
        denied = self.requests
        left = []
        if ue_id is not None:
            denied = [r for r in self.requests if r.ue.ue_id == ue_id]
            left = [r for r in self.requests if r.ue.ue_id != ue_id]
        documents.responder.respond(denied, response)
        self.requests = left
        if left or (ue_id is not None and self.observers):
            self.download.begin()
            self.download.wants_next = True
        else:
            documents.transfers.end(self)

    def remove(self, request):
        if request in self.requests:
            self.requests.remove(request)
        return bool(self.requests or self.observers)

    def release(self):
        """An observer has gone: nobody may want it any more."""
        self._documents.release(self)

    def ended(self):
        # Its observers keep it: the next request is a new one.
        self.download.begin()
        self.download.n_restarts = 0
        self._body = None
        self._documents.scheduler.dequeue(self)
        self._documents.release(self)


class SharedDocuments:
    """The SharedDocuments that UEs wait for or observe, and what they work with."""

    def __init__(self, endpoint, transfers, scheduler, observers, responder, cache):
        self.endpoint = endpoint
        self.transfers = transfers
        self.scheduler = scheduler
        self.observers = observers
        self.responder = responder
        self.cache = cache
        self.documents = []

    def find(self, document_id):
        """The SharedDocument with this ueConfigDocId, or None."""
        for document in self.documents:
            if document.document_id == document_id:
                return document
        return None

    def add(self, request):
        """Add a request for an individual document; gives the SharedDocument."""
        document_id = request.parameters.document_id
        document = self.find(document_id)
        if document is None:
            document = SharedDocument(self, request.ue.ue_id, document_id)
            self.documents.append(document)
        document.requests.append(request)
        return document

    def release(self, document):
        """Drop what nobody wants any more; the server gets a Reset for its next notification."""
        if not document.observers and document.observation is not None:
            document.stop_observing()
        if (
            not document.requests
            and not document.observers
            and document in self.documents
            and document not in self.transfers.under_way
            and document not in self.scheduler.queued
        ):
            self.documents.remove(document)
