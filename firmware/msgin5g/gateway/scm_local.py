"""SEAL-C: what a Gateway Client says to its configuration management client (TS 24.538 6.2.2.x).

One verb, `ask`: make this GET to the configuration management server. Its answer is the message
that comes for the exchange that `ask` gives, wherever the configuration client lives:

    Collocated    in the gateway: the GET leaves from here
    Separated     in another process, core or board, over a link of its own: roles/seal_c_apart.py
"""

from msgin5g.coap.numbers import GET
from msgin5g.scm.request import ScmRequest


class Collocated:
    """A configuration client on the gateway's own endpoint; server: its remote on `link`."""

    def __init__(self, settings, endpoint, transport, server):
        self._settings = settings
        self._endpoint = endpoint
        self.transport = transport
        self.remote = server

    def ask(self, owner, ids, queries, document_id=None, block2=None, etag=None, observe=None,
            token=None, echo=None):  # fmt: skip
        """Ask the server: an exchange of `owner`, or None when there is no room for one.

        ids: the MSGin5G UE IDs (bytes); more than one make it a bulk request. queries: further
        Uri-Query values. token: see Endpoint.request.
        """
        settings = self._settings
        if len(ids) > 1:
            queries = tuple(queries) + (b"bulkConfFlag=" + settings.bulk_id.encode(),)
        resource = ScmRequest(
            settings.service_id,
            ids,
            settings.server_recipient.encode(),
            settings.recipient_option,
            settings.content_format,
            queries,
        )
        options = resource.options(document_id, etag, observe, block2, echo)
        return self._endpoint.request(
            self.transport, self.remote, GET, options, owner, True, None, token
        )
