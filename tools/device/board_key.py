"""The OSCORE key of a board: in its secrets.json, and its numbers in two files beside it.

A number that is used twice with one key gives both messages away. So the files of numbers are made
with the key, in the same installation, and never for a key that was on a board before: where they
are lost the board gets another key. They are bound to key and board by the firmware, which checks
them.
"""

import json
from binascii import b2a_base64

from msgin5g_tools.device.bundle import File, file_of
from msgin5g_tools.device.errors import FAILED, DeviceError
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.oscore.context import SecurityContext  # noqa: E402
from msgin5g.oscore.sequence_store import FILES, SequenceStore, board_mark  # noqa: E402

KEY, REST, NOTHING = "key", "rest", ""

# Numbers are no secret.
_READ = """
import binascii, json
d = {}
for name in NAMES:
    try:
        with open("/" + name, "rb") as f:
            d[name] = binascii.hexlify(f.read(64)).decode()
    except OSError:
        pass
print(json.dumps(d))
"""

# Secrets never leave a board: it joins what it has with what it gets. JSON on a board has no
# order, so what has not changed keeps its bytes.
_JOIN = """
import binascii, hashlib, json
def group_of(d):
    group = d.get("security")
    return group if isinstance(group, dict) else {}
def join(part, keeps, ues, target):
    old = b"{}"
    try:
        with open("/secrets.json", "rb") as f:
            old = f.read()
        has = json.loads(old)
        has = has if isinstance(has, dict) else {}
    except (OSError, ValueError):
        has = {}
    new = json.loads(part)
    d = dict(has) if keeps == "rest" else {}
    d.update(new)
    if keeps == "key":
        if "master_secret" in group_of(has):
            d["security"] = has["security"]
    elif "master_secret" not in group_of(new):
        d["security"] = group = dict(group_of(has))
        group.pop("ues", None)
        group.update(group_of(new))
    had = group_of(has).get("ues")
    if ues and isinstance(had, dict):
        d["security"] = group = dict(group_of(d))
        group["ues"] = both = dict(group.get("ues", {}))
        for name in ues:
            if name in had and name not in both:
                both[name] = had[name]
    data = old if d == has else part if d == new else json.dumps(d).encode()
    if target:
        with open(target, "wb") as f:
            f.write(data)
    print(binascii.hexlify(hashlib.sha256(data).digest()).decode())
"""


# Made where the key is: nobody else has it. A mark is no secret.
_MARKS = """
import binascii, json
from msgin5g.builder.security import own_context
from msgin5g.oscore.sequence_store import board_mark
from msgin5g.port.system import board_id
from msgin5g.settings import load
own = own_context(load("/settings.json"), "/").sender_key
d = {}
for name, key in KEYS.items():
    d[name] = binascii.hexlify(board_mark(key, own, board_id())).decode()
print(json.dumps(d))
"""


class BoardKey:
    """A key as a board needs it, all bytes: its own identifier and that of the server.

    is_new: it has just been made, so that no board can have used it.
    """

    def __init__(self, master_secret, sender_id, recipient_id, is_new=False):
        self.master_secret = master_secret
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.is_new = is_new

    def __repr__(self):
        return f"BoardKey({self.sender_id.hex()})"

    def group(self):
        """The group `security` of secrets.json."""
        return {
            "master_secret": self.master_secret.hex(),
            "sender_id": self.sender_id.hex(),
            "recipient_id": self.recipient_id.hex(),
        }

    def new_numbers(self, board):
        """The Files of numbers of a new key. board: its unique_id, bytes."""
        assert self.is_new
        flash = _Files({})
        assert self._store(flash, board).create()
        return [file_of(name, flash.files[name]) for name in FILES]

    def at_other_end(self):
        """The SecurityContext that the other end has."""
        return SecurityContext(self.master_secret, self.recipient_id, self.sender_id, None)

    def entries(self, keys, session, board):
        """The entries of security.ues for {UE ID: BoardKey}, at a node whose own key this is."""
        own = SecurityContext(self.master_secret, self.sender_id, self.recipient_id, None)
        return {
            ue_id: {
                **key.group(),
                "board": board_mark(key.at_other_end().sender_key, own.sender_key, board).hex(),
            }
            for ue_id, key in keys.items()
        }

    def has_numbers(self, files, board):
        """Whether {name: bytes} are numbers of this key on this board."""
        return self._store(_Files(files), board).load(None)

    def _store(self, flash, board):
        key = SecurityContext(self.master_secret, self.sender_id, self.recipient_id, None)
        return SequenceStore(flash, key.sender_key, board)


class OwnKey:
    """The key that a board has, and keeps; only the board and the other end know it."""

    is_new = False

    def group(self):
        """See BoardKey: what the board does not have itself."""
        return {}

    def entries(self, keys, session, board):
        """See BoardKey."""
        if not keys:
            return {}
        sender_keys = {ue_id: key.at_other_end().sender_key for ue_id, key in keys.items()}
        found = session.run(_MARKS.replace("KEYS", repr(sender_keys)))
        marks = json.loads(found.strip().split("\n")[-1])
        return {ue_id: {**key.group(), "board": marks[ue_id]} for ue_id, key in keys.items()}


class _Files:
    """A port.flash.Flash of files in memory."""

    error = KeyError

    def __init__(self, files):
        self.files = files

    def read(self, name, offset, size):
        return self.files[name][offset : offset + size]

    def write(self, name, parts):
        self.files[name] = b"".join(parts)

    def same(self, name, offset, parts):
        return self.files[name][offset:] == b"".join(parts)


class JoinedSecrets(File):
    """A secrets.json of `data` and of what a board has; sha256 is that of the file as a whole."""

    kept = ()  # see joined_secrets

    def programs(self, folder):
        return [_joining(self.data, self.kept, f"{folder}/{self.path}")]


def joined_secrets(session, data, keeps, ues=()):
    """The JoinedSecrets of `data`, bytes of a JSON object, and of a board.

    keeps: what the board has and keeps: KEY, its keys; REST, all but its keys; or NOTHING. Where
    `data` has no key but a group `security`, its own key stays besides, and so do those of `ues`,
    UE IDs, in any case.
    """
    kept = (keeps, tuple(ues))
    file = JoinedSecrets("secrets.json", data, session.run(_joining(data, kept, None)).strip())
    file.kept = kept
    return file


def holds_key(secrets):
    """Whether the bytes of a secrets.json hold a key."""
    group = json.loads(secrets).get("security")
    return isinstance(group, dict) and "master_secret" in group


def with_key(secrets, key, ues=None):
    """The bytes of a secrets.json with this BoardKey or OwnKey. secrets: bytes, or None.

    ues: the value of security.ues for a gateway, a dict.
    """
    group = {**key.group(), "ues": ues} if ues else key.group()
    return json.dumps({**json.loads(secrets or b"{}"), "security": group}).encode()


def read_numbers(session):
    """{name: bytes} of the files of numbers that a board has."""
    try:
        found = json.loads(session.run(_READ.replace("NAMES", repr(FILES))))
        return {name: bytes.fromhex(data) for name, data in found.items()}
    except ValueError:
        raise DeviceError(FAILED, "the board's numbers could not be read") from None


def _joining(data, kept, target):
    text = b2a_base64(data, newline=False).decode()
    keeps, ues = kept
    return f"{_JOIN}join(binascii.a2b_base64({text!r}), {keeps!r}, {ues!r}, {target!r})\n"
