"""OSCORE as the layer of an endpoint that answers, too (RFC 8613 sections 8.2 and 8.3).

Its contexts are found by the kid of a request. A request that cannot be unprotected gets an error
that is not protected either; a repeated one, whose first arrival was answered, gets nothing.

After a start nobody knows which numbers have come before. So a context may have an `echo`: each
request is then answered 4.01 with this value, and the one that repeats it starts the window
(appendix B.1.2).

Counters beside those of Security: unprotected_request, oscore_unknown_kid, oscore_replay,
oscore_echo.
"""

from micropython import const

from msgin5g.coap.message import insert
from msgin5g.coap.numbers import BAD_REQUEST, ECHO, MAX_AGE, OBSERVE, OSCORE, UNAUTHORIZED
from msgin5g.oscore.context import ProtectionError
from msgin5g.oscore.protect import Protection, read_option

_BAD_OPTION = const(0x82)
_MAX_OVERHEAD = const(46)


class ServerSecurity:
    """Unprotects the requests to an endpoint, see Transmitter.security.

    contexts: {kid: SecurityContext}, one for each that asks. client: the Security of what this
    node asks for itself, or None. required: a request that is not protected is refused; without
    it, only one of a peer that has a context. peers: None, or a role that knows its peers by
    their address: its `sender(now)` gives the MSGin5G UE ID (bytes) of who has sent the request
    just received, None when there is no more to do about it. Then each of them can use its own
    context only.
    """

    owner = peers = None

    def __init__(self, recipient_option, client=None, required=True):
        self.contexts = {}
        self.client = client
        self.required = required
        self.protection = Protection(recipient_option) if client is None else client.protection
        self._recipient_option = recipient_option
        self._number = None  # of the request that was unprotected last
        self._is_echoed = False

    @property
    def overhead(self):
        """See Security."""
        return _MAX_OVERHEAD if self.client is None else self.client.overhead

    @property
    def unprotected_error(self):
        """See Security."""
        return None if self.client is None else self.client.unprotected_error

    # What this node asks for

    def protects(self, owner):
        """Whether the requests of this owner are protected."""
        return self.client is not None and self.client.protects(owner)

    def protect_request(self, endpoint, code, options, payload=b""):
        """See Security."""
        return self.client.protect_request(endpoint, code, options, payload)

    def unprotect_response(self, endpoint):
        """See Security."""
        return self.client.unprotect_response(endpoint)

    def accepted_response(self, exchange):
        """See Security."""
        self.client.accepted_response(exchange)

    # What it is asked for

    def unprotect_request(self, endpoint, now):
        """Whether a request that the endpoint has received is to be announced."""
        sender = None
        if self.peers is not None:
            sender = self.peers.sender(now)
            if sender is None:
                return False
        message = endpoint.message
        value = message.option(OSCORE)
        if value is None:
            is_refused = self.required or self._has_context(sender)
            if is_refused:
                endpoint.count("unprotected_request")
                self._refuse(endpoint, UNAUTHORIZED, b"Not protected", sender, now)
            return not is_refused
        try:
            _, kid, id_context = read_option(value)
            context = self.contexts.get(kid)
            if (
                context is None
                or (sender is not None and context.peer != sender)
                or id_context not in (None, context.id_context)
            ):
                endpoint.count("oscore_unknown_kid")
                text = b"Security context not found"
                self._refuse(endpoint, UNAUTHORIZED, text, sender, now)
                return False
            sender = context.peer
            binding, self._number = self.protection.unprotect_request(context, message)
        except ProtectionError as error:
            name = str(error)
            endpoint.count(name)
            if name == "oscore_not_authentic":
                self._refuse(endpoint, BAD_REQUEST, b"Decryption failed", sender, now)
            elif name == "oscore_malformed":
                self._refuse(endpoint, _BAD_OPTION, b"Failed to decode COSE", sender, now)
            return False
        endpoint.binding = binding
        self._is_echoed = context.echo is not None and message.option(ECHO) == context.echo
        if context.echo is None or self._is_echoed:
            return True
        endpoint.count("oscore_echo")
        binding.answered = True  # perhaps with the same nonce, before the start
        self._refuse(endpoint, UNAUTHORIZED, b"", sender, now, (ECHO, context.echo))
        return False

    def _has_context(self, sender):
        """Whether there is a context for this peer."""
        return sender is not None and sender in [c.peer for c in self.contexts.values()]

    def _refuse(self, endpoint, code, text, sender, now, option=(MAX_AGE, b"")):
        """Answer the request just received, of this sender, with an error."""
        incoming = endpoint.accept(now)
        if incoming is not None:
            options = [option]
            if sender:
                insert(options, self._recipient_option, sender)
            endpoint.respond(incoming, code, options, text)

    def accepted_request(self, binding):
        """The request that was unprotected last is accepted: note its number."""
        context = binding.context
        if context.echo is None:
            context.window.came(self._number)
        elif self._is_echoed:
            context.echo = None
            context.window.start(self._number)

    def protect_response(self, endpoint, binding, code, options, payload):
        """(outer code, outer options, ciphertext); None when there is no number for it."""
        fresh = binding.answered
        for option in options:
            fresh = fresh or option[0] == OBSERVE
        try:
            protected = self.protection.protect_response(binding, code, options, payload, fresh)
        except ProtectionError as error:
            endpoint.count(str(error))
            return None
        binding.answered = True
        return protected
