"""What became of the UEs, as it is now: each UE with its state, by page, and how many there are.

    never    a document, a key or the list of a gateway's UEs names it, and it never asked
    denied   its last request got an error
    refused  it has reported that it refuses what the server has for it
    older    it was given something else than the server would give it now
    newest   it was given what the server would give it now

`Fleet(store)` reads only. It works in any process, beside servers that write.
"""

from collections import Counter, namedtuple

from msgin5g_tools.scm_server.fleet_table import COLUMNS
from msgin5g_tools.scm_server.identity import normal_uri
from msgin5g_tools.scm_server.query import Selector
from msgin5g_tools.scm_server.store import array, etag

STATES = NEWEST, OLDER, DENIED, REFUSED, NEVER = "newest", "older", "denied", "refused", "never"
_PAGE = 500  # UEs that are read at once

# A row of the table with its state; for NEVER all but uri, spelling and state is None. Times are
# seconds since 1970. wanted_etag: of what the server would give it now, None for nothing.
Ue = namedtuple("Ue", ("state", "wanted_etag", *COLUMNS))
# ues: those that match. after: where the next page begins, None after the last one.
Page = namedtuple("Page", "ues after")

_NAMES = (
    "SELECT uri FROM (SELECT uri FROM ues WHERE uri > ? ORDER BY uri LIMIT ?) AS a"
    " UNION SELECT uri FROM"
    " (SELECT DISTINCT uri FROM uris WHERE uri > ? ORDER BY uri LIMIT ?) AS b"
    " UNION SELECT uri FROM (SELECT DISTINCT owner AS uri FROM contexts"
    " WHERE kind = 'ue' AND state <> 'revoked' AND owner > ? ORDER BY owner LIMIT ?) AS c"
    " UNION SELECT uri FROM"
    " (SELECT DISTINCT uri FROM gateway_ues WHERE uri > ? ORDER BY uri LIMIT ?) AS d"
    " ORDER BY uri LIMIT ?"
)


