"""What the gateway asks the server, and how the answer is split among the UEs that asked.

A BulkTransfer (one UE or several) and a SharedDocument (see shared_documents) are transfers, and
have one interface:

    requests, ue_ids    the PendingRequests that it is for, and the MSGin5G UE IDs that it names
    download            the request under way, and what has come of the answer
    ask(now, echo)      ask for what comes next: the first block, or a later one
    accept(message, now)            take a message; false when it is an old one
    found(document)     a SplitDocument of the answer has come
    complete(now)       all documents have come
    restart()           begin again; false when that has happened too often
    refused(code, message, now)     another answer than 2.05
    rejected(response)  an answer could not be processed; this is the response
    remove(request)     a request has gone; false when nobody wants the answer any more
    ended()             it is no longer under way

`Transfers` has the rules that hold for all of them.
"""

from micropython import const

from msgin5g.cbor.reader import CborError
from msgin5g.coap.block2 import CHANGED, COMPLETE, Block2Receiver, BlockError, szx_of
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CBOR,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    FORBIDDEN,
    GATEWAY_TIMEOUT,
    MAX_AGE,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    VALID,
)
from msgin5g.coap.ticks import add
from msgin5g.gateway.cache import Permission
from msgin5g.gateway.responder import Response, response_with
from msgin5g.intermediary.numbers import BAD_GATEWAY
from msgin5g.scm.document_splitter import DocumentSplitter
from msgin5g.scm.problem_details import compose
from msgin5g.scm.request import uri_equal
from msgin5g.scm.ue_config_doc import imei_of

_MAX_RESTARTS = const(3)
_DEFAULT_MAX_AGE_S = const(60)  # RFC 7252 section 5.10.5
_MAX_AGE_S = const(86400)
_LARGE = const(2048)  # bytes: two blocks, more than several documents have together


class Download:
    """A GET to the server with its blocks (RFC 7959 section 2.4).

    exchange: the request under way, None without. wants_next: the next block is to be asked for.
    fresh_until: when the answer will be stale, None before its first block.
    """

    def __init__(self, szx, max_document_size):
        self.exchange = None
        self.asked_at = 0
        self.n_restarts = 0
        self._max_document_size = max_document_size
        self.block2 = Block2Receiver(szx)
        self.begin()

    def begin(self):
        """Expect the first block."""
        if self.block2.size:
            self.block2 = Block2Receiver(self.block2.szx)
        self.splitter = DocumentSplitter(self._max_document_size)
        self.fresh_until = None
        self.wants_next = False

    def started(self, exchange, now):
        """A request for the next block has started; None: there was no room for it."""
        self.exchange = exchange
        self.asked_at = now
        self.wants_next = exchange is None

    def restart(self):
        """Begin again, because the body has changed; false when it did so too often."""
        self.n_restarts += 1
        self.begin()
        self.wants_next = self.n_restarts <= _MAX_RESTARTS
        return self.wants_next


