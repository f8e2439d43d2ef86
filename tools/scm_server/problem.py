"""Errors as concise problem details (RFC 9290, TS 24.546 C.1.3).

Content-Format 257, a CBOR map: -1 title, -2 detail, -4 the response code as one byte,
and -8 the number of the option that was not understood, for 4.02.
"""

import cbor2
from aiocoap.numbers.codes import Code

from msgin5g_tools.text import printable

CONTENT_FORMAT = 257

_MAX_DETAIL = 240  # characters: with Recipient the response still fits in one datagram
_TITLE, _DETAIL, _RESPONSE_CODE, _UNPROCESSED = -1, -2, -4, -8


class ScmError(Exception):
    """An error for the operator: one line that says what is wrong, and where."""


class DatabaseError(Exception):
    """The database has not done something, and will not do it the next time either.

    advice: what the operator can do about it, or None. It may name files: not for peers.
    """

    advice = None

    @property
    def line(self):
        """For the operator."""
        return f"{self}: {self.advice}" if self.advice else str(self)


class DatabaseUnavailable(DatabaseError):
    """The database is busy, full or away: the same may work later."""


class UnstorableText(DatabaseError):
    """The database takes no such text: one with a NUL character."""


class Problem(Exception):
    """An error for the peer: a response with an error code.

    `options` are more attributes of aiocoap's Options for the response, such as size1;
    `unprocessed` is the list of option numbers of a 4.02.
    """

    def __init__(self, code, detail, unprocessed=(), **options):
        detail = printable(detail)  # it may repeat what the peer sent, for somebody else to read
        super().__init__(detail)
        self.code = Code(code)
        self.detail = detail if len(detail) <= _MAX_DETAIL else detail[: _MAX_DETAIL - 1] + "…"
        self.unprocessed = tuple(unprocessed)
        self.options = options

    def with_code(self, code):
        """The same problem with another code, for a strict relay."""
        return Problem(code, self.detail, self.unprocessed, **self.options)

    @property
    def title(self):
        return self.code.name.replace("_", " ").capitalize()

    @property
    def payload(self):
        entries = {_TITLE: self.title, _DETAIL: self.detail, _RESPONSE_CODE: int(self.code)}
        if self.unprocessed:
            # RFC 9290 section 2: one number, or an array when there are two and more.
            alone = len(self.unprocessed) == 1
            entries[_UNPROCESSED] = self.unprocessed[0] if alone else list(self.unprocessed)
        return cbor2.dumps(entries)