class Fleet:
    """`store` is an open Store; DatabaseError when it does not answer."""

    def __init__(self, store):
        self._store = store

    def page(self, state=None, search="", after="", limit=50, max_read=5000):
        """A Page of UEs in the order of their URIs, of this state and with this text in the URI.

        At most max_read UEs are read: a page may have few or none, and be not the last one.
        """
        found, n_read = [], 0
        while n_read < max_read:
            names = self._names(after, min(_PAGE, max_read - n_read))
            if not names:
                return Page(found, None)
            n_read += len(names)
            wanted = [name for name in names if search.lower() in name.lower()]
            for ue in self._ues(wanted):
                if state in (None, ue.state):
                    found.append(ue)
                    if len(found) == limit:
                        return Page(found, ue.uri)
            after = names[-1]
        return Page(found, after)

    def each(self, state=None, search=""):
        """Every UE that matches, page by page."""
        after = ""
        while after is not None:
            page = self.page(state, search, after, _PAGE, _PAGE)
            yield from page.ues
            after = page.after

    def find(self, uri):
        """The Ue of this URI, None when nobody knows it."""
        uri = normal_uri(uri)
        ues = self._ues([uri])
        if not ues or (ues[0].state == NEVER and not self._is_listed(uri)):
            return None
        return ues[0]

    def counting(self):
        """Counts: yields {state: UEs so far} after every page; the last one is of all."""
        counts, after = Counter(dict.fromkeys(STATES, 0)), ""
        while True:
            names = self._names(after, _PAGE)
            counts.update(ue.state for ue in self._ues(names))
            yield dict(counts)
            if len(names) < _PAGE:
                return
            after = names[-1]

    def counts(self):
        """{state: UEs}; it reads all of them, 100,000 in some seconds."""
        for counts in self.counting():
            pass
        return counts

    def tags(self, service, uris, selector):
        """{uri: the ETag of the collection for this UE alone, None when it has no document}.

        uris: in their normal form. selector: what else the query.Selector of the request has.
        """
        if selector.vendor or selector.type or selector.snr:
            return {uri: self._tag_of(service, selector, uri) for uri in uris}
        common = self._for_all(service)
        named = self._named(service, uris)
        return {uri: _tag({**common, **named.get(uri, {})}) for uri in uris}

    def _tag_of(self, service, ue, uri):
        selector = Selector(ue.vendor, ue.type, ue.snr, (uri,), False)
        bodies = self._store.select(service, selector)
        return etag(array(bodies)) if bodies else None

    def _names(self, after, limit):
        return [uri for (uri,) in self._store.rows(_NAMES, *(after, limit) * 4, limit)]

    def _is_listed(self, uri):
        names = self._store.rows(_NAMES.replace(" > ?", " = ?"), *(uri, 1) * 4, 1)
        return bool(names)

    def _ues(self, names):
        """A Ue for each of these URIs."""
        if not names:
            return []
        marks = ", ".join("?" * len(names))
        rows = self._store.rows(
            f"SELECT {', '.join(COLUMNS)} FROM ues WHERE uri IN ({marks})", *names
        )
        found = {row[0]: Ue(None, None, *row) for row in rows}
        wanted = self._wanted([ue for ue in found.values() if ue.given_at is not None])
        refusing = [ue for ue in found.values() if ue.refused_reason is not None]
        # As if each had asked for the collection: a report is about all that there is for it.
        refused = self._wanted([ue._replace(doc_id=None) for ue in refusing if ue.service])
        nobody = (None,) * (len(COLUMNS) - 2)
        ues = []
        for name in names:
            ue = found.get(name)
            if ue is None:
                ues.append(Ue(NEVER, None, name, name, *nobody))
            else:
                tag = wanted.get(name)
                is_refused = ue.uri in refused and refused[ue.uri] == ue.refused_of
                ues.append(ue._replace(state=_state(ue, tag, is_refused), wanted_etag=tag))
        return ues

    def _wanted(self, ues):
        """{uri: the ETag of what each Ue would be given now}, None for nothing."""
        wanted, by_service = {}, {}
        for ue in ues:
            if ue.doc_id is None and (ue.vendor or ue.type or ue.snr):
                wanted[ue.uri] = self._tag_of(ue.service, ue, ue.uri)
            else:
                by_service.setdefault(ue.service, []).append(ue)
        for service, group in by_service.items():
            named = self._named(service, [ue.uri for ue in group])
            common = self._for_all(service) if any(ue.doc_id is None for ue in group) else {}
            others = self._bodies(service, {ue.doc_id for ue in group if ue.doc_id is not None})
            for ue in group:
                of_ue = named.get(ue.uri, {})
                if ue.doc_id is None:
                    tag = _tag({**common, **of_ue})
                elif of_ue and ue.doc_id not in of_ue:
                    tag = None  # what names it goes before what does not
                else:
                    body = others.get(ue.doc_id)
                    tag = etag(body) if body is not None else None
                wanted[ue.uri] = tag
        return wanted

    def _for_all(self, service):
        return dict(
            self._store.rows(
                "SELECT doc_id, body FROM documents WHERE service = ? AND for_all", service
            )
        )

    def _named(self, service, uris):
        """{uri: {doc_id: body}} of the documents that name a UE by its URI."""
        named = {}
        marks = ", ".join("?" * len(uris))
        rows = self._store.rows(
            "SELECT uri, doc_id, body FROM uris CROSS JOIN documents"
            f" ON id = document WHERE uri IN ({marks}) AND service = ?",
            *uris,
            service,
        )
        for uri, doc_id, body in rows:
            named.setdefault(uri, {})[doc_id] = body
        return named

    def _bodies(self, service, doc_ids):
        if not doc_ids:
            return {}
        marks = ", ".join("?" * len(doc_ids))
        return dict(
            self._store.rows(
                f"SELECT doc_id, body FROM documents WHERE service = ? AND doc_id IN ({marks})",
                service,
                *doc_ids,
            )
        )


def _tag(bodies):
    """The ETag of the collection of these documents."""
    if not bodies:
        return None
    return etag(array([bodies[doc_id] for doc_id in sorted(bodies)]))


def _state(ue, wanted_etag, is_refused):
    if ue.denied_at is not None and ue.denied_at >= (ue.given_at or 0):
        return DENIED
    if ue.given_at is None:
        return OLDER  # it has asked, and has not the whole of it yet
    if is_refused:
        return REFUSED
    return NEWEST if ue.etag == wanted_etag else OLDER
