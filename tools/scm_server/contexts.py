"""The security contexts of OSCORE (RFC 8613 section 3) in the database: one row a key.

    with Store("scm.db") as store:
        made = Contexts(store).add(UE, "urn:x-msgin5g:ue:0007")

A context belongs to a UE (its URI), to a gateway (its IP address, or its own URI), or to an
administrator (any name). An owner has one active context. `rotate` gives it a second one, and the
first one retires: it works until its end. A revoked one works no more, and its secret is erased.
Other processes that use the file see every change at their next request.

The server's sequence numbers are reserved here before they are used, many with one write (appendix
B.1.1): several processes, and a process after a crash, never use the same one.
"""

import secrets
import time
from dataclasses import dataclass, field

from msgin5g_tools.scm_server import identity
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.text import printable

UE, GATEWAY, ADMINISTRATOR = "ue", "gateway", "administrator"
ACTIVE, RETIRING, REVOKED = "active", "retiring", "revoked"
SERVER_ID = b"\x00"  # no kid that `add` chooses is this one
SECRET_SIZE = 16
DAY_S = 86_400
OVERLAP_DAYS = 14
MAX_ID_SIZE = 7  # RFC 8613 section 3.3, with a nonce of 13 bytes
MAX_NUMBER = 0xFFFFFFFFFF  # of a Partial IV
WINDOW_SIZE = 32
RESERVED_TOGETHER = 256  # contexts

_KINDS = (UE, GATEWAY, ADMINISTRATOR)
_MAX_ID_CONTEXT_SIZE = 16  # that the firmware takes
_MAX_SALT_SIZE = 32
_MAX_NAME_SIZE = 248
_WINDOW_MASK = (1 << WINDOW_SIZE) - 1
_SHOWN = (
    "number, kind, owner, spelling, kid, id_context, server_id"
    ", state, ends_at, created_at, used_at, holder"
)


@dataclass(frozen=True)
class Context:
    """A row. `secret` and `salt` are empty where nobody needs them, and never shown.

    kid: the identifier of the owner, its Sender ID. server_id: that of the server. id_context:
    bytes or None. ends_at, created_at, used_at: seconds since 1970, or None; `used_at` is known
    to the day. spelling: the owner as it was given; owner: in the form that is compared. holder:
    see Contexts.hold.
    """

    number: int
    kind: str
    owner: str
    spelling: str
    kid: bytes
    id_context: bytes | None
    server_id: bytes
    state: str
    ends_at: int | None
    created_at: int
    used_at: int | None
    holder: str | None = field(default=None, repr=False)
    secret: bytes = field(default=b"", repr=False)
    salt: bytes = field(default=b"", repr=False)

    def works_at(self, now):
        """Whether it may be used at this time."""
        return self.state == ACTIVE or (self.state == RETIRING and now < self.ends_at)


def owner_fault(kind, name):
    """Why this cannot be the owner of such a context, or None."""
    if kind not in _KINDS:
        return f"is not for a {kind}"
    if kind == UE or (kind == GATEWAY and identity.host_fault(name)):
        return identity.uri_fault(name)
    if not 0 < len(name.encode(errors="replace")) <= _MAX_NAME_SIZE:
        return f"is not a name of 1 to {_MAX_NAME_SIZE} bytes"
    return None


def normal_owner(kind, name):
    """The form in which all spellings of one owner are equal."""
    if kind == ADMINISTRATOR:
        return name
    if kind == GATEWAY and not identity.host_fault(name):
        return identity.normal_host(name)
    return identity.normal_uri(name)


def change_name(number):
    """The name of a context in the log of changes, see store.Changes."""
    return (None, f"oscore:{number}")


