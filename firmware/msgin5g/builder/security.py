"""OSCORE for the node that is built: the key of the settings, and the numbers on its flash."""

from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.security import Security, largest_block
from msgin5g.oscore.sequence_store import FILES, SequenceStore
from msgin5g.port.flash import Flash
from msgin5g.port.system import board_id, random_byte, woke_from_deep_sleep


def protect(builder, role, owner=None):
    """Protect the requests of a role, or only those of one owner; see client_security."""
    role.endpoint.security = security = client_security(builder)
    security.owner = owner
    client = owner or role.client
    client.block_size = min(client.block_size, largest_block(client.ue_id))


def client_security(builder):
    """The Security of a Builder's settings.

    StorageError without a key, or without the numbers that belong to it: a number that is used
    twice gives messages away, so a key whose numbers are not known is not used.
    """
    random = None if woke_from_deep_sleep() else random_byte
    context = own_context(builder.settings, builder.directory, random, builder.runs)
    return Security(builder.settings.recipient_option, context)


def own_context(settings, directory, random=None, needs_numbers=True):
    """The SecurityContext of the settings; StorageError as for client_security.

    It only reads. random: see SequenceStore.load.
    """
    secret = settings.security_master_secret
    ids = (settings.security_sender_id, settings.security_recipient_id)
    if secret is None or None in ids or ids[0] == ids[1]:
        raise StorageError(
            "security: oscore: no key: secrets.json needs security.master_secret, and "
            "security.sender_id and security.recipient_id that differ"
        )
    salt = settings.security_master_salt or b""
    context = SecurityContext(secret, ids[0], ids[1], None, salt, settings.security_id_context)
    flash = Flash(directory, StorageError)
    context.sequence = SequenceStore(flash, context.sender_key, board_id())
    if needs_numbers and not context.sequence.load(random):
        raise StorageError(
            "security: oscore: %s and %s have no numbers for this key on this board: "
            "give the board a new key" % FILES
        )
    return context
