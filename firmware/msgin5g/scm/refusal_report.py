"""What the server is told of the configurations that a UE refuses: ours, not 3GPP's.

A GET of the collection has one query more: `refused=`, the ETag in hex, a colon, and the reason,
which is empty when nothing is refused any more. A relay forwards it, and a gateway passes on alone
what has a query that it does not know.

It is sent until the server has answered it with a document. A server that does not know it may
reject the request, and a relay may discard that answer: then it is held back, and is tried again
only after a request without it has failed, too.
"""

from binascii import crc32, hexlify

from micropython import const

from msgin5g.coap.numbers import MAX_MESSAGE_SIZE, TOO_MANY_REQUESTS
from msgin5g.coap.text import printable

_MAX_REASON_SIZE = const(64)  # bytes
# Bytes of the rest of a GET: header, token, Echo, Block2, the query less the reason, OSCORE.
_GET_SIZE = const(160)


class RefusalReport:
    """The report of the UE of a ScmClient."""

    def __init__(self, client):
        self._client = client
        self._max_size = min(room_of(client.request), _MAX_REASON_SIZE)
        self._is_held = False
        self._query = None
        # What was refused last, (CRC-32 of the document, reason), and what of that the server
        # knows; () stands for nothing, None for what is not known since the start.
        self._refused = None
        self._known = None

    @property
    def query(self):
        """That of the next GET of the collection, None without."""
        is_due = self._max_size > 0 and not self._is_held and self._refused != self._known
        return self._query if is_due else None

    def attach(self):
        """Whether the next GET is to have the query; it is not to observe then.

        A gateway observes nothing for a request with a query that it does not know.
        """
        self._client.request.report = query = self.query
        return query is not None

    def ended(self, outcome):
        """A fetch has ended; whether to ask at once for the same without the query."""
        client = self._client
        kind = outcome.kind
        is_failure = kind == "rejected" or kind == "timeout"
        if client.request.report is None or client.individual:
            if is_failure:
                self._is_held = False  # it was not the query
            return False
        if kind == "paused":
            return False
        client.request.report = None
        code = outcome.code
        if kind == "rejected" and (code >> 5 != 4 or code == TOO_MANY_REQUESTS):
            return False  # the server is busy, or away: sent again
        self._is_held = is_failure
        if not is_failure:
            self._known = self._refused
        return kind == "rejected"

    def refused(self, texts, etag, reasons):
        """A document with these texts was refused."""
        crc = 0
        for text in texts:
            crc = crc32(text, crc)
        reason = printable("; ".join(reasons).encode()).encode()
        end = min(len(reason), self._max_size)
        while 0 < end < len(reason) and reason[end] & 0xC0 == 0x80:
            end -= 1  # a character is cut off whole (RFC 3629 section 3)
        self._refused = (crc, reason[:end])
        self._query = b"refused=" + hexlify(etag or b"") + b":" + reason[:end]

    def accepted(self, is_unchanged):
        """A document runs; is_unchanged: it did before."""
        if self._known or not is_unchanged:
            self._refused = ()
            self._query = b"refused=:"
        else:
            self._refused = self._known


def room_of(request):
    """Bytes that the reason may have, so that a GET of a ScmRequest is not too long."""
    room = MAX_MESSAGE_SIZE - _GET_SIZE
    for option in [request.host, request.recipient] + request.path + request.queries:
        if option is not None:
            room -= len(option[1]) + 3
    return room
