"""The UEs that observe documents at the gateway (RFC 7641).

An observation is named by its UE and the token of the UE's request. It ends by a Reset or a
time-out of one of its own notifications, by Observe 1 with its token, by an error, and with the
link. Nothing else ends it; only its own UE can take its place, by asking for more than its share.
"""

from msgin5g.coap.numbers import CONTENT


class Observer:
    """A UE that observes a document: what its request asked for, kept for notifications.

    response: a Response that waits to be sent. exchange: of the last notification. confirmed_at:
    when the UE asked, or the last confirmable notification was sent. binding: see Endpoint. It has
    the attributes of a PendingRequest, so that the responder sends to either.
    """

    documents = None
    response = None
    exchange = None
    binding = None

    def __init__(self, document, ue, token, parameters, now, binding):
        self.document = document
        self.ue = ue
        self.remote = ue.remote
        self.token = token
        self.parameters = parameters
        self.confirmed_at = now
        if binding is not None:
            self.binding = binding
        self.observer = self
        self.is_active = True


class Observers:
    """All Observers, at most settings.max_observations; each UE has an equal share of them.

    A SharedDocument has a list of its own, and so has a LinkedUe.
    """

    def __init__(self, settings, endpoint, admission, pending_requests, responder):
        self._endpoint = endpoint
        self._admission = admission
        self._pending_requests = pending_requests
        self._responder = responder
        self._max_observers = settings.max_observations
        self.n_observers = 0

    def has_room(self, ue):
        """Whether a UE can observe, perhaps in place of what it observes already."""
        return self.n_observers < self._max_observers or len(ue.observers) > 0

    def find(self, ue, token):
        """The Observer that a request of a UE with this token renews or ends, or None."""
        for observer in ue.observers:
            if observer.token == token:
                return observer
        return None

    def add(self, document, ue, token, parameters, now, binding):
        """Have a UE observe a SharedDocument; its Observer, None when there is no room.

        Beyond its share the UE's oldest one ends: it has begun anew, and lost its token.
        """
        former = self.find(ue, token)
        if former is None and (
            self.n_observers >= self._max_observers
            or len(ue.observers) >= self._admission.max_observations_of_ue
        ):
            if not ue.observers:
                self._endpoint.count("observations_full")
                return None
            former = ue.observers[0]
        observer = Observer(document, ue, token, parameters, now, binding)
        document.observers.append(observer)
        self.n_observers += 1
        if former is not None:
            self.remove(former)
        if ue.observers:
            ue.observers.append(observer)
        else:
            ue.observers = [observer]
        return observer

    def remove(self, observer):
        """End an observation; what is under way for it is not sent any more."""
        if not observer.is_active:
            return
        observer.document.observers.remove(observer)
        self._end(observer)
        if observer.exchange is not None:
            self._endpoint.cancel(observer.exchange)
        if observer.response is not None:
            self._responder.withdraw(observer)
            self._pending_requests.n_waiting -= 1
        observer.document.release()

    def remove_all(self, ue):
        """End all observations of a UE, whose link has ended."""
        for observer in list(ue.observers):
            self.remove(observer)

    def _end(self, observer):
        observer.is_active = False
        observer.ue.observers.remove(observer)
        self.n_observers -= 1

    def drop_half_done(self, documents):
        """Drop observers that have ended, and count those that are left, after a MemoryError.

        A UE whose new observer is not in its list yet does not observe.
        """
        self.n_observers = 0
        for document in documents:
            observers = document.observers
            for i in range(len(observers) - 1, -1, -1):
                if observers[i] not in observers[i].ue.observers:
                    observers.pop(i).is_active = False
            self.n_observers += len(observers)

    def notify(self, document, observers, response):
        """Notify these observers of a SharedDocument.

        The newest state replaces one that was not sent yet. An error ends the observation
        (RFC 7641 section 4.2).
        """
        responder = self._responder
        responder.notification_number = (responder.notification_number + 1) & 0xFFFFFF
        for observer in observers:
            request = observer.ue.request
            if response.code != CONTENT:
                self._end(observer)
            if observer.exchange is not None:
                self._endpoint.cancel(observer.exchange)
            if (
                response.code != CONTENT
                and request is not None
                and request.parameters.document_id == document.document_id
            ):
                continue  # it has a request under way, whose response says the same
            responder.notify(observer, response)
        if response.code != CONTENT:
            document.observers = [o for o in document.observers if o.is_active]
