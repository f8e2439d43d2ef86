"""The UEs that observe documents at the gateway (RFC 7641)."""

from msgin5g.coap.numbers import CONTENT, NOT_FOUND
from msgin5g.gateway.responder import Response
from msgin5g.scm.problem_details import compose


class Observer:
    """A UE that observes a document: what its request asked for, kept for notifications.

    response: a Response that waits to be sent. exchange: of the last notification. It has the
    attributes of a PendingRequest, so that the responder sends to either.
    """

    documents = None
    response = None
    exchange = None

    def __init__(self, ue, request_key, parameters):
        self.ue = ue
        self.remote = ue.remote
        self.request_key = request_key
        self.parameters = parameters
        self.observer = self
        self.is_active = True


class Observers:
    """All Observers, at most settings.max_observations; a SharedDocument has a list of its own."""

    def __init__(self, settings, endpoint, pending_requests, responder):
        self._endpoint = endpoint
        self._pending_requests = pending_requests
        self._responder = responder
        self._max_observers = settings.max_observations
        self.n_observers = 0

    def is_full(self):
        """Whether no more UEs can observe."""
        return self.n_observers >= self._max_observers

    def add(self, document, ue, request_key, parameters):
        """Have a UE observe a SharedDocument; its Observer, None when there is no room."""
        self.remove(document, ue)
        if self.is_full():
            self._endpoint.count("observations_full")
            return None
        observer = Observer(ue, request_key, parameters)
        document.observers.append(observer)
        self.n_observers += 1
        return observer

    def remove(self, document, ue):
        """Let a UE observe a SharedDocument no longer."""
        for observer in [o for o in document.observers if o.ue is ue]:
            document.observers.remove(observer)
            observer.is_active = False
            self.n_observers -= 1
            if observer.response is not None:
                self._responder.withdraw(observer)
                self._pending_requests.n_waiting -= 1

    def drop_half_done(self, documents):
        """Drop observers that have ended, and count those that are left, after a MemoryError."""
        self.n_observers = 0
        for document in documents:
            document.observers = [o for o in document.observers if o.is_active]
            self.n_observers += len(document.observers)

    def notify(self, document, response, ue_id=None):
        """Notify the observers of a SharedDocument, or only the one with this MSGin5G UE ID.

        The newest state replaces one that was not sent yet. An error ends the observation
        (RFC 7641 section 4.2).
        """
        responder = self._responder
        responder.notification_number = (responder.notification_number + 1) & 0xFFFFFF
        remaining = []
        for observer in document.observers:
            ue = observer.ue
            if ue_id is not None and ue.ue_id != ue_id:
                remaining.append(observer)
                continue
            notification = response
            if response.code == CONTENT and response.entry.is_for(ue.ue_id):
                remaining.append(observer)
            else:
                observer.is_active = False
                self.n_observers -= 1
                if response.code == CONTENT:
                    notification = Response(NOT_FOUND, compose(NOT_FOUND, "Not found"))
            if observer.exchange is not None:
                self._endpoint.cancel(observer.exchange)
            if response.code != CONTENT and ue.request in document.requests:
                continue  # it has a request under way, whose response says the same
            responder.notify(observer, notification)
        document.observers = remaining
