"""The keys of boards in the database of msgin5g scm-server: made there, given to a board, ended.

The server has a key before the board, and ends the former keys after that. So whatever is cut off
in between, the board has a key that the server takes, and a second run completes the work: it
keeps the key for which the board has numbers, or makes another one. A key that may have been on
a board is never put on one again: see board_key.
"""

from msgin5g_tools.device.board_key import BoardKey
from msgin5g_tools.device.server_contexts import open_contexts
from msgin5g_tools.scm_server.contexts import ACTIVE, GATEWAY, UE


def key_owner(settings):
    """(kind, name) of the key that a node of these Settings has with the server, or None."""
    if settings.security_mode != "oscore":
        return None
    if has_gateway_key(settings) or has_seal_c_key(settings):
        return None
    if settings.role in ("gateway", "seal-c"):
        return GATEWAY, settings.ue_id
    if settings.role == "ue" or settings.own_configuration:
        return UE, settings.ue_id
    return None


def has_gateway_key(settings):
    """Whether the key of a node of these Settings is one with its gateway."""
    is_ue = settings.security_mode == "oscore" and settings.role == "ue"
    return is_ue and settings.next_hop_is == "gateway"


def has_seal_c_key(settings):
    """Whether the key of a node of these Settings is one with its SEAL-C: a separated gateway."""
    is_gateway = settings.security_mode == "oscore" and settings.role == "gateway"
    return is_gateway and settings.seal_c_mode == "separated"


class KeySource:
    """The key of one board with the server. kind, name: its owner.

    ues: those that a gateway may ask for. keeps: a key that the board has already stays.
    ue_keys: {UE ID: BoardKey} of those who have their keys with this board, which it gets
    besides; kept_ues: UE IDs whose keys it keeps as long as it keeps its own.
    """

    other_end = "the server"
    ue_keys = {}
    kept_ues = ()

    def __init__(self, path, kind, name, ues=(), keeps=True, **overlap):
        self._path = path
        self._owner = (kind, name)
        self._ues = ues
        self._keeps = keeps
        self._overlap = overlap  # overlap_s, as Contexts.rotate takes it

    def key_with(self, fits):
        """The active key, if it is one for which fits(BoardKey) is true; else None."""
        if not self._keeps:
            return None
        with open_contexts(self._path) as contexts:
            active = self._active(contexts)
            context = active and contexts.find_number(active.number)
        key = context and BoardKey(context.secret, context.kid, context.server_id)
        return key if key and fits(key) else None

    def new_key(self):
        """A new BoardKey; a key before it that was used goes on working for the overlap."""
        with open_contexts(self._path) as contexts:
            active = self._active(contexts)
            if active is None:
                made = contexts.add(*self._owner)
            else:
                made = contexts.rotate(*self._owner, **self._overlap)
                contexts.discard(active.number)  # if it was never used, no board waits for it
        return BoardKey(made.secret, made.kid, made.server_id, is_new=True)

    def installed(self, key):
        """The board has the key: it cannot use any other one, so these end."""
        kind, name = self._owner
        with open_contexts(self._path) as contexts:
            for context in contexts.list(kind, name):
                if context.kid != key.sender_id:
                    contexts.revoke_number(context.number)
            for uri in self._ues:
                contexts.add_ue(name, uri)

    def _active(self, contexts):
        found = [c for c in contexts.list(*self._owner) if c.state == ACTIVE]
        return found[0] if found else None
