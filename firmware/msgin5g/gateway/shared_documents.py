"""Individual documents at the gateway: one body, and one observation, for all who ask.

UEs that observe a document (RFC 7641) share one observation at the server, which is asked for in
the name of one of them. The body is kept, and is revalidated with its ETag when it is stale.
Each UE gets the document as if it named nobody but itself.

What the server decides about one UE holds for that UE alone: another UE gets the body only after
the server has lately said so, see cache. A Confirmation asks it, in the name of that UE.
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


class DocumentTransfer:
    """A transfer (see bulk_transfer) of an individual document, in the name of one UE.

    requests: the PendingRequests that wait for it. ue: the LinkedUe in whose name it is.
    is_queued: it is in the scheduler's queue. download: None until it is under way.
    """

    common = ()
    download = None

    def __init__(self, documents, ue, document_id):
        self.documents = documents
        self.document_id = document_id
        self.requests = []
        self.ue = ue
        self.ue_ids = [ue.ue_id]
        self._body = None  # the document, once it has come
        self._kept = None  # the Entry that was in the cache when it was asked for
        self.is_queued = False

    def prepare(self):
        """It is about to be under way."""
        if self.download is None:
            transfers = self.documents.transfers
            self.download = Download(transfers.szx, transfers.max_document_size)

    def start(self, now, observe, token, echo):
        """Ask for what comes next; for the first block only if it is not the one that is kept."""
        documents = self.documents
        download = self.download
        etag = None
        if not download.block2.size:
            self._kept = documents.cache.find(self.document_id)
            etag = None if self._kept is None else self._kept.server_etag
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
        return exchange

    def found(self, document):
        # Read its URIs now: CborError counts it as invalid, and the cache holds only valid ones.
        for _ in document.uris():
            pass
        self._body = document.copy()

    def complete(self, now):
        documents = self.documents
        body = self._body
        if body is None:
            documents.transfers.fail(self, SERVICE_UNAVAILABLE, "Bad answer")  # an empty array
            return
        self._body = None
        download = self.download
        etag = download.block2.etag
        entry = documents.cache.put(self.document_id, body, download.fresh_until, etag)
        self.publish(entry, True, now)

    def restart(self):
        self._body = None
        return self.download.restart()

    def refused(self, code, message, now):
        documents = self.documents
        if code == VALID:
            entry = documents.cache.find(self.document_id)
            if entry is None or entry is not self._kept:
                documents.transfers.restart(self)  # it has changed, or was dropped, meanwhile
                return
            entry.fresh_until = documents.transfers.fresh_until(message, now)
            self.publish(entry, False, now)
        elif code >> 5 == 4 and code != TOO_MANY_REQUESTS:
            documents.cache.revoke(self.ue)
            self.deny(Response(code, message.payload(), message.uint(MAX_AGE)))
        else:
            if code != TOO_MANY_REQUESTS and code != GATEWAY_TIMEOUT:
                code = SERVICE_UNAVAILABLE
            self.fail(Response(code, compose(code, "Busy"), message.uint(MAX_AGE)))

    def rejected(self, response):
        self.fail(response)


class SharedDocument(DocumentTransfer):
    """An individual document that UEs wait for (requests) or observe (observers).

    observation: the exchange that asked the server to observe; is_observing: the server agreed.
    n_confirmations: how many are under way, or wait for it.
    """

    def __init__(self, documents, ue, document_id):
        super().__init__(documents, ue, document_id)
        self.observers = []
        self.n_confirmations = 0
        self.observation = None
        self.is_observing = False
        self._token = None  # of the observation

    def ask(self, now, echo=None):
        download = self.download
        observe = token = None
        if not download.block2.size:
            download.wants_next = True  # as long as there is no memory for it
            # In the name of the same UE as before, or of another one when it is gone.
            is_renewed = self.ue.request in self.requests or self.is_observed_by(self.ue)
            for one in () if is_renewed else self.requests + self.observers:
                self.ue = one.ue
                self.ue_ids = [one.ue.ue_id]
                break
            if self._wants_observe():
                observe = 0
            if self.observation is not None:
                if observe == 0 and is_renewed:
                    # RFC 7641 section 3.6: the same token renews the registration. In another
                    # name it is another one, and the next notification of this one is rejected.
                    token = self._token
                self.stop_observing()
        exchange = self.start(now, observe, token, echo)
        if exchange is not None and observe == 0:
            self.observation = exchange
            self._token = exchange.token

    def is_observed_by(self, ue):
        """Whether a UE observes it."""
        for observer in ue.observers:
            if observer.document is self:
                return True
        return False

    def _wants_observe(self):
        if self.observers:
            return True
        for request in self.requests:
            if self.documents.wants_observer(request):
                return True
        return False

    def stop_observing(self):
        """Forget the observation; the server's next notification gets a Reset."""
        self.documents.endpoint.cancel(self.observation)
        self.observation = None
        self.is_observing = False

    def accept(self, message, now):
        documents = self.documents
        endpoint = documents.endpoint
        exchange = endpoint.exchange
        self.prepare()
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
            if self not in documents.transfers.under_way:
                self.download = None
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

    def publish(self, entry, has_changed, now):
        """Give the document to all who may have it; for the others the server is asked."""
        documents = self.documents
        entry.permit(self.ue)
        if has_changed and self.observers:
            permitted = []
            for observer in self.observers:
                ue = observer.ue
                documents.cache.drop_collections(ue)
                if ue is self.ue or entry.is_permitted(ue, now):
                    permitted.append(observer)
                else:
                    documents.confirm(self, ue).is_for_observers = True
            documents.observers.notify(self, permitted, response_with(entry))
        permitted = []
        for request in self.requests:
            if request.ue is self.ue or entry.is_permitted(request.ue, now):
                permitted.append(request)
            else:
                documents.confirm(self, request.ue).requests.append(request)
        self.respond(permitted, entry)
        self.requests = []
        documents.transfers.end(self)

    def respond(self, requests, entry):
        """Give requests the document; those that want to observe do so."""
        documents = self.documents
        for request in requests:
            ue = request.ue
            if self.is_observing and request.parameters.observe == 0:
                request.observer = documents.observers.add(
                    self,
                    ue,
                    token_of(ue.request_key),
                    request.parameters,
                    ue.asked_at,
                    request.binding,
                )
        documents.responder.respond(requests, response_with(entry))

    def deny(self, response):
        """An error for the UE that was named; another one is named next."""
        if response.code == NOT_FOUND:
            self.documents.cache.drop(self.document_id)  # probably it is gone for all
        self.end_observers(self.ue, response)
        self.documents.responder.respond([r for r in self.requests if r.ue is self.ue], response)
        self.requests = [r for r in self.requests if r.ue is not self.ue]
        if self.requests or self.observers:
            self.download.begin()
            self.download.wants_next = True
        else:
            self.documents.transfers.end(self)

    def rejected(self, response):
        if self.documents.endpoint.exchange is self.observation:
            self.stop_observing()
        self.fail(response)

    def end_observers(self, ue, response):
        """End what a UE observes with an error (RFC 7641 section 4.2)."""
        observers = [o for o in ue.observers if o.document is self]
        self.documents.observers.notify(self, observers, response)

    def fail(self, response):
        """An error for all."""
        self.documents.cache.drop(self.document_id)
        if self.observation is None:
            self.documents.observers.notify(self, list(self.observers), response)
        requests = self.requests
        self.requests = []
        self.documents.responder.respond(requests, response)
        self.documents.transfers.end(self)

    def remove(self, request):
        if request in self.requests:
            self.requests.remove(request)
        return bool(self.requests or self.observers)

    def release(self):
        """An observer has gone: nobody may want it any more."""
        self.documents.release(self)

    def ended(self):
        # Its observers keep it: the next request is a new one.
        self.download = self._body = self._kept = None
        self.documents.scheduler.dequeue(self)
        self.documents.release(self)


