"""A security context as aiocoap's OSCORE takes it; importing this takes 7 MB of memory."""

import secrets
import struct

from aiocoap import error, oscore
from aiocoap.numbers.codes import BAD_REQUEST, UNAUTHORIZED

from msgin5g_tools.scm_server.contexts import advance
from msgin5g_tools.scm_server.problem import Problem

_RESERVED = 64  # sequence numbers with one write (RFC 8613 appendix B.1.1)
# An old copy of the database that was put back has a bound that has passed: each process begins
# so far beyond it, by chance, that two runs hardly meet. The firmware does the same.
_MAX_SKIPPED = 2**24


class _NoReplayWindow:
    """A window that takes every number: ServerContext judges them."""

    def is_initialized(self):
        return True

    def is_valid(self, number):
        return True

    def strike_out(self, number):
        pass


class ServerContext(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """The context of a row (contexts.Context), with the numbers that this process has reserved.

    reserve(count, skipped): see Contexts.reserve; skipped is 0 unless it is the first time.
    `label`: a name that no other process, and no earlier object for the row, has. The window is
    unknown at first: nobody can tell which numbers have come before (appendix B.1.2).
    """

    recipient_replay_window = _NoReplayWindow()
    echo_recovery = None

    def __init__(self, row, reserve):
        self.alg_aead = oscore.algorithms[oscore.DEFAULT_ALGORITHM]
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.sender_id, self.recipient_id = row.server_id, row.kid
        self.id_context = row.id_context
        self.derive_keys(row.salt, row.secret)
        self.label = secrets.token_hex(8)
        self._reserve = reserve
        self._next = self._bound = 0
        self._window = None

    def open(self, request):
        """(the request that it protects, its RequestIdentifiers); None when it is not authentic.

        Problem 4.00 when what is protected is no request.
        """
        try:
            inner, identifiers = self.unprotect(request)
        except oscore.ProtectionInvalid:
            return None
        except (error.Error, ValueError, IndexError, struct.error):
            inner = None
        if inner is None or not inner.code.is_request():
            raise Problem(BAD_REQUEST, "what is protected is no request", max_age=0)
        # Another process may answer the same request: not with the nonce of the request, then.
        identifiers.can_reuse_nonce = False
        return inner, identifiers

    # the window

    def start_window(self, number):
        """Begin with a number that is new for sure; all before it are refused."""
        self._window = (number, 0xFFFFFFFF)

    def may_come(self, number):
        return self._window is None or advance(*self._window, number) is not None

    def came(self, number):
        self._window = advance(*self._window, number)

    # numbers of ours

    def require_number(self):
        """Have a number for the next response; Problem 4.01 when there is none."""
        if self._next == self._bound:
            skipped = 0 if self._bound else 1 + secrets.randbelow(_MAX_SKIPPED)
            first = self._reserve(_RESERVED, skipped)
            if first is None:
                raise Problem(UNAUTHORIZED, "Security context not found", max_age=0)
            self._next, self._bound = first, first + _RESERVED

    def new_sequence_number(self):
        self.require_number()
        self._next += 1
        return self._next - 1

    def post_seqnoincrease(self):
        pass
