"""Tokens: each request goes to the site, and each observer gets its notifications (RFC 7641)."""

import functools

from aiocoap.tokenmanager import TokenManager

from msgin5g_tools.scm_server.security import owner_of


class ObservingTokenManager(TokenManager):
    """Keeps the observers (observers.Observer) of one transport, by remote and token.

    aiocoap would keep the request, its pipes and a task for each of them: some sixty objects, for
    which the garbage collector stops everything for a second when there are thousands.
    """

    def __init__(self, context):
        super().__init__(context)
        self._observers = {}  # remote -> {token: Observer}

    def process_request(self, request):
        # RFC 7641 section 4.1: a request replaces the observation with its token, or ends it. One
        # that is protected ends by a request that proves to be of the same owner only.
        observer = self._observers.get(request.remote, {}).get(request.token)
        if observer and observer.protection is None:
            self.end(request.remote, request.token)
        request.manager = self
        super().process_request(request)

    def observe(self, observer):
        self.end(observer.remote, observer.token)
        self._observers.setdefault(observer.remote, {})[observer.token] = observer

    def renew(self, request):
        """End the observation that a protected request with its token replaces, if it has one."""
        observer = self._observers.get(request.remote, {}).get(request.token)
        if observer and observer.protection and observer.protection.owner == owner_of(request):
            self.end(request.remote, request.token)

    def notify(self, observer, message, acknowledged):
        """acknowledged(): called when it is; never over a connection, which has no ACKs."""
        message.token, message.remote = observer.token, observer.remote.as_response_address()
        rejected = functools.partial(self.end, observer.remote, observer.token)
        rejected.acknowledged = acknowledged
        self.token_interface.send_message(message, rejected)

    def is_waiting(self, observer):
        """Whether an earlier notification to this observer has not even been sent."""
        return self.token_interface.is_waiting(observer.remote, observer.token)

    def end(self, remote, token):
        """End an observation, if there is one."""
        observers = self._observers.get(remote, {})
        observer = observers.pop(token, None)
        if observer:
            observer.end()
            if not observers:
                del self._observers[remote]

    def dispatch_error(self, exception, remote):
        for token in list(self._observers.get(remote, ())):
            self.end(remote, token)
