"""Individual documents at the gateway: one question, and one subscription, for all who ask.

What came for one UE serves every UE that the document names, as long as it is fresh; after that
it is revalidated with its ETag. UEs that observe a document (RFC 7641) share one observation at
the server. Each gets the document as if it named nobody but itself.
"""

from msgin5g.coap.numbers import (
    CONTENT,
    GATEWAY_TIMEOUT,
    MAX_AGE,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    VALID,
)
from msgin5g.coap.observe import NotificationOrder
from msgin5g.coap.ticks import add
from msgin5g.gateway.responder import DOCUMENT_ID, OBSERVING, QUERIES, Verdict
from msgin5g.gateway.bulk_transfer import Bulk
from msgin5g.gateway.cache import Entry
from msgin5g.gateway.observers import Observers
from msgin5g.scm.problem_details import compose
from msgin5g.scm.ue_config_doc import UeConfigDoc
from msgin5g.gateway.transfer import Transfer


class Shared(Transfer):
    """An individual document that UEs wait for (members) or observe (observers).

    observation: the exchange that asked the server to observe; watching: the server agreed.
    """

    def __init__(self, ue_id, document_id, szx, max_size):
        super().__init__([], [ue_id], (), document_id, szx, max_size)
        self.observers = []
        self.observation = None
        self.token = None
        self.watching = False
        self.copy = None
        self._order = NotificationOrder()

    def newer(self, sequence, now):
        """Whether a notification is newer than the last one (RFC 7641 section 3.4)."""
        if not self.watching:
            self._order.reset()
        return self._order.newer(sequence, now)


