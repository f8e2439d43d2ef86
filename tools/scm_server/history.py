"""Who changed which document, or the deny list, and when; with the documents that were replaced.

A row is written in the transaction of the change. It has the ETags before and after, and the old
document: so the documents of a name can be shown, compared and restored. What is kept is limited:
the last rows of all, the last old documents of one name, and their size in all.
"""

import time
from collections import namedtuple

MAX_ROWS = 500_000
MAX_BODIES = 20  # old documents of one name
MAX_SIZE = 256 * 1024 * 1024  # bytes of all old documents
MAX_BY_SIZE = 200  # characters
_PRUNE_EVERY = 1000  # rows; so the limits of all rows are exceeded by that

CREATED, CHANGED, DELETED = "created", "changed", "deleted"
DENIED, ALLOWED = "denied", "allowed"

# changed_at: seconds since 1970. changed_by: as the one who changed it is known. service: None of
# a UE that is denied or allowed; then `name` is its URI, else the ID of the document. The ETags
# are None where there was, or is, no document. body: the old document, if it is kept.
Change = namedtuple(
    "Change", "number changed_at changed_by what service name old_etag new_etag body"
)
_COLUMNS = "number, changed_at, changed_by, what, service, name, old_etag, new_etag"


class History:
    """`store` is an open Database; each change is part of the transaction of its caller."""

    def __init__(self, store, now=time.time):
        self._store = store
        self._now = now

    def record(self, changed_by, what, service, name, etags=(None, None), body=None):
        """Write a row, and forget what is beyond the limits. etags: old and new."""
        last = self._store.value("SELECT kept_size FROM history ORDER BY number DESC LIMIT 1") or 0
        kept_size = last + len(body or b"")
        number = self._store.value(
            "INSERT INTO history (changed_at, changed_by, what, service, name, old_etag, new_etag,"
            " body, kept_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            int(self._now()),
            changed_by[:MAX_BY_SIZE],
            what,
            service,
            name,
            *etags,
            body,
            kept_size,
        )
        if body is not None:
            self._forget_body(service, name)
        if number % _PRUNE_EVERY == 0:
            self._prune(number, kept_size)

    def of_document(self, service, name, limit=100, before=None):
        """Its Changes, the newest first; `before` is the number of a Change."""
        return self._changes("service = ? AND name = ?", (service, name), limit, before)

    def of_ue(self, uri, limit=100):
        """Its Changes of the deny list, the newest first."""
        return self._changes("service IS NULL AND name = ?", (uri,), limit, None)

    def all(self, limit=100, before=None):
        """Every Change, the newest first; without the old documents."""
        return self._changes("1 = 1", (), limit, before)

    def version(self, number):
        """The Change of this number with its old document, or None."""
        row = self._store.row(f"SELECT {_COLUMNS}, body FROM history WHERE number = ?", number)
        return Change(*row) if row else None

    def _changes(self, condition, values, limit, before):
        if before is not None:
            condition += " AND number < ?"
            values = (*values, before)
        # Not the body itself: there can be 20 of 64 KiB and more.
        rows = self._store.rows(
            f"SELECT {_COLUMNS}, body IS NOT NULL FROM history WHERE {condition}"
            " ORDER BY number DESC LIMIT ?",
            *values,
            limit,
        )
        return [Change(*row) for row in rows]

    def _forget_body(self, service, name):
        """Forget the oldest old document of this name when there is one too many."""
        number = self._store.value(
            "SELECT number FROM history WHERE service = ? AND name = ? AND body IS NOT NULL"
            " ORDER BY number DESC LIMIT 1 OFFSET ?",
            service,
            name,
            MAX_BODIES,
        )
        if number is not None:
            self._store.run("UPDATE history SET body = NULL WHERE number = ?", number)

    def _prune(self, number, kept_size):
        self._store.run("DELETE FROM history WHERE number <= ?", number - MAX_ROWS)
        self._store.run(
            "UPDATE history SET body = NULL WHERE body IS NOT NULL AND kept_size <= ?",
            kept_size - MAX_SIZE,
        )
