"""aiocoap's OSCORE as a peer: a security context, and our messages as messages of aiocoap."""

from aiocoap import oscore
from aiocoap.message import Direction, Message


class PeerContext(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """The other side of a SecurityContext of ours; the arguments are those of that one."""

    def __init__(self, master_secret, sender_id, recipient_id, first, salt, id_context):
        self.alg_aead = oscore.algorithms["AES-CCM-16-64-128"]
        self.hashfun = oscore.hashfunctions["sha256"]
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.id_context = id_context
        self.sender_sequence_number = first
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()
        self.derive_keys(salt, master_secret)

    def post_seqnoincrease(self):
        pass

    def context_for_response(self):
        return self

    def context_from_response(self, unprotected_bag):
        return self


def decoded(datagram):
    """A datagram that has come, as a Message of aiocoap."""
    message = Message.decode(bytes(datagram))
    message.direction = Direction.INCOMING
    return message


def options_of(message, but=()):
    """[(number, value)] of a Message of aiocoap, without those of the numbers in `but`."""
    options = message.opt.option_list()
    return [(int(o.number), o.encode()) for o in options if o.number not in but]
