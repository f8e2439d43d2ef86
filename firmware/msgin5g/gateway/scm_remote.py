"""SEAL-C when the configuration management client is another process, core or board.

Its one verb (see seal_c) is a CoAP message over a link of its own: a FETCH (RFC 8132) of /seal-c
with the arguments in its body, CBOR, all texts as byte strings:

    [document_id or null, block2 or null, ETag or null, [UE ID...], [query...]]

Code, options and payload of the answer are the server's. Observe is used as with GET. No state
is shared: either side may begin anew at any time.
"""

from micropython import const

from msgin5g.cbor.encoder import dumps

FETCH = const(5)  # RFC 8132 section 4: as safe and idempotent as GET, with a body


class Separated:
    """The way to a configuration client elsewhere; peer: its remote on `link`."""

    def __init__(self, endpoint, transport, peer):
        self._endpoint = endpoint
        self.transport = transport
        self.remote = peer

    def ask(self, owner, ids, queries, document_id=None, block2=None, etag=None, observe=None,
            token=None, echo=None):  # fmt: skip
        """As Collocated.ask; Echo is the other side's business."""
        # Uri-Path seal-c, after Observe if there is one.
        head = b"\xb6seal-c\xff"
        if observe is not None:
            head = (b"\x61\x01" if observe else b"\x60") + b"\x56seal-c\xff"
        tail = head + dumps([document_id, block2, etag, list(ids), list(queries)])
        return self._endpoint.request(
            self.transport, self.remote, FETCH, (), owner, True, tail, token
        )
