"""Requests of an administrator, protected by OSCORE (RFC 8613); aiocoap does the cryptography.

The security context is a directory as aiocoap's programs have it: settings.json with `secret_hex`,
`sender-id_hex` and `recipient-id_hex`, of which the administrator's own directory has the last two
exchanged. The server keeps its sequence numbers there. A copy of a directory must not be used.
"""

import json
import struct
from pathlib import Path

from aiocoap import error, oscore
from aiocoap.numbers.codes import BAD_REQUEST

from msgin5g_tools.scm_server.problem import Problem, ScmError


_KEYS = ("secret", "sender-id", "recipient-id")


def _check(directory):
    """ValueError of a directory that aiocoap cannot load: it would print a traceback."""
    if not directory.is_dir():
        raise ValueError("no such directory: msgin5g keys administrator makes one")
    found = set()
    for name in ("secret.json", "settings.json"):
        if (directory / name).exists():
            found |= {key.rpartition("_")[0] for key in json.loads((directory / name).read_text())}
    for key in _KEYS:
        if key not in found:
            raise ValueError(f"{key}_hex is missing in settings.json")


class Administrator:
    """`unprotect` a request; `context` protects its response. `kid`: of the administrator."""

    def __init__(self, directory):
        try:
            _check(Path(directory))
            self.context = oscore.FilesystemSecurityContext(str(directory))
        except (OSError, ValueError) as reason:
            text = getattr(reason, "strerror", None) or str(reason) or "is in use"
            raise ScmError(f"administrator: {directory}: {text}") from None
        self.kid = self.context.recipient_id

    def unprotect(self, request):
        """(request as it was before OSCORE, its RequestIdentifiers); None: it has come before.

        Problem 4.00 when it is not authentic. aiocoap's RenderableError, a response already, when
        the server was started lately and must first know that the request is new (RFC 8613
        appendix B.1.2).
        """
        try:
            return self.context.unprotect(request)
        except error.RenderableError:
            raise
        except oscore.ReplayError:
            return None
        except (error.Error, ValueError, IndexError, struct.error):
            raise Problem(BAD_REQUEST, "Decryption failed", max_age=0) from None
