"""What the gateway keeps of individual documents, and the UEs that observe them (RFC 7641)."""

from micropython import const

from msgin5g.coap.numbers import CONTENT, NOT_FOUND
from msgin5g.coap.ticks import diff
from msgin5g.gateway.responder import (
    BLOCK,
    DOCUMENT_ID,
    OBSERVING,
    QUERIES,
    Verdict,
    tag_of,
)
from msgin5g.gateway.bulk_transfer import Bulk
from msgin5g.gateway.cache import Entry
from msgin5g.scm.problem_details import compose
from msgin5g.scm.ue_config_doc import UeConfigDoc

_FRESH_MS = const(1000)  # less than that is not worth an answer


class Observer:
    """A UE that observes a document: what a Place has for a request, kept for notifications.

    exchange: of the last notification, until the next one.
    """

    def __init__(self, peer, key, form):
        self.peer = peer
        self.ue_id = peer.ue_id
        self.transport = peer.transport
        self.remote = peer.remote
        self.asked = key
        self.form = form
        self.found = None
        self.verdict = None
        self.exchange = None


class Observers(Bulk):
    """The part of a gateway that answers from what it has, and tells who observes."""

    def __init__(self, settings, random):
        super().__init__(settings, random)
        self._shared = []  # Shared that have members or observers
        self._max_observers = settings.max_observations
        self._n_observers = 0
        self._number = 1  # of the last notification to any UE

    def _of(self, document_id):
        for shared in self._shared:
            if shared.document_id == document_id:
                return shared
        return None

    def _cached(self, peer, form, key, now):
        """Answer from what is kept while it is fresh; a later block as long as it is there.

        RFC 7252 section 5.6. False when the server must be asked.
        """
        document_id = form[DOCUMENT_ID]
        shared = self._of(document_id)
        if shared is not None and form[OBSERVING] == 1:
            self._unobserve(peer, shared)
            self._let_go(shared)
        entry = self._kept(peer, form)
        if entry is None:
            return False
        later = form[BLOCK] is not None and form[BLOCK] >> 4
        if not later and diff(entry.fresh_until, now) < _FRESH_MS:
            return False
        observe = document_id is not None and form[OBSERVING] == 0 and not later
        if observe and (shared is None or not shared.watching):
            if self._n_observers < self._max_observers:
                return False
            observe = False
        incoming = self.endpoint.accept(now)
        if incoming is not None:
            self.endpoint.count("cached")
            self._forget_request(peer)
            sequence = None
            if observe and self._observe(peer, key, form, shared):
                sequence = self._number
            code, options, payload = self._cut(entry, form, peer, key, now, sequence)
            self.endpoint.respond(incoming, code, options, payload)
            if sequence is None:
                # Worked again when it comes again: that costs less than to keep what was said.
                self.endpoint.forget(incoming)
        return True

    def _kept(self, peer, form):
        """What is kept for this UE as an Entry, or None."""
        document_id = form[DOCUMENT_ID]
        if document_id is None:
            return self.cache.find((peer.ue_id, form[QUERIES]))
        if form[QUERIES]:
            return None
        entry = self.cache.find(document_id)
        return None if entry is None else self._for(entry, peer.ue_id)

    def _for(self, entry, ue_id):
        """A document as an Entry for one UE, None when it does not name it."""
        body = entry.body
        document = UeConfigDoc(body, 0, len(body))
        if not (document.names_everybody or document.names(ue_id)):
            return None
        body = document.copy(ue_id)
        return Entry(None, body, tag_of(body), entry.fresh_until)

    def _observe(self, peer, key, form, shared):
        """Have a UE observe a document from now on; false when there is no room."""
        self._unobserve(peer, shared)
        if self._n_observers >= self._max_observers:
            self.endpoint.count("observations_full")
            return False
        shared.observers.append(Observer(peer, key, form))
        self._n_observers += 1
        return True

    def _unobserve(self, peer, shared):
        """Let a UE observe a document no more."""
        for observer in [o for o in shared.observers if o.peer is peer]:
            shared.observers.remove(observer)
            self._n_observers -= 1
            if observer in self._ready:
                self._ready.remove(observer)
                self.n_waiting -= 1

    def _gone(self, peer):
        """A UE (Place or Observer) has gone, or it does not know any more that it observes."""
        if isinstance(peer, Observer):
            peer = peer.peer
        for shared in list(self._shared):
            self._unobserve(peer, shared)
            self._let_go(shared)

    def _let_go(self, shared):
        """End what nobody wants any more; the server is told when it says something next."""
        if not shared.observers and shared.observation is not None:
            self.endpoint.cancel(shared.observation)
            shared.observation = None
            shared.watching = False
        busy = shared in self._transfers or shared in self._queued
        if not shared.members and not shared.observers and not busy and shared in self._shared:
            self._shared.remove(shared)

    def _tell(self, shared, verdict, ue_id=None):
        """Tell the observers, or one of them: the newest state takes the place of one not sent.

        An error ends what it is told to (RFC 7641 section 4.2).
        """
        self._number = (self._number + 1) & 0xFFFFFF
        stay = []
        for observer in shared.observers:
            if ue_id is not None and observer.ue_id != ue_id:
                stay.append(observer)
                continue
            told = verdict
            if verdict.code != CONTENT:
                self._n_observers -= 1
            elif self._for(verdict.documents, observer.ue_id) is None:
                self._n_observers -= 1
                told = Verdict(NOT_FOUND, compose(NOT_FOUND, "Not found"))
            else:
                stay.append(observer)
            if observer.exchange is not None:
                self.endpoint.cancel(observer.exchange)
            if verdict.code != CONTENT and observer.peer in shared.members:
                continue  # it asks: it is told by its answer
            if observer not in self._ready:
                self._ready.append(observer)
                self.n_waiting += 1
            observer.verdict = told
        shared.observers = stay
