"""OSCORE for a node that others ask: a gateway, or its configuration client."""

from msgin5g.config.store import StorageError
from msgin5g.oscore.server import ServerSecurity


def server_security(builder):
    """The ServerSecurity of a Builder's settings; StorageError without keys that may be used."""
    security = ServerSecurity(builder.settings.recipient_option)
    if not security.contexts:
        raise StorageError("security: oscore: not for the role " + builder.settings.role)
    return security
