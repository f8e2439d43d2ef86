"""The keys of UEs with their gateway: made here, and put on both boards; nobody else has them."""

import hashlib
import json
import secrets

from msgin5g_tools.device.board_key import BoardKey, read_numbers
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
    own_context(load("/settings.json"), "/")
    d["own"] = print_of(group)
except Exception:
    pass
print(json.dumps(d))
"""


class GivenKey:
    """A key that is made for the board of a UE and its gateway. path: of the server's database."""

    other_end = "its gateway"
    ue_keys = {}
    kept_ues = ()

    def __init__(self, key, path, ue_id):
        self._key = key
        self._path = path
        self._ue_id = ue_id

    def key_with(self, fits):
        return None

    def new_key(self):
        return self._key

    def installed(self, key):
        """A key that the UE had with the server ends: it is never secured at both."""
        with open_contexts(self._path) as contexts:
            contexts.revoke(UE, self._ue_id)


def gateway_key_sources(path, gateway, port, ues, tool):
    """({port: key source}, UE IDs that lose their keys) for a gateway and those of its UEs.

    path: of the server's database. gateway: its Settings. ues: [(UE ID, port)]. A UE keeps its
    key while both boards have the same one, with its numbers; else both get another one.
    """
    source = KeySource(path, GATEWAY, gateway.ue_id, tuple(gateway.links))
    with session_at(port, tool) as session:
        board = bytes.fromhex(take_inventory(session).facts["id"])
        numbers = read_numbers(session)
        prints = _fingerprints(session)["ues"]
    keeps_own = source.key_with(lambda key: key.has_numbers(numbers, board)) is not None
    kept = prints if keeps_own else {}

    def fingerprint(ue_port):
        with session_at(ue_port, tool) as session:
            return _fingerprints(session)["own"]

    found = on_each([ue_port for _, ue_port in ues], fingerprint)
    kids = _kids(gateway.links)
    sources = {port: source}
    source.ue_keys = {}
    for ue_id, ue_port in ues:
        own, error = found[ue_port]
        if error is not None:
            raise error
        if own is None or own != kept.get(ue_id):
            key = BoardKey(secrets.token_bytes(SECRET_SIZE), kids[ue_id], SERVER_ID, True)
            source.ue_keys[ue_id] = key
            sources[ue_port] = GivenKey(key, path, ue_id)
    linked = [name for name in prints if name in gateway.links and name not in source.ue_keys]
    source.kept_ues = tuple(sorted(name for name in linked if name in kept))
    return sources, sorted(name for name in linked if name not in kept)


def _fingerprints(session):
    return json.loads(session.run(_FINGERPRINTS).strip().split("\n")[-1])


def _kids(ue_ids):
    """{UE ID: identifier}: the same for the same UEs, all different, and not the gateway's."""
    hashes = {ue_id: hashlib.sha256(ue_id.encode()).digest() for ue_id in ue_ids}
    for size in range(2, _MAX_KID_SIZE + 1):
        kids = {ue_id: digest[:size] for ue_id, digest in hashes.items()}
        if len(set(kids.values())) == len(kids):
            break
    return kids
