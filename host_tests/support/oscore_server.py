"""OSCORE in the network simulator: a server and UEs that share keys."""

from hashlib import sha256

from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.security import Security
from msgin5g.oscore.server import ServerSecurity

RECIPIENT = 65020
SERVER_KID = b"\x01"


class Numbers:
    """The numbers of the messages of a context, without a flash."""

    def __init__(self, first=0):
        self.following = first

    def next(self):
        self.following += 1
        return self.following - 1


def secret_of(ue_id):
    """The master secret of a UE in these tests, 16 bytes."""
    return sha256(ue_id.encode()).digest()[:16]


def kid_of(ue_id):
    """The Sender ID of a UE: the last four letters of its UE ID."""
    return ue_id[-4:].encode()


def protect_ue(ue, ue_id, first=0):
    """Give a UE its key; the SecurityContext."""
    numbers = Numbers(first)
    context = SecurityContext(secret_of(ue_id), kid_of(ue_id), SERVER_KID, numbers)
    ue.endpoint.security = Security(RECIPIENT, context)
    return context


def protect_server(server, ue_ids, required=True, first=0):
    """Give a server the keys of UEs; its ServerSecurity."""
    security = ServerSecurity(RECIPIENT, None, required)
    for ue_id in ue_ids:
        context = SecurityContext(secret_of(ue_id), SERVER_KID, kid_of(ue_id), Numbers(first))
        context.peer = ue_id.encode()
        security.contexts[kid_of(ue_id)] = context
    server.endpoint.security = security
    return security
