"""The table of UEs: when each last asked, what it was given, denied, notified of and has refused.

Its size is limited. When it is full, UEs are forgotten in this order, among equals the one that
was not seen for longest:

    0  no document and no key names it, and it was never given anything
    1  no document and no key names it, and it was first seen less than a minute before it was
       last seen
    2  no document and no key names it
    3  a document, a key, the list of a gateway's UEs or the deny list names it

So a flood of invented URIs takes the place of other invented ones.
"""

from functools import lru_cache

LISTED = 3
_BACK_S = 60
_FORGOTTEN_AT_ONCE = 500  # more than are written at once

# A time, and what has the value of that time. The newest wins, also among several servers.
_GROUPS = {
    "asked_at": ("how", "peer"),
    "given_at": ("service", "doc_id", "vendor", "type", "snr", "etag"),
    "denied_at": ("denied_code", "denied_reason"),
    "reported_at": ("refused_etag", "refused_reason", "refused_of"),
    "notified_at": ("notified_etag", "acknowledged_at"),
}
_BASE = ("uri", "spelling", "rank", "first_at", "seen_at", "key_of")
_NEWER = "CASE WHEN excluded.{0} >= ifnull(ues.{0}, 0) THEN excluded.{1} ELSE ues.{1} END"


def _columns(times):
    """The columns of these groups, in their order."""
    return _BASE + tuple(each for time in times for each in (time, *_GROUPS[time]))


COLUMNS = _columns(_GROUPS)


def _updates(times):
    """SQL: what is set where there is a row already."""
    updates = {
        column: _NEWER.format(time, column) for time in times for column in (time, *_GROUPS[time])
    }
    if "given_at" in times:  # what was given since ends a denial
        since = "WHEN excluded.given_at >= ues.denied_at THEN NULL ELSE ues.denied_at END"
        denied = "WHEN excluded.denied_at >= ifnull(ues.denied_at, 0) THEN excluded.denied_at "
        updates["denied_at"] = f"CASE {denied if 'denied_at' in times else ''}{since}"
    is_given = "excluded.given_at IS NOT NULL" if "given_at" in times else "FALSE"
    updates["rank"] = (
        f"CASE WHEN excluded.rank = {LISTED} THEN {LISTED}"
        f" WHEN NOT {is_given} AND ues.given_at IS NULL THEN 0"
        f" WHEN excluded.seen_at >= ues.first_at + {_BACK_S} THEN 2 ELSE 1 END"
    )
    updates["seen_at"] = _NEWER.format("seen_at", "seen_at")
    updates["spelling"] = "excluded.spelling"
    updates["key_of"] = "excluded.key_of"
    return ", ".join(f"{column} = {value}" for column, value in updates.items())


@lru_cache(2 ** len(_GROUPS))
def _write(times):
    """SQL that writes a row which has these groups: the fewer values, the faster.

    What was seen under a key is not changed by what comes without one, which anybody can send,
    before a day has passed.
    """
    columns = _columns(times)
    return (
        f"INSERT INTO ues ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        f" ON CONFLICT (uri) DO UPDATE SET {_updates(times)}"
        " WHERE ues.key_of IS NULL OR excluded.key_of IS NOT NULL"
        " OR excluded.seen_at > ues.seen_at + 86400"
    )


_LISTED = (
    "SELECT uri FROM uris WHERE uri IN ({0})"
    " UNION SELECT owner FROM contexts WHERE kind = 'ue' AND owner IN ({0})"
    " UNION SELECT uri FROM gateway_ues WHERE uri IN ({0})"
    " UNION SELECT uri FROM denied WHERE uri IN ({0})"
)


def _padded(uris):
    """The same URIs, and the last one again, up to a power of two.

    So there are few different statements, which the engine keeps prepared.
    """
    n = 1 << (len(uris) - 1).bit_length()
    return uris + uris[-1:] * (n - len(uris))


class FleetTable:
    """Writes to the table in an open Database, at most `max_ues` rows."""

    def __init__(self, store, max_ues):
        self._store = store
        self._max_ues = max_ues
        self._n_ues = None

    def write(self, rows):
        """Write dicts {column: value}, in one quick transaction: some hundred at once.

        Each has uri, spelling and seen_at. DatabaseError, and then nothing is written.
        """
        # In one order, so that several servers do not wait for each other in a circle.
        rows = sorted(rows, key=lambda row: row["uri"])
        uris = _padded([row["uri"] for row in rows])
        listed = self._listed(uris)
        times = tuple(time for time in _GROUPS if any(time in row for row in rows))
        columns, values = _columns(times), []
        for row in rows:
            given_at = row.get("given_at")
            rank = LISTED if row["uri"] in listed else 0 if given_at is None else 1
            row = {**row, "rank": rank, "first_at": row["seen_at"]}
            values.append(tuple(map(row.get, columns)))
        with self._store.quick_transaction():
            if self._n_ues is None:
                self.count()
            marks = ", ".join("?" * len(uris))
            n_known = self._store.value(f"SELECT count(*) FROM ues WHERE uri IN ({marks})", *uris)
            self._store.run_many(_write(times), values)
            n_ues = self._n_ues + len(rows) - n_known
            if n_ues > self._max_ues:
                n_ues -= self._forget(min(n_ues - self._max_ues, _FORGOTTEN_AT_ONCE))
        self._n_ues = n_ues

    def count(self):
        """Count the rows: other servers write some, too."""
        self._n_ues = self._store.value("SELECT count(*) FROM ues")

    def _forget(self, n):
        return self._store.run(
            "DELETE FROM ues WHERE uri IN"
            " (SELECT uri FROM ues ORDER BY rank, seen_at, uri LIMIT ?)",
            n,
        )

    def _listed(self, uris):
        marks = ", ".join("?" * len(uris))
        return {uri for (uri,) in self._store.rows(_LISTED.format(marks), *uris * 4)}