class Transfers:
    """The transfers under way, and what they work with.

    scm: a LocalScmClient or a RemoteScmClient. scheduler: it takes the requests that have to go
    alone. Both are set before the first transfer.
    """

    def __init__(self, settings, endpoint, pending_requests, responder, cache):
        self.endpoint = endpoint
        self.pending_requests = pending_requests
        self.responder = responder
        self.cache = cache
        self.scm = None
        self.scheduler = None
        self.under_way = []
        self.szx = szx_of(settings.block_size)
        self.max_document_size = settings.max_document_size
        self._content_format = settings.content_format
        self._hold_size = settings.hold_size
        self._recipient_option = settings.recipient_option
        self._ue_id = settings.ue_id.encode()

    def ask(self, transfer, now, echo=None):
        """Ask for what comes next of a transfer; without memory for it, later."""
        try:
            transfer.ask(now, echo)
        except MemoryError:
            transfer.download.wants_next = True
            self.scheduler.retry_after_out_of_memory(now)

    def end(self, transfer):
        """End a transfer."""
        download = transfer.download
        if download is not None and download.exchange is not None:
            self.endpoint.cancel(download.exchange)
            download.exchange = None
        if transfer in self.under_way:
            self.under_way.remove(transfer)
        transfer.ended()

    def fail(self, transfer, code, title, max_age_s=None):
        """End a transfer with an error for all its requests."""
        requests = transfer.requests
        transfer.requests = []
        self.end(transfer)
        self.responder.fail(requests, code, title, max_age_s)

    # The server's answers

    def answered(self, transfer, now):
        """The endpoint's message answers a transfer."""
        endpoint = self.endpoint
        message = endpoint.message
        # It is for this node, also when that is SEAL-C and names it as the Recipient.
        is_challenge = message.code == UNAUTHORIZED and message.find(ECHO) >= 0
        recipient = message.option(self._recipient_option)
        if recipient is not None and not is_challenge:
            ue_ids = transfer.ue_ids
            expected = ue_ids[0] if len(ue_ids) == 1 else self._ue_id
            if recipient != expected and not uri_equal(recipient, expected):
                endpoint.count("foreign_recipient")
                return
        if message.critical(1 << BLOCK2, self._recipient_option):
            # RFC 7252 sections 5.4.1 and 5.7.1: it is rejected, so there will be no answer.
            endpoint.count("critical_option")
            endpoint.reject()
            endpoint.cancel(endpoint.exchange)
            payload = compose(BAD_GATEWAY, "Option not supported")
            transfer.rejected(Response(BAD_GATEWAY, payload))
            return
        if not transfer.accept(message, now):
            return
        code = message.code
        if code == CONTENT:
            self._take_block(transfer, message, self.fresh_until(message, now), now)
        elif code == BAD_REQUEST and transfer.download.block2.size:
            self.restart(transfer)  # a block past the end: the body has become shorter
        elif is_challenge and transfer.restart():
            # RFC 9175 section 2.3: show that we are reachable at our address.
            self.ask(transfer, now, message.option(ECHO))
        else:
            transfer.refused(code, message, now)

    def _take_block(self, transfer, message, fresh_until, now):
        download = transfer.download
        splitter = download.splitter
        try:
            if message.uint(CONTENT_FORMAT, CBOR) not in (CBOR, self._content_format):
                raise BlockError("format")
            progress = download.block2.take(message)
            if progress == CHANGED:
                self.restart(transfer)
                return
            splitter.feed(memoryview(message.view)[message.payload_start : message.size])
            if download.fresh_until is None:
                download.fresh_until = fresh_until
            while splitter.next():
                self._found(transfer, splitter.document)
            if progress == COMPLETE:
                if not splitter.done:
                    raise BlockError("cut off")
                transfer.complete(now)
                return
        except MemoryError:
            # Once more, when it is one document that there is no memory for.
            is_large = download.n_restarts and len(splitter.view) > _LARGE
            self.restart(transfer)
            self.scheduler.retry_after_out_of_memory(now)
            if is_large:
                self.fail(transfer, SERVICE_UNAVAILABLE, "Too large")
            return
        except (BlockError, CborError) as error:
            self.endpoint.count("bad_answer")
            title = "Too large" if error.args[0] == "too large" else "Bad answer"
            self.fail(transfer, SERVICE_UNAVAILABLE, title)
            return
        download.wants_next = True
        if self.pending_requests.held_size > self._hold_size:
            # Those whose documents have come are sent first, to free their memory.
            response = Response(CONTENT, b"", None, download.fresh_until, transfer.common)
            complete = [r for r in transfer.requests if r.documents]
            transfer.requests = [r for r in transfer.requests if not r.documents]
            self.responder.respond(complete, response)

    def _found(self, transfer, document):
        try:
            if document is None:
                raise CborError("no document")
            transfer.found(document)
        except CborError:
            self.endpoint.count("invalid_document")

    def fresh_until(self, message, now):
        """When a response that comes now will be stale."""
        max_age_s = min(message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S), _MAX_AGE_S)
        return add(now, max_age_s * 1000)

    def restart(self, transfer):
        """Begin a transfer again for those that have no response yet."""
        transfer.requests = [r for r in transfer.requests if r.response is None]
        if not transfer.remove(None):
            self.end(transfer)
        elif not transfer.restart():
            self.fail(transfer, SERVICE_UNAVAILABLE, "Changing")


