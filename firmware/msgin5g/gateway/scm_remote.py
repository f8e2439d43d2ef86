"""SEAL-C when the configuration management client is another process, core or board.

Its verb (see scm_local) is a CoAP message on a transport of its own: a FETCH (RFC 8132) of
/seal-c with the arguments in its payload, in CBOR, all texts as byte strings:

    [document_id or null, block2 or null, ETag or null, [UE ID...], [query...]]

Code, options and payload of the response are the server's. Observe is used as with GET. The two
sides share no state: each of them may restart at any time. With OSCORE the client asks the gateway
for an Echo of its own after a start; one that the server asks for it answers itself.
"""

from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import CborError
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import ECHO, OBSERVE, URI_PATH, URI_QUERY
from msgin5g.intermediary.numbers import FETCH
from msgin5g.scm.request import UE_URI

PATH = b"seal-c"

_MAX_TEXT_SIZE = 248
_MAX_ITEMS = 128  # more UEs than one message to the server can name
_MAX_BLOCK2 = 0xFFFFFF  # RFC 7959 section 2.1: at most three bytes


def encode_arguments(document_id, block2, etag, ue_ids, queries):
    """The payload of the FETCH."""
    return dumps([document_id, block2, etag, list(ue_ids), list(queries)])


def decode_arguments(payload):
    """[document_id, block2, etag, ue_ids, queries], or None when the payload is not such."""
    try:
        arguments = loads(payload, _MAX_ITEMS)
        document_id, block2, etag, ue_ids, queries = arguments
        texts = [t for t in (document_id, etag) if t is not None] + ue_ids + queries
    except (CborError, ValueError, TypeError):
        return None
    if not ue_ids:
        return None
    if block2 is not None and not (type(block2) is int and 0 <= block2 <= _MAX_BLOCK2):
        return None
    for text in texts:
        if not isinstance(text, bytes) or len(text) > _MAX_TEXT_SIZE:
            return None
    return arguments


class RemoteScmRequest:
    """In place of a ScmRequest: the gateway's own configuration, too, is asked for over SEAL-C.

    scm: the RemoteScmClient. client: the ScmClient of the gateway's own configuration. report: as
    that of a ScmRequest.
    """

    report = None

    def __init__(self, scm, client):
        self._scm = scm
        self._ue_ids = [client.ue_id]
        self._queries = []
        for number, value in client.request.queries:
            if number == URI_QUERY and not value.startswith(UE_URI):
                self._queries.append(value)

    def start(self, client, document_id, etag, observe, block2, echo, token):
        """As ScmRequest.start."""
        queries = self._queries
        if self.report is not None and document_id is None:
            queries = queries + [self.report]
        return self._scm.ask(
            client, self._ue_ids, queries, document_id, block2, etag, observe, token, echo
        )


class RemoteScmClient:
    """The way to a configuration client elsewhere; peer: its remote on `transport`."""

    def __init__(self, endpoint, transport, peer):
        self._endpoint = endpoint
        self.transport = transport
        self.remote = peer

    def ask(self, owner, ue_ids, queries, document_id=None, block2=None, etag=None, observe=None,
            token=None, echo=None):  # fmt: skip
        """As LocalScmClient.ask."""
        if self.remote is None:
            return None
        options = [(URI_PATH, PATH)]
        if observe is not None:
            options.insert(0, (OBSERVE, uint_bytes(observe)))
        if echo is not None:
            options.append((ECHO, echo))
        payload = encode_arguments(document_id, block2, etag, ue_ids, queries)
        return self._endpoint.request(
            self.transport, self.remote, FETCH, options, owner, True, token, payload
        )
