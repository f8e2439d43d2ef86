"""Keys of OSCORE in a Network: each is made from a UE ID, so both ends know it."""

from hashlib import sha256

from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.security import Security
from msgin5g.oscore.server import ServerSecurity

RECIPIENT = 65020
SERVER_KID = b"\x01"  # of whoever is asked: the server, a gateway


class Numbers:
    """The numbers of the messages of a context, without a flash."""

    def __init__(self, first=0):
        self.following = first

    def next(self):
        self.following += 1
        return self.following - 1


def secret_of(ue_id):
    """The master secret of a UE, 16 bytes."""
    return sha256(ue_id.encode()).digest()[:16]


def kid_of(ue_id):
    """The Sender ID of a UE: the last four letters of its UE ID."""
    return ue_id[-4:].encode()


def key_of(ue_id):
    """(secret, Sender ID)."""
    return secret_of(ue_id), kid_of(ue_id)


def client_context(ue_id, numbers):
    """The SecurityContext of a UE with whom it asks."""
    return SecurityContext(secret_of(ue_id), kid_of(ue_id), SERVER_KID, numbers)


def server_security(own, asked_by, numbers, required=True, echo=None):
    """A ServerSecurity whose contexts share their numbers.

    own: (secret, kid) of what the node asks for, None when it asks for nothing. asked_by:
    [(UE ID, secret, kid)].
    """
    client = None
    if own is not None:
        client = Security(RECIPIENT, SecurityContext(own[0], own[1], SERVER_KID, numbers))
    security = ServerSecurity(RECIPIENT, client, required)
    for ue_id, secret, kid in asked_by:
        context = SecurityContext(secret, SERVER_KID, kid, numbers)
        context.peer = ue_id.encode()
        context.echo = echo
        security.contexts[kid] = context
    return security


def add_key(security, ue_id):
    """Add the context with a UE to a ServerSecurity; it has numbers of its own."""
    secret, kid = key_of(ue_id)
    assert kid not in security.contexts, "the last four letters of two UE IDs are the same"
    context = SecurityContext(secret, SERVER_KID, kid, Numbers())
    context.peer = ue_id.encode()
    security.contexts[kid] = context


def give_key(values, flash, board_id, ue_id):
    """Put the key of a UE into its settings, and the numbers for it on its flash."""
    from binascii import hexlify
    from msgin5g.oscore.sequence_store import SequenceStore

    group = dict(values.get("security", {}))
    for name, value in (
        ("master_secret", secret_of(ue_id)),
        ("sender_id", kid_of(ue_id)),
        ("recipient_id", SERVER_KID),
    ):
        group[name] = hexlify(value).decode()
    group["mode"] = "oscore"
    values["security"] = group
    key = client_context(ue_id, None).sender_key
    assert SequenceStore(flash, key, board_id).create()
