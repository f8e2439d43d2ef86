"""The keys that two boards have: made here, and put on both of them; nobody else has them.

A UE has one with its gateway. A separated gateway has one with its SEAL-C, which has the key with
the server. Who is nearer to the server gets a key first; so whatever is cut off, its members do
not have what it lacks, and a second run makes another key for both.
"""

import hashlib
import json
import secrets
from collections import namedtuple

from msgin5g_tools.device.board_key import BoardKey, OwnKey, read_numbers
from msgin5g_tools.device.inventory import take_inventory
from msgin5g_tools.device.ports import on_each
from msgin5g_tools.device.server_keys import KeySource, open_contexts
from msgin5g_tools.device.session import session_at
from msgin5g_tools.scm_server.contexts import GATEWAY, SECRET_SIZE, SERVER_ID, UE

_MAX_KID_SIZE = 7

# What a key is not, but is equal for equal keys only; and whether the firmware would start with
# the key that is there.
_FINGERPRINTS = """
import binascii, hashlib, json
def print_of(group):
    secret = group["master_secret"].lower().encode()
    return binascii.hexlify(hashlib.sha256(b"fingerprint" + secret).digest()[:8]).decode()
d = {"own": None, "ues": {}}
try:
    with open("/secrets.json") as f:
        group = json.load(f)["security"]
    for name, its in group.get("ues", {}).items():
        d["ues"][name] = print_of(its)
    from msgin5g.builder.security import own_context
    from msgin5g.settings import load
    from msgin5g.oscore.sequence_store import board_mark
    own_context(load("/settings.json"), "/")
    d["own"] = print_of(group)
except Exception:
    pass
print(json.dumps(d))
"""


# settings: Settings. members: Nodes that have their keys with this one: the UEs of a gateway, or
# the gateway of a SEAL-C.
Node = namedtuple("Node", "settings port members")


class GivenKey:
    """A key that is made for a board and a gateway or SEAL-C. path: of the server's database."""

    ue_keys = {}
    kept_ues = ()

    def __init__(self, key, path, settings):
        self._key = key
        self._path = path
        self._ue_id = settings.ue_id
        self.other_end = "its gateway" if settings.role == "ue" else "its SEAL-C"

    def key_with(self, fits):
        return None

    def new_key(self):
        return self._key

    def installed(self, key):
        """A key that the UE had with the server ends: it is never secured at both."""
        with open_contexts(self._path) as contexts:
            contexts.revoke(UE, self._ue_id)


class KeptKey:
    """The key of a gateway with its SEAL-C, which both have: it gets keys of UEs only."""

    ue_keys = {}
    kept_ues = ()

    def key_with(self, fits):
        return OwnKey()

    def installed(self, key):
        pass


def gateway_key_sources(path, root, tool):
    """({port: key source}, [(Node, UE ID that loses its key)]) for a tree of Nodes.

    path: of the server's database. root: the Node that has its key with the server, a gateway or
    a SEAL-C. A member keeps its key while both boards have the same one, with its numbers; else
    both get another one. Who gets another key of its own cannot keep any of its members.
    """
    found = on_each(_ports(root), lambda port: _inspect(port, tool))
    for _, error in found.values():
        if error is not None:
            raise error
    gateways = root.members if root.settings.role == "seal-c" else (root,)
    ues = [ue_id for node in gateways for ue_id in node.settings.links]
    source = KeySource(path, GATEWAY, root.settings.ue_id, tuple(ues))
    board, numbers, _ = found[root.port][0]
    keeps = source.key_with(lambda key: key.has_numbers(numbers, board)) is not None
    sources, lost = {}, []
    pending = [(root, source, keeps)]
    for holder, source, keeps in pending:
        sources[holder.port] = source
        prints = found[holder.port][0][2]["ues"]
        kept = prints if keeps else {}
        names = _members_of(holder.settings)
        kids = _kids(names)
        source.ue_keys = {}
        for node in holder.members:
            ue_id = node.settings.ue_id
            own = found[node.port][0][2]["own"]
            stays = own is not None and own == kept.get(ue_id)
            if not stays:
                key = BoardKey(secrets.token_bytes(SECRET_SIZE), kids[ue_id], SERVER_ID, True)
                source.ue_keys[ue_id] = key
                sources[node.port] = GivenKey(key, path, node.settings)
            if node.settings.role == "gateway":
                pending.append((node, KeptKey() if stays else sources[node.port], stays))
        rest = [ue_id for ue_id in prints if ue_id in names and ue_id not in source.ue_keys]
        source.kept_ues = tuple(sorted(ue_id for ue_id in rest if ue_id in kept))
        lost += [(holder, ue_id) for ue_id in sorted(rest) if ue_id not in kept]
    return sources, lost


def _ports(node):
    return [node.port] + [port for member in node.members for port in _ports(member)]


def _members_of(settings):
    """UE IDs of those whose keys are with a node of these Settings."""
    return (settings.ue_id,) if settings.role == "seal-c" else tuple(settings.links)


def _inspect(port, tool):
    """(unique_id, {name: bytes} of the files of numbers, fingerprints) of a board."""
    with session_at(port, tool) as session:
        board = bytes.fromhex(take_inventory(session).facts["id"])
        return board, read_numbers(session), _fingerprints(session)


def _fingerprints(session):
    return json.loads(session.run(_FINGERPRINTS).strip().split("\n")[-1])


def _kids(ue_ids):
    """{UE ID: identifier}: the same for the same UEs, all different, and not SERVER_ID."""
    hashes = {ue_id: hashlib.sha256(ue_id.encode()).digest() for ue_id in ue_ids}
    for size in range(2, _MAX_KID_SIZE + 1):
        kids = {ue_id: digest[:size] for ue_id, digest in hashes.items()}
        if len(set(kids.values())) == len(kids):
            break
    return kids
