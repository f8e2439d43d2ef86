"""OSCORE as the layer of an endpoint, on the side that asks (RFC 8613 sections 8.1 and 8.4).

A request is protected once, when its exchange starts, and the exchange keeps what binds it to its
responses. A response is unprotected when token and source have matched, before anybody sees it.
What fails is counted under its own name, and nothing else happens: no acknowledgement, no Reset,
and the exchange goes on waiting. So does it after an error that came unprotected: anybody on the
way can send one.

Counters: unprotected_response, unprotected_error, oscore_malformed, oscore_not_authentic,
oscore_no_partial_iv, old_notification, oscore_no_number.
"""

from micropython import const

from msgin5g.coap.numbers import MAX_MESSAGE_SIZE, OSCORE
from msgin5g.oscore.context import ProtectionError
from msgin5g.oscore.protect import Protection

# What a protected response may have beside its Recipient and a block: header and token 8, option
# 9 with the number 7, Observe 4, marker 1; inside code 1, ETag 9, Content-Format 3, Max-Age 5,
# Block2 4, Size2 5, Observe once more 4, marker 1; the tag 8.
_OVERHEAD = const(60)
_RECIPIENT_HEAD = const(4)
# Option 9 without identifiers 9, inner code and marker 2, a second Observe 4, the tag 8.
_ADDED = const(23)


def largest_block(recipient):
    """The size of the largest block with which a response to this Recipient fits a message."""
    size = 1024
    while size > MAX_MESSAGE_SIZE - _OVERHEAD - _RECIPIENT_HEAD - len(recipient):
        size >>= 1
    return size


class Security:
    """Protects the requests of an endpoint, see Transmitter.security.

    recipient_option: its number. context: the SecurityContext with the server. owner: the one
    whose requests are protected, None for all: a relay passes those of others as they are.
    unprotected_error: the code of the last error that came unprotected, None without one.
    """

    owner = None
    unprotected_error = None
    contexts = ()  # with those who ask: a node that nobody asks has none

    def __init__(self, recipient_option, context):
        self.context = context
        self.protection = Protection(recipient_option)
        self._number = None  # of the message that was unprotected last

    @property
    def overhead(self):
        """How many bytes this adds to a message, at most."""
        context = self.context
        return _ADDED + len(context.sender_id) + len(context.id_context or b"")

    def protects(self, owner):
        """Whether the requests of this owner are protected."""
        return self.owner is None or self.owner is owner

    def protect_request(self, endpoint, code, options, payload=b""):
        """(outer code, outer options, ciphertext, Binding); None without a number for it."""
        try:
            return self.protection.protect_request(self.context, code, options, payload)
        except ProtectionError as error:
            endpoint.count(str(error))
            return None

    def unprotect_response(self, endpoint):
        """Whether the response that the endpoint has received is one, which it shows then."""
        message = endpoint.message
        if message.find(OSCORE) < 0:
            is_error = message.code >> 5 > 2
            if is_error:
                self.unprotected_error = message.code
                endpoint.count("unprotected_error")
            else:
                endpoint.count("unprotected_response")
            return False
        exchange = endpoint.exchange
        try:
            self._number = self.protection.unprotect_response(exchange.binding, message)
        except ProtectionError as error:
            endpoint.count(str(error))
            return False
        self.unprotected_error = None
        exchange.newest = None  # the whole number has told more than the 24 bits of Observe can
        return True

    def unprotect_request(self, endpoint, now):
        """Whether a request that the endpoint has received is to be announced: here each one."""
        return True

    def accepted_response(self, exchange):
        """The response that was unprotected last is accepted: note its number."""
        exchange.binding.newest = -1 if self._number is None else self._number