class Documents(Observers):
    """The part of a gateway that shares individual documents."""

    def _collect(self, one, alone, now):
        document_id = one.form[DOCUMENT_ID]
        if document_id is None or one.form[QUERIES]:
            Bulk._collect(self, one, alone or document_id is not None, now)
            return
        shared = self._of(document_id)
        if shared is None:
            shared = Shared(one.ue_id, document_id, self._szx, self._max_document_size)
            self._shared.append(shared)
        shared.members.append(one)
        if shared not in self._transfers and shared not in self._queued:
            self._queued.append(shared)
        self._look_by(add(now, self._max_wait_ms))

    def _ask(self, transfer, now, echo=None):
        if not isinstance(transfer, Shared) or transfer.size:
            Bulk._ask(self, transfer, now, echo)
            return
        transfer.again = True  # as long as there is no memory for it
        # In the name of the same UE as before, or of another one when it wants it no more.
        one = None
        renewed = False
        for one in transfer.members + transfer.observers:
            renewed = renewed or one.ue_id == transfer.ids[0]
        if one and not renewed:
            transfer.ids = [one.ue_id]
        wanted = bool(transfer.observers)
        for one in transfer.members:
            wanted = wanted or (
                one.form[OBSERVING] == 0 and self._n_observers < self._max_observers
            )
        token = None
        if transfer.observation is not None:
            # RFC 7641 section 3.6: the same token renews the registration. In another name it is
            # another one: the next notification of the former is rejected.
            token = transfer.token if wanted and renewed else None
            self.endpoint.cancel(transfer.observation)
            transfer.observation = None
            transfer.watching = False
        entry = self.cache.find(transfer.document_id)
        etag = entry.upstream if entry is not None else None
        if transfer.ask(self.seal_c, now, echo, etag, 0 if wanted else None, token) and wanted:
            transfer.observation = transfer.exchange
            transfer.token = transfer.exchange.token

    def _accept(self, transfer, message, now):
        exchange = self.endpoint.exchange
        if not isinstance(transfer, Shared) or exchange is not transfer.observation:
            return Bulk._accept(self, transfer, message, now)
        sequence = message.uint(OBSERVE)
        watching = sequence is not None and message.code >> 5 == 2
        if watching and not transfer.newer(sequence, now):
            self.endpoint.accept(now, True)
            self.endpoint.count("stale")
            return False
        self.endpoint.accept(now, watching)
        transfer.watching = watching
        if not watching:
            transfer.observation = None
        if transfer.exchange is not exchange and transfer.exchange is not None:
            self.endpoint.cancel(transfer.exchange)  # blocks of the former state
        transfer.exchange = None
        transfer.begin()
        if transfer in self._queued:
            self._queued.remove(transfer)  # what its members wait for has come by itself
        if transfer not in self._transfers:
            self._transfers.append(transfer)
        return True

    def _found(self, transfer, splitter):
        if isinstance(transfer, Shared):
            transfer.copy = UeConfigDoc(splitter.view, splitter.start, splitter.end).copy()
        else:
            Bulk._found(self, transfer, splitter)

    def _complete(self, transfer, now):
        if not isinstance(transfer, Shared):
            Bulk._complete(self, transfer, now)
            return
        if transfer.copy is None:
            self._settle(transfer, SERVICE_UNAVAILABLE, "Bad answer")  # an empty array
            return
        entry = self.cache.put(transfer.document_id, transfer.copy, None, transfer.fresh_until)
        entry.upstream = transfer.etag
        transfer.copy = None
        self._publish(transfer, entry, True)

    def _publish(self, shared, entry, changed):
        """Give a document to all who wait for it, and to its observers when it has changed."""
        verdict = Verdict(CONTENT, b"", None, entry.fresh_until, entry)
        if changed:
            self._tell(shared, verdict)
        for one in shared.members:
            if self._for(entry, one.ue_id) is None:
                self._singles.append(one)  # the server is to tell it so itself
                continue
            if shared.watching and one.form[OBSERVING] == 0:
                self._observe(one, one.asked, one.form, shared)
            self._conclude(one, verdict)
        shared.members = []
        self._end(shared)

    def _end(self, transfer):
        Bulk._end(self, transfer)
        if isinstance(transfer, Shared):
            transfer.begin()  # its observers keep it: the next question is a new one
            transfer.n_restarts = 0
            transfer.copy = None
            self._let_go(transfer)

    def _answer(self, one, now):
        entry = one.verdict.documents
        form = one.form
        if not isinstance(entry, Entry) or form[DOCUMENT_ID] is None:
            Bulk._answer(self, one, now)
            return
        shared = self._of(form[DOCUMENT_ID])
        mine = None
        for observer in shared.observers if shared is not None else ():
            if observer is one or (observer.peer is one and observer.asked == one.asked):
                mine = observer
        code, options, payload = self._cut(
            self._for(entry, one.ue_id), form, one, one.asked, now,
            None if mine is None else self._number,
        )  # fmt: skip
        former = None if mine is None else mine.exchange
        exchange = self._send_answer(one, code, options, payload, former)
        if mine is not None:
            mine.exchange = exchange
        if mine is not one:
            one.form = None

    def _refused(self, transfer, code, message, now):
        if not isinstance(transfer, Shared):
            Bulk._refused(self, transfer, code, message, now)
            return
        entry = self.cache.find(transfer.document_id)
        if code == VALID and entry is not None:
            entry.fresh_until = self._fresh_until(message, now)
            self._publish(transfer, entry, False)
            return
        self.cache.drop(transfer.document_id)
        if code == VALID:
            self._restart(transfer)  # what it is about had to make room meanwhile
            return
        named = title = None
        if code == NOT_FOUND:
            title = "Not found"
        elif code >> 5 == 4 and code != TOO_MANY_REQUESTS:
            # That is between the server and the UE that was named: it asks for the next one.
            named = transfer.ids[0]
        else:
            if code != TOO_MANY_REQUESTS and code != GATEWAY_TIMEOUT:
                code = SERVICE_UNAVAILABLE
            title = "Busy"
        payload = compose(code, title) if title else message.payload()
        self._deny(transfer, Verdict(code, payload, message.uint(MAX_AGE)), named)

    def _deny(self, shared, verdict, ue_id=None):
        """An error for all, or for one of those who share a document, with their observations."""
        if verdict.code == NOT_FOUND or ue_id is not None or shared.observation is None:
            self._tell(shared, verdict, ue_id)
        left = []
        for one in shared.members:
            if ue_id is None or one.ue_id == ue_id:
                self._conclude(one, verdict)
            else:
                left.append(one)
        shared.members = left
        if left or (ue_id is not None and shared.observers):
            shared.begin()
            shared.again = True
        else:
            self._end(shared)