class Confirmation(DocumentTransfer):
    """The server is to say whether one more UE may have a SharedDocument.

    is_for_observers: the UE observes it, and has not been told of the last change.
    """

    is_for_observers = False

    def __init__(self, document, ue):
        super().__init__(document.documents, ue, document.document_id)
        self.document = document

    def ask(self, now, echo=None):
        self.start(now, None, None, echo)

    def accept(self, message, now):
        self.documents.endpoint.accept(now)
        self.download.exchange = None
        return True

    def complete(self, now):
        if self.documents.cache.find(self.document_id) is self._kept:
            super().complete(now)
        else:
            self.documents.transfers.restart(self)  # perhaps that was an older state

    def publish(self, entry, has_changed, now):
        document = self.document
        entry.permit(self.ue)
        if self.is_for_observers:
            observers = [o for o in self.ue.observers if o.document is document]
            self.documents.observers.notify(document, observers, response_with(entry))
        requests = self._end()
        if not document.is_observing:
            for request in requests:
                if self.documents.wants_observer(request):
                    self.documents.take(request)  # who observed it has gone meanwhile
                    return
        document.respond(requests, entry)

    def deny(self, response):
        """An error for the UE."""
        self.document.end_observers(self.ue, response)
        self.fail(response)

    def fail(self, response):
        """An error for the request of the UE; what it observes it is told with the next change."""
        self.documents.responder.respond(self._end(), response)

    def _end(self):
        requests = self.requests
        self.requests = []
        self.documents.transfers.end(self)
        return requests

    def remove(self, request):
        if request in self.requests:
            self.requests.remove(request)
        return bool(self.requests) or (
            self.is_for_observers and self.document.is_observed_by(self.ue)
        )

    def ended(self):
        self.documents.scheduler.dequeue(self)
        self.documents.confirmed(self)


