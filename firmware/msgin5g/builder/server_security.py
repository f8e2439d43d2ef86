"""OSCORE for a node that others ask: a gateway, or its configuration client.

All its keys take their numbers from one store, that of its own key: one bound on the flash, and
one write for 64 messages, however many UEs there are.
"""

import gc

from micropython import const

from msgin5g.builder.security import client_security
from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.security import largest_block
from msgin5g.oscore.sequence_store import board_mark
from msgin5g.oscore.server import ServerSecurity
from msgin5g.port.system import board_id, random_byte

_ECHO_SIZE = const(8)


def server_security(builder):
    """The ServerSecurity of a Builder's settings; StorageError without keys that may be used."""
    settings = builder.settings
    client = client_security(builder)
    own = client.context
    security = ServerSecurity(settings.recipient_option, client, settings.security_required)
    # Which numbers have come before this start is not known: RFC 8613 appendix B.1.2.
    echo = bytes([random_byte() for _ in range(_ECHO_SIZE)])
    board = board_id()
    for ue_id, secret, salt, kid, own_kid, id_context, mark in settings.security_ues:
        own_kid = own.sender_id if own_kid is None else own_kid
        if own_kid == kid:
            raise StorageError("security.ues %s: sender_id and recipient_id are the same" % ue_id)
        context = SecurityContext(secret, own_kid, kid, own.sequence, salt or b"", id_context)
        if builder.runs and mark != board_mark(context.sender_key, own.sender_key, board):
            raise StorageError(
                "security.ues %s: the key is not for this board and its own key: "
                "give the UE a new key" % ue_id
            )
        context.peer = ue_id.encode()
        context.echo = echo
        security.contexts[kid] = context
    names = [settings.ue_id] + [row[0] for row in settings.security_ues] + list(settings.links)
    longest = max([len(name.encode()) for name in names])
    settings.block_size = min(settings.block_size, largest_block(bytes(longest)))
    settings.security_ues = None
    gc.collect()
    return security
