"""Lists of the database in pages, for people: documents and denied UEs that contain a text.

The first page and any later one cost the same, however many entries there are: each begins after
the last entry of the one before, and a search looks through a limited number of them.
"""

from collections import namedtuple

from msgin5g_tools.scm_server import identity
from msgin5g_tools.scm_server.store import etag

Entry = namedtuple("Entry", "service doc_id size etag body")
# after: where the next page begins, None after the last one. A page of a search may have few
# entries, or none, and be not the last one.
Page = namedtuple("Page", "entries after")
MAX_BODY = 4096  # of a longer document a list has no body
MAX_READ = 20_000  # entries that one page of a search looks through
MAX_COUNT = 100_000


def documents(store, text, service, limit, after=None, max_read=MAX_READ):
    """A Page of Entries in order of service and ID.

    text: what the ID, or a URI of the UEs, contains. service: only of this one, if it is not None.
    after: (service, ID) of the last one before.
    """
    conditions, values = ["1 = 1"], []
    if service is not None:
        conditions.append("service = ?")
        values.append(service)
    if after is not None:
        conditions.append("(service, doc_id) > (?, ?)")
        values += after
    read = f"FROM documents WHERE {' AND '.join(conditions)} ORDER BY service, doc_id LIMIT ?"
    if text:
        found = (
            f"FROM documents WHERE id IN (SELECT id FROM (SELECT id, doc_id {read}) AS part"
            " WHERE lower(doc_id) LIKE ? ESCAPE '!' OR EXISTS (SELECT 1 FROM uris"
            # With an OFFSET PostgreSQL looks up each of these; else it reads all of the table.
            " WHERE document = part.id AND lower(uri) LIKE ? ESCAPE '!' LIMIT 1 OFFSET 0))"
            " ORDER BY service, doc_id LIMIT ?"
        )
        wanted = [*values, max_read, _pattern(text), _pattern(text)]
    else:
        found, wanted = read, values
    rows = store.rows(f"SELECT service, doc_id, body {found}", *wanted, limit + 1)
    entries = [
        Entry(each, doc_id, len(body), etag(body), body if len(body) <= MAX_BODY else None)
        for each, doc_id, body in rows[:limit]
    ]
    if len(rows) > limit:
        return Page(entries, entries[-1][:2])
    end = f"SELECT service, doc_id {read} OFFSET ?"
    return Page(entries, store.row(end, *values, 1, max_read - 1) if text else None)


def denied(store, text, limit, after=None, max_read=MAX_READ):
    """A Page of URIs of denied UEs, in order, as they were spelled; `after` is one of them."""
    condition, values = "1 = 1", []
    if after is not None:
        condition, values = "uri > ?", [identity.normal_uri(after)]
    read = f"FROM denied WHERE {condition} ORDER BY uri LIMIT ?"
    if text:
        found = (
            f"FROM (SELECT uri, spelling {read}) AS part"
            " WHERE lower(uri) LIKE ? ESCAPE '!' ORDER BY uri LIMIT ?"
        )
        wanted = [*values, max_read, _pattern(text)]
    else:
        found, wanted = read, values
    uris = [uri for (uri,) in store.rows(f"SELECT spelling {found}", *wanted, limit + 1)]
    if len(uris) > limit:
        return Page(uris[:limit], uris[limit - 1])
    end = f"SELECT spelling {read} OFFSET ?"
    return Page(uris, store.value(end, *values, 1, max_read - 1) if text else None)


def counts(store):
    """(documents, denied UEs); of each at most MAX_COUNT + 1."""
    return tuple(
        store.value(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?) AS part", MAX_COUNT + 1)
        for table in ("documents", "denied")
    )


def _pattern(text):
    """For LIKE: whatever contains this text, in either case."""
    for mark in "!%_":
        text = text.replace(mark, "!" + mark)
    return f"%{text.lower()}%"