class SharedDocuments:
    """The SharedDocuments that UEs wait for or observe, and what they work with.

    documents: them by ueConfigDocId; at most one for each request and each observer.
    confirmations: by ueConfigDocId and UE ID; at most one for each request and each observer.
    """

    def __init__(self, endpoint, transfers, scheduler, observers, responder, cache):
        self.endpoint = endpoint
        self.transfers = transfers
        self.scheduler = scheduler
        self.observers = observers
        self.responder = responder
        self.cache = cache
        self.documents = {}
        self.confirmations = {}

    def find(self, document_id):
        """The SharedDocument with this ueConfigDocId, or None."""
        return self.documents.get(document_id)

    def take(self, request):
        """Have a request for an individual document answered."""
        document_id = request.parameters.document_id
        ue = request.ue
        document = self.find(document_id)
        if document is None:
            document = SharedDocument(self, ue, document_id)
            self.documents[document_id] = document
        is_busy = document.is_queued or document in self.transfers.under_way
        if (
            not is_busy
            and document.is_observing
            and document.ue is not ue
            and document.is_observed_by(document.ue)
        ):
            # It is observed in the name of another UE, and that goes on.
            self.confirm(document, ue).requests.append(request)
            return
        document.requests.append(request)
        if not is_busy:
            self.scheduler.enqueue(document)

    def confirm(self, document, ue):
        """Ask the server whether a UE may have a SharedDocument; the Confirmation."""
        key = (document.document_id, ue.ue_id)
        confirmation = self.confirmations.get(key)
        if confirmation is None:
            confirmation = Confirmation(document, ue)
            self.confirmations[key] = confirmation
            document.n_confirmations += 1
            self.scheduler.enqueue(confirmation)
        return confirmation

    def confirmed(self, confirmation):
        """A Confirmation has ended."""
        document = confirmation.document
        key = (document.document_id, confirmation.ue.ue_id)
        if self.confirmations.get(key) is confirmation:
            del self.confirmations[key]
            document.n_confirmations -= 1
        self.release(document)

    def wants_observer(self, request):
        """Whether the UE of a request is to observe its document."""
        return request.parameters.observe == 0 and self.observers.has_room(request.ue)

    def release(self, document):
        """Drop what nobody wants any more; the server gets a Reset for its next notification."""
        if not document.observers and document.observation is not None:
            document.stop_observing()
        if (
            not document.requests
            and not document.observers
            and not document.n_confirmations
            and not document.is_queued
            and self.find(document.document_id) is document
            and document not in self.transfers.under_way
        ):
            del self.documents[document.document_id]

    def drop_half_done(self):
        """Drop what nothing works on, and what nobody wants, after a MemoryError."""
        documents = list(self.documents.values())
        for document in documents:
            document.n_confirmations = 0
            if not document.is_queued and document not in self.transfers.under_way:
                document.requests = []  # they were forgotten, and will come again
        for key, confirmation in list(self.confirmations.items()):
            if confirmation.is_queued or confirmation in self.transfers.under_way:
                confirmation.document.n_confirmations += 1
            else:
                del self.confirmations[key]
        for document in documents:
            self.release(document)
