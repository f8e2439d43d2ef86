"""SEAL-C: what a Gateway Client says to its configuration management client (TS 24.538 6.2.2.x).

One verb, `ask`: make this GET to the configuration management server. Its answer is the message
that comes for the exchange that `ask` gives, wherever the configuration client lives:

    Collocated    in the gateway: the GET leaves from here
    Separated     in another process, core or board, over a link of its own: roles/seal_c_apart.py
"""

from msgin5g.coap.message import encode
from msgin5g.coap.numbers import GET, MAX_MESSAGE_SIZE
from msgin5g.seal.resources import ConfigurationResource


class Collocated:
    """A configuration client on the gateway's own endpoint; server: its remote on `link`."""

    def __init__(self, settings, endpoint, link, server):
        self._settings = settings
        self._endpoint = endpoint
        self.link = link
        self.remote = server

    def ask(self, owner, ids, queries, document_id=None, block2=None, etag=None, observe=None,
            token=None, echo=None):  # fmt: skip
        """Ask the server: an exchange of `owner`, or None when there is no room for one.

        ids: the MSGin5G UE IDs (bytes); more than one make it a bulk request. queries: further
        Uri-Query values. token: see Endpoint.request.
        """
        options = options_of(
            self._settings, ids, queries, document_id, block2, etag, observe, echo
        )
        return self._endpoint.request(
            self.link, self.remote, GET, options, owner, True, None, token
        )


def options_of(settings, ids, queries, document_id, block2, etag, observe, echo=None):
    """The options of a GET to the server."""
    if len(ids) > 1:
        queries = tuple(queries) + (b"bulkConfFlag=" + settings.bulk_id.encode(),)
    resource = ConfigurationResource(
        settings.service_id,
        ids,
        settings.server_recipient.encode(),
        settings.recipient_option,
        settings.content_format,
        queries,
    )
    return resource.options(document_id, etag, observe, block2, echo)


def room_for_ids(settings):
    """Bytes that a bulk GET has for its `ue-uri` options: a datagram less all the rest of it."""
    options = options_of(settings, (b"1", b"2"), (), None, None, None, None)
    buf = bytearray(MAX_MESSAGE_SIZE)
    size = encode(buf, 0, GET, 0, b"1234", options)
    # Of the two short IDs each took 9 bytes; Block2 takes up to 4, an Echo 42.
    return MAX_MESSAGE_SIZE - size + 18 - 4 - 42
