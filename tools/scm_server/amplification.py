"""Limits amplification (RFC 9175 section 2.4).

A source that may be forged gets no response that is much longer than its request; see echo.
"""

from aiocoap.numbers import codes

from msgin5g_tools.scm_server import blocks, echo
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR
from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.scm_server.security import OVERHEAD, owner_of

ECHO_DETAIL = "repeat the request with this Echo"


class AmplificationLimit:
    """is_used: False switches it off. verifier: an echo.Verifier."""

    def __init__(self, is_used, verifier):
        self._is_used = is_used
        self._verifier = verifier

    def check(self, request, message, registering):
        """Problem 4.01 with Echo when the response is too long for an unverified source."""
        if self._is_used and message.code.is_successful() and request.code == codes.GET:
            if registering or _is_amplified(request, message):
                self.require_verified(request)

    def shorten(self, request, message):
        """Take the problem details from an error that is too long for an unverified source."""
        if not self._is_verified(request) and _is_amplified(request, message):
            message.payload, message.opt.content_format = b"", None

    def require_verified(self, request):
        """Problem 4.01 with Echo for an unverified source."""
        if not self._is_verified(request):
            value = self._verifier.value(request.remote.hostinfo)
            raise Problem(codes.UNAUTHORIZED, ECHO_DETAIL, echo=value)

    def _is_verified(self, request):
        if not self._is_used or not blocks.is_datagram(request.remote):
            return True
        owner = owner_of(request)
        if owner is not None and owner.kind == ADMINISTRATOR:
            return True  # and it is no replay
        return self._verifier.check(request.remote.hostinfo, request.opt.echo)


def _is_amplified(request, message):
    """Whether a datagram is longer than RFC 9175 allows for a source that may be forged."""
    size = _size(message, request.token)
    if owner_of(request) is not None:
        return size + OVERHEAD > echo.FACTOR * request.protection.wire_size
    return size > echo.FACTOR * _size(request, request.token)


def _size(message, token):
    return 4 + len(token) + len(message.opt.encode()) + len(message.payload) + 1