class BulkTransfer:
    """One GET for the requests of one UE or several, whose queries are the same."""

    def __init__(self, transfers, requests):
        self._transfers = transfers
        self.requests = requests
        self.ue_ids = [request.ue.ue_id for request in requests]
        self._by_ue_id = {request.ue.ue_id: request for request in requests}
        self.common = []  # the documents for everybody
        self._n_named = 0  # how many of the UEs a document has named
        self._queries = queries = requests[0].parameters.queries
        self._imei = imei_of(queries)
        self._document_id = requests[0].parameters.document_id
        self.download = Download(transfers.szx, transfers.max_document_size)

    def ask(self, now, echo=None):
        download = self.download
        entry = None if download.block2.size else self._cached()
        exchange = self._transfers.scm.ask(
            self,
            self.ue_ids,
            self._queries,
            self._document_id,
            download.block2.next_block(),
            None if entry is None else entry.server_etag,
            None,
            None,
            echo,
        )
        download.started(exchange, now)

    def _cached(self):
        """The Entry of what one UE alone has got before; None for several UEs, or without."""
        if len(self.ue_ids) > 1 or self._document_id is not None:
            return None
        return self._transfers.cache.find((self.ue_ids[0], self._queries))

    def accept(self, message, now):
        self._transfers.endpoint.accept(now)
        self.download.exchange = None
        return True

    def found(self, document):
        pending_requests = self._transfers.pending_requests
        if self._document_id is not None:
            for request in self.requests:
                pending_requests.found(request, document.copy_for(request.ue.ue_id))
            return
        if document.names_everybody:
            self.common.append(document.copy())
            self._permit(document, [r for r in self.requests if not r.documents])
            return
        is_wanted = False
        for ue_id, copy in document.copies(self.ue_ids, self._imei):
            request = self._by_ue_id[ue_id]
            if request in self.requests:
                if not request.documents:
                    self._n_named += 1
                pending_requests.found(request, copy)
                is_wanted = True
                if document.n_uris > 1:
                    self._permit(document, (request,))
        if not is_wanted:
            self._transfers.endpoint.count("not_asked")

    def _permit(self, document, requests):
        """These UEs may have a document that others may have, too."""
        document_id = document.document_id
        if document_id:
            permission = Permission(document_id, None, self.download.fresh_until)
            for request in requests:
                request.ue.permission = permission

    def complete(self, now):
        responder = self._transfers.responder
        download = self.download
        common = self.common
        response = Response(CONTENT, b"", None, download.fresh_until, common)
        scheduler = self._transfers.scheduler
        requests = self.requests
        without = [r for r in requests if not r.documents]
        if self._n_named > 1:
            scheduler.does_bulk = True
        if common and (self._n_named != 1 or len(self.ue_ids) == 1 or scheduler.does_bulk):
            without = []  # the documents for everybody are all that there is for them
        else:
            requests = [r for r in requests if r.documents]
        if len(self.ue_ids) == 1:
            response.server_etag = download.block2.etag
            if without:
                self._transfers.cache.revoke(without[0].ue)
                responder.fail(without, NOT_FOUND, "Not found")
            elif requests and requests[0].is_left_out:
                if self._n_named:
                    scheduler.left_out(now)
                else:
                    scheduler.does_bulk = True  # it had only those for everybody, as in bulk
        elif without:
            scheduler.ask_alone(without, True)
        else:
            scheduler.left_nobody_out()
        responder.respond(requests, response)
        self._transfers.end(self)

    def restart(self):
        self._release_documents()
        self.common = []
        self._n_named = 0
        return self.download.restart()

    def refused(self, code, message, now):
        transfers = self._transfers
        max_age_s = message.uint(MAX_AGE)
        if code == VALID and len(self.ue_ids) == 1 and self._document_id is None:
            self._renew(message, now)
        elif code == GATEWAY_TIMEOUT:
            transfers.fail(self, code, "No answer")
        elif code >> 5 != 4:
            transfers.fail(self, SERVICE_UNAVAILABLE, "Error", max_age_s)
        elif len(self.ue_ids) == 1:
            response = Response(code, message.payload(), max_age_s)
            if code != TOO_MANY_REQUESTS and self.requests:
                transfers.cache.revoke(self.requests[0].ue)
            transfers.responder.respond(self.requests, response)
            self._transfers.end(self)
        elif code == TOO_MANY_REQUESTS:
            transfers.fail(self, code, "Busy", max_age_s)
        else:
            # What several are refused may be right for each of them alone: one that the server
            # forbids must not starve the rest, and not every server does bulk.
            transfers.endpoint.count("bulk_rejected")
            self._release_documents()
            requests = self.requests
            transfers.end(self)  # first: no request is in two places when the heap is full
            transfers.scheduler.ask_alone(requests, code not in (UNAUTHORIZED, FORBIDDEN))

    def rejected(self, response):
        self._transfers.responder.respond(self.requests, response)
        self._transfers.end(self)

    def _renew(self, message, now):
        """2.03: what is kept for the one UE is still what the server has for it."""
        entry = self._cached()
        if entry is None:
            self._transfers.restart(self)  # it was dropped from the cache meanwhile
            return
        entry.fresh_until = self._transfers.fresh_until(message, now)
        response = response_with(entry)
        self._transfers.responder.respond(self.requests, response)
        self._transfers.end(self)

    def remove(self, request):
        if request in self.requests:
            self.requests.remove(request)
        return bool(self.requests)

    def ended(self):
        pass

    def _release_documents(self):
        for request in self.requests:
            self._transfers.pending_requests.release_documents(request)
