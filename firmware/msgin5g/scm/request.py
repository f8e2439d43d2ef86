"""The SU_UeConfig resources (TS 24.546 C.3) as CoAP options, and the Recipient option."""

from micropython import const

from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import (
    ACCEPT,
    BLOCK2,
    ECHO,
    ETAG,
    GET,
    OBSERVE,
    URI_HOST,
    URI_PATH,
    URI_QUERY,
)

_RECIPIENT = const(65020)  # elective, safe to forward, NoCacheKey; a setting
_CONTENT_FORMAT = const(65001)  # ...seal-ue-config-info+cbor has no number; a setting

UE_URI = b"ue-uri="
UE_VENDOR = b"ue-vendor="
UE_TYPE = b"ue-type="
UE_SNR = b"ue-snr="


class ScmRequest:
    """A GET for the configuration of one UE, or of several (bulk), without what changes.

    ue_ids: list of MSGin5G UE IDs as bytes. recipient: the server's URI as bytes, None to leave
    the option out. queries: further Uri-Query values as bytes. host, path_prefix: what apiRoot
    (TS 24.546 C.1.1) has beside the address, texts or None. The attributes are options as
    (number, value): host, path and recipient of every request, queries of one for the collection,
    document_queries of one for an individual document. report: a query more of the next ones for
    the collection, see RefusalReport of the UE, or None.
    """

    report = None

    def __init__(
        self,
        service_id,
        ue_ids,
        recipient,
        recipient_option=_RECIPIENT,
        content_format=_CONTENT_FORMAT,
        queries=(),
        host=None,
        path_prefix=None,
    ):
        self.host = (URI_HOST, host.encode()) if host else None
        self.path = path = []
        for segment in path_prefix.split("/") if path_prefix else ():
            path.append((URI_PATH, segment.encode()))
        for segment in (
            b"su-uc",
            b"v1",
            b"val-services",
            service_id.encode(),
            b"ue-configurations",
        ):
            path.append((URI_PATH, segment))
        self.queries = query = []
        for ue_id in ue_ids:
            query.append((URI_QUERY, UE_URI + ue_id))
        for value in queries:
            query.append((URI_QUERY, value))
        query.append((ACCEPT, uint_bytes(content_format)))
        self.document_queries = [option for option in query if not is_filter(option[1])]
        self.recipient = None if recipient is None else (recipient_option, recipient)

    def start(self, client, document_id, etag, observe, block2, echo, token):
        """Start the exchange of a ScmClient, see Endpoint.request; see `options`."""
        options = self.options(document_id, etag, observe, block2, echo)
        return client.endpoint.request(
            client.transport, client.remote, GET, options, client, True, token
        )

    def options(self, document_id=None, etag=None, observe=None, block2=None, echo=None):
        """The options of a GET, ascending, as list of (number, bytes).

        document_id: bytes of ueConfigDocId for the individual document, None for the collection.
        """
        options = [self.host] if self.host else []
        if etag:
            options.append((ETAG, etag))
        if observe is not None:
            options.append((OBSERVE, uint_bytes(observe)))
        options.extend(self.path)
        if document_id:
            options.append((URI_PATH, document_id))
            options.extend(self.document_queries)
        else:
            if self.report is not None:
                options.append((URI_QUERY, self.report))
            options.extend(self.queries)
        if block2 is not None:
            options.append((BLOCK2, uint_bytes(block2)))
        if echo:
            options.append((ECHO, echo))
        if self.recipient:
            options.append(self.recipient)
        return options


def is_filter(query):
    """Whether a Uri-Query selects documents of the collection by what the UE is.

    TS 24.546 C.3.1.2.2.3.1 has these queries, C.3.1.2.3.3.1, the individual document, has not.
    """
    return query[: query.find(b"=") + 1] in (UE_VENDOR, UE_TYPE, UE_SNR)


def scm_request_of(settings, ue_ids, queries=()):
    """The ScmRequest of a node with these settings."""
    return ScmRequest(
        settings.service_id,
        ue_ids,
        settings.server_recipient.encode(),
        settings.recipient_option,
        settings.content_format,
        queries,
        settings.server_host,
        settings.server_path_prefix,
    )


def uri_equal(a, b):
    """Whether two URIs (bytes) are equal, the case of scheme and host apart (RFC 3986 6.2.2)."""
    if a == b:
        return True
    if len(a) != len(b):
        return False
    n = a.find(b":")
    if n < 0:
        return False
    if a[n + 1 : n + 3] == b"//":
        n += 3
        while n < len(a) and a[n] not in b"/?#":
            n += 1
    return a[:n].lower() == b[:n].lower() and a[n:] == b[n:]
