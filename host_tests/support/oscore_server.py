"""OSCORE in the network simulator: a server and UEs that share keys."""

from msgin5g.oscore.security import Security
from msgin5g_testkit.security import (
    RECIPIENT,
    Numbers,
    client_context,
    key_of,
    server_security,
)


def protect_ue(ue, ue_id, first=0):
    """Give a UE its key; the SecurityContext."""
    context = client_context(ue_id, Numbers(first))
    ue.endpoint.security = Security(RECIPIENT, context)
    return context


def protect_server(server, ue_ids, required=True, first=0):
    """Give a server the keys of UEs; its ServerSecurity."""
    keys = [(ue_id,) + key_of(ue_id) for ue_id in ue_ids]
    server.endpoint.security = server_security(None, keys, Numbers(first), required)
    return server.endpoint.security
