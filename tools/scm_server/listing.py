"""Lists of the database in pages, for people: documents and denied UEs that contain a text.

The first page and any later one cost the same: each begins after the last entry of the one before.
"""

from collections import namedtuple

from msgin5g_tools.scm_server import identity
from msgin5g_tools.scm_server.store import etag

Entry = namedtuple("Entry", "service doc_id size etag body")
MAX_BODY = 4096  # of a longer document a list has no body


def documents(store, text, service, limit, after=None):
    """Entries in order of service and ID whose ID, or a URI of whose UEs, contains a text.

    after: (service, ID) of the last one before. service: only of this one, if it is not None.
    """
    conditions, values = ["1 = 1"], []
    if service is not None:
        conditions.append("service = ?")
        values.append(service)
    if text:
        pattern = _pattern(text)
        conditions.append(
            "(lower(doc_id) LIKE ? ESCAPE '!' OR id IN"
            " (SELECT document FROM uris WHERE lower(uri) LIKE ? ESCAPE '!'))"
        )
        values += [pattern, pattern]
    if after is not None:
        conditions.append("(service, doc_id) > (?, ?)")
        values += after
    rows = store.rows(
        "SELECT service, doc_id, body FROM documents"
        f" WHERE {' AND '.join(conditions)} ORDER BY service, doc_id LIMIT ?",
        *values,
        limit,
    )
    return [
        Entry(each, doc_id, len(body), etag(body), body if len(body) <= MAX_BODY else None)
        for each, doc_id, body in rows
    ]


def denied(store, text, limit, after=None):
    """URIs of denied UEs, in order, as they were spelled. after: the last one before."""
    conditions, values = ["1 = 1"], []
    if text:
        conditions.append("lower(uri) LIKE ? ESCAPE '!'")
        values.append(_pattern(text))
    if after is not None:
        conditions.append("uri > ?")
        values.append(identity.normal_uri(after))
    rows = store.rows(
        f"SELECT spelling FROM denied WHERE {' AND '.join(conditions)} ORDER BY uri LIMIT ?",
        *values,
        limit,
    )
    return [row[0] for row in rows]


def counts(store):
    """(documents, denied UEs)."""
    return store.count(), store.value("SELECT count(*) FROM denied")


def _pattern(text):
    """For LIKE: whatever contains this text, in either case."""
    for mark in "!%_":
        text = text.replace(mark, "!" + mark)
    return f"%{text.lower()}%"
