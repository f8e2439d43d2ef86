"""The gateway's way to its configuration management client: SEAL-C (TS 24.538 6.2.2).

It has one verb, `ask`: make this GET to the configuration management server. The answer is the
message that comes for the exchange that `ask` gives, wherever that client is:

    LocalScmClient     in the gateway: the GET leaves from here
    RemoteScmClient    in another process, core or board, see scm_remote
"""

from msgin5g.coap.numbers import GET
from msgin5g.scm.request import scm_request_of


class LocalScmClient:
    """A configuration client on the gateway's own endpoint; server: its remote on `transport`.

    remote: None while the address of the server is not known.
    """

    def __init__(self, settings, endpoint, transport, server):
        self._settings = settings
        self._endpoint = endpoint
        self.transport = transport
        self.remote = server

    def ask(self, owner, ue_ids, queries, document_id=None, block2=None, etag=None, observe=None,
            token=None, echo=None):  # fmt: skip
        """Ask the server: an exchange of `owner`, or None when that cannot be done now.

        ue_ids: MSGin5G UE IDs (bytes); more than one make it a bulk request. queries: further
        Uri-Query values. token: see Endpoint.request.
        """
        if self.remote is None:
            return None
        settings = self._settings
        if len(ue_ids) > 1:
            queries = tuple(queries) + (b"bulkConfFlag=" + settings.bulk_id.encode(),)
        request = scm_request_of(settings, ue_ids, queries)
        options = request.options(document_id, etag, observe, block2, echo)
        return self._endpoint.request(
            self.transport, self.remote, GET, options, owner, True, token
        )