class Contexts:
    """`store` is an open Database. Each method is one transaction; see Database.transaction.

    ScmError, one line without a key, when something cannot be done.
    """

    def __init__(self, store, now=time.time):
        self._store = store
        self._now = now

    # by the operator

    def add(self, kind, name, kid=None, id_context=None, **more):
        """Make a context; the Context, with its secret.

        kid: chosen if None. more: server_id, secret and salt, bytes; a secret of 16 random bytes
        is made if there is none.
        """
        with self._store.transaction():
            self._require_owner(kind, name)
            if self._working(kind, name, ACTIVE):
                raise ScmError(f"{printable(name)}: has a key already: rotate or revoke it")
            return self._insert(kind, name, kid, id_context, **more)

    def rotate(
        self, kind, name, overlap_s=OVERLAP_DAYS * DAY_S, kid=None, id_context=None, **more
    ):
        """Make a second context, with its secret; the first one works for `overlap_s` more.

        One that is retiring already ends when it was to end, at the latest then.
        """
        with self._store.transaction():
            self._require_owner(kind, name)
            if not self._working(kind, name, ACTIVE):
                raise ScmError(f"{printable(name)}: has no key to rotate")
            ends_at = int(self._now() + overlap_s)
            self._store.run(
                "UPDATE contexts SET state = ?,"
                " ends_at = CASE WHEN ends_at < ? THEN ends_at ELSE ? END"
                " WHERE kind = ? AND owner = ? AND state != ?",
                RETIRING,
                ends_at,
                ends_at,
                kind,
                normal_owner(kind, name),
                REVOKED,
            )
            return self._insert(kind, name, kid, id_context, **more)

    def revoke(self, kind, name):
        """End all contexts of an owner at once; how many there were."""
        return self._revoke("kind = ? AND owner = ?", kind, normal_owner(kind, name))

    def revoke_number(self, number):
        """End one context at once; whether it was not ended before."""
        return self._revoke("number = ?", number) > 0

    def discard(self, number):
        """Remove a context that nobody has used, such as one that never reached its board.

        False, and nothing else, if it was used.
        """
        with self._store.transaction():
            sql = "DELETE FROM contexts WHERE number = ? AND used_at IS NULL"
            return self._store.run(sql, number) > 0

    def list(self, kind=None, name=None):
        """Every Context, of this kind and owner if they are given; without secrets."""
        condition, values = "1 = 1", []
        if kind is not None:
            condition, values = "kind = ?", [kind]
            if name is not None:
                condition += " AND owner = ?"
                values.append(normal_owner(kind, name))
        rows = self._store.rows(
            f"SELECT {_SHOWN} FROM contexts WHERE {condition} ORDER BY kind, owner, number",
            *values,
        )
        return [Context(*row) for row in rows]

    # the UEs of a gateway

    def add_ue(self, gateway, uri):
        """Let a gateway ask for this UE; true when it could not before."""
        for kind, name in ((GATEWAY, gateway), (UE, uri)):
            self._require_owner(kind, name)
        with self._store.transaction():
            n = self._store.run(
                "INSERT INTO gateway_ues VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                normal_owner(GATEWAY, gateway),
                identity.normal_uri(uri),
                uri,
            )
        return n > 0

    def remove_ue(self, gateway, uri):
        """True when the gateway could ask for this UE before."""
        with self._store.transaction():
            n = self._store.run(
                "DELETE FROM gateway_ues WHERE gateway = ? AND uri = ?",
                normal_owner(GATEWAY, gateway),
                identity.normal_uri(uri),
            )
        return n > 0

    def gateway_ues(self):
        """[(gateway, URI of a UE that it may ask for)], in order."""
        return self._store.rows("SELECT gateway, spelling FROM gateway_ues ORDER BY gateway, uri")

    def first_foreign(self, gateway, uris):
        """The first of these UEs that a gateway may not ask for, or None; its normal form."""
        for uri in uris:
            found = self._store.value(
                "SELECT 1 FROM gateway_ues WHERE gateway = ? AND uri = ?",
                gateway,
                identity.normal_uri(uri),
            )
            if not found:
                return uri
        return None

    # by the server

    def counts(self):
        """(kind, state, how many contexts) of each kind and state that there are."""
        return self._store.rows("SELECT kind, state, COUNT(*) FROM contexts GROUP BY kind, state")

    def is_empty(self):
        """Whether there has never been a context."""
        return self._store.value("SELECT 1 FROM contexts LIMIT 1") is None

    def find(self, kid, id_context=None):
        """The Context with its secret that works now, or None."""
        # The expression of the index, so that it is used.
        return self._find(
            "kid = ? AND ifnull(id_context, x'') = ? AND (id_context IS NULL) = ?",
            kid,
            b"" if id_context is None else id_context,
            id_context is None,
        )

    def find_number(self, number):
        """The same by the number of the row."""
        return self._find("number = ?", number)

    def reserve(self, number, count, skipped=0):
        """The first of `count` sequence numbers that nobody has used, or will.

        `skipped` numbers before them are not used either. None when the context works no more, or
        has no more numbers. It notes that the context is in use.
        """
        n = skipped + count
        bound = self._store.value(
            "UPDATE contexts SET bound = bound + ?, used_at = ?"
            " WHERE number = ? AND state != ? AND bound + ? <= ? RETURNING bound",
            n,
            int(self._now()),
            number,
            REVOKED,
            n,
            MAX_NUMBER + 1,
        )
        return None if bound is None else bound - count

    def reserve_near(self, number, count, skipped):
        """The same for the contexts that were made next to this one, in one write.

        {number of a context: the first of its sequence numbers}. It notes no use.
        """
        n = skipped + count
        first = number - number % RESERVED_TOGETHER
        rows = self._store.rows(
            "UPDATE contexts SET bound = bound + ? WHERE number BETWEEN ? AND ?"
            " AND state != ? AND bound + ? <= ? RETURNING number, bound",
            n,
            first,
            first + RESERVED_TOGETHER - 1,
            REVOKED,
            n,
            MAX_NUMBER + 1,
        )
        return {near: bound - count for near, bound in rows}

    def hold(self, number, holder):
        """Let one process be the one that takes requests under this context: `holder`, any name.

        It has seen a fresh request. All others take nothing more before they have seen one, too.
        It notes that the context is in use. A loss of power may take this: then no process has the
        name of a holder any more, see Security.
        """
        with self._store.quick_transaction(waits=True):
            self._store.run(
                "UPDATE contexts SET holder = ?, used_at = ? WHERE number = ?",
                holder,
                int(self._now()),
                number,
            )

    def note_use(self, row):
        """Note that a Context is in use, at most once a day."""
        now = int(self._now())
        if row.used_at is None or now - row.used_at >= DAY_S:
            self._store.run("UPDATE contexts SET used_at = ? WHERE number = ?", now, row.number)

    def came(self, number, sequence_number):
        """Note in the window of the database that a sequence number of the owner has come.

        False when it has come before, or is too old to know: then it must not be accepted.
        """
        with self._store.transaction():
            row = self._store.row(
                "SELECT window_highest, window_seen FROM contexts WHERE number = ?", number
            )
            moved = row and advance(*row, sequence_number)
            if not moved:
                return False
            self._store.run(
                "UPDATE contexts SET window_highest = ?, window_seen = ?, used_at = ?"
                " WHERE number = ?",
                *moved,
                int(self._now()),
                number,
            )
        return True

    def note_service_ids(self, entries):
        """Note that UEs were given UE Service IDs: (URI, UE Service ID, number of the context).

        A loss of power may take the last ones: then they are noted when they are given again.
        """
        now = int(self._now())
        rows = sorted({(identity.normal_uri(uri), *entry) for uri, *entry in entries})
        with self._store.quick_transaction(waits=True):
            self._store.run_many(
                "INSERT INTO service_ids VALUES (?, ?, ?, ?) ON CONFLICT (uri, service_id)"
                " DO UPDATE SET context = excluded.context, given_at = excluded.given_at",
                [(*row, now) for row in rows],
            )

    def service_ids(self):
        """[(URI, UE Service ID, number of the context, seconds since 1970)], in order."""
        return self._store.rows(
            "SELECT uri, service_id, context, given_at FROM service_ids"
            " ORDER BY uri, given_at, service_id"
        )

    # private

    def _find(self, condition, *values):
        row = self._store.row(
            f"SELECT {_SHOWN}, secret, salt FROM contexts WHERE {condition}", *values
        )
        found = row and Context(*row)
        return found if found and found.works_at(self._now()) else None

    def _working(self, kind, name, state):
        return self._store.value(
            "SELECT 1 FROM contexts WHERE kind = ? AND owner = ? AND state = ?",
            kind,
            normal_owner(kind, name),
            state,
        )

    @staticmethod
    def _require_owner(kind, name):
        fault = owner_fault(kind, name)
        if fault:
            raise ScmError(f"{kind}: '{printable(name)}' {fault}")

    def _insert(
        self, kind, name, kid, id_context, server_id=SERVER_ID, secret=None, salt=b""
    ):  # fmt: skip
        if secret is None:
            secret = secrets.token_bytes(SECRET_SIZE)
        if kid is None:
            kid = self._unused_kid(server_id)
        text = printable(name)
        _require_sizes(text, kid, id_context, server_id, secret, salt)
        if kid == server_id:
            raise ScmError(f"{text}: identifier '{kid.hex()}' is that of the server")
        if self._store.value(
            "SELECT 1 FROM contexts WHERE kid = ? AND ifnull(id_context, x'') = ?",
            kid,
            id_context or b"",
        ):
            raise ScmError(f"{text}: identifier '{kid.hex()}' is taken, perhaps by a revoked key")
        self._store.keep_private()
        number = self._store.value(
            "INSERT INTO contexts (kind, owner, spelling, kid, id_context, server_id, secret,"
            " salt, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            *(kind, normal_owner(kind, name), name, kid, id_context, server_id, secret, salt),
            ACTIVE,
            int(self._now()),
        )
        return self.find_number(number)

    def _unused_kid(self, server_id):
        """The shortest number that is no kid yet, beginning after that of the last row."""
        number = (self._store.value("SELECT max(number) FROM contexts") or 0) + 1
        while True:
            kid = number.to_bytes((number.bit_length() + 7) // 8, "big")
            sql = "SELECT 1 FROM contexts WHERE kid = ? LIMIT 1"
            if kid != server_id and not self._store.value(sql, kid):
                return kid
            number += 1

    def _revoke(self, condition, *values):
        with self._store.transaction():
            # The secret goes too: who reads a copy of the file must not find it.
            self._store.erase_for_good()
            return self._store.run(
                "UPDATE contexts SET state = ?, secret = x'', salt = x''"
                f" WHERE {condition} AND state != ?",
                REVOKED,
                *values,
                REVOKED,
            )


def _require_sizes(text, kid, id_context, server_id, secret, salt):
    """ScmError, which begins with a text, for a value that is too long or too short."""
    for what, value, sizes in (
        ("identifier", kid, range(MAX_ID_SIZE + 1)),
        ("identifier of the server", server_id, range(MAX_ID_SIZE + 1)),
        ("ID context", id_context or b"", range(_MAX_ID_CONTEXT_SIZE + 1)),
        ("master secret", secret, (SECRET_SIZE,)),
        ("master salt", salt, range(_MAX_SALT_SIZE + 1)),
    ):
        if len(value) not in sizes:
            wanted = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else sizes[0]
            raise ScmError(f"{text}: {what} has {len(value)} bytes, not {wanted}")


def advance(highest, seen, number):
    """(highest, seen) of a window after this number, or None when it has come or is too old.

    RFC 8613 section 7.4, with a window of 32: bit i of `seen` says that `highest` - i has come.
    """
    ahead = number - highest
    if ahead > 0:
        return number, (seen << min(ahead, WINDOW_SIZE) | 1) & _WINDOW_MASK
    if -ahead >= WINDOW_SIZE or seen >> -ahead & 1:
        return None
    return highest, seen | 1 << -ahead
