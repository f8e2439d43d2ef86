"""Which UE ID was given which UE Service ID (TS 33.501 Y.2): noted when it is new."""

from collections import OrderedDict

import cbor2

from msgin5g_tools.scm_server.config_data import SERVICE_ID, parse_object
from msgin5g_tools.scm_server.identity import normal_uri

_MAX_NOTED = 20_000  # responses that need not be looked at again


class ServiceIds:
    """store(entries): see Contexts.note_service_ids."""

    def __init__(self, store):
        self._store = store
        self._noted = OrderedDict()

    def note(self, owner, uris, reply):
        """Note a Reply with documents for these UEs, which an Owner is given."""
        key = (owner.number, reply.etag, uris)
        if key in self._noted:
            return
        given = []
        found = cbor2.loads(reply.payload)
        for document in found if isinstance(found, list) else [found]:
            named = {normal_uri(uri) for uri in document.get("valUeIds", {}).get("uris", ())}
            ids = set(_service_ids(document))
            for uri in uris:
                if not named or normal_uri(uri) in named:
                    given += [(uri, service_id, owner.number) for service_id in ids]
        if given:
            self._store(given)
        self._noted[key] = None
        if len(self._noted) > _MAX_NOTED:
            self._noted.popitem(last=False)


def _service_ids(document):
    for config in document.get("ueConfigs", ()):
        data = parse_object(config["configData"]) or {}
        if isinstance(data.get(SERVICE_ID), str):
            yield data[SERVICE_ID]
