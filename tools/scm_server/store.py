"""The documents, the deny list and the entitled gateways.

A document is stored as the CBOR that the server sends, so that its ETag is the same after a
restart. Its identities are in tables of their own, with indexes.
"""

import hashlib
from collections import namedtuple

import cbor2

from msgin5g_tools.scm_server import history, identity, ue_config
from msgin5g_tools.scm_server.database import Database

Document = namedtuple("Document", "service doc_id body")

# Changes after a number. `names`: (service, doc_id) of documents and (None, URI) of UEs that were
# denied or are allowed again; None when it is not known which. `more`: there are further ones.
Changes = namedtuple("Changes", "number names more")

# Of one selection: how many documents, and how many bytes if there are several.
Limits = namedtuple("Limits", "n_documents size")
NO_LIMITS = Limits(2**31, 2**62)
_NAMES_DENIED = (
    "EXISTS (SELECT 1 FROM uris JOIN denied USING (uri) WHERE uris.document = documents.id)"
)


def etag(payload):
    """8 bytes that depend on the payload alone."""
    return hashlib.sha256(payload).digest()[:8]


class Store(Database):
    """Every method is one transaction; `transaction()` joins several.

    by: who makes a change, in a few words, for `history`.
    """

    def __init__(self, db, create=True, timeout_s=5.0, **limits):
        super().__init__(db, create, timeout_s, **limits)
        self.history = history.History(self)

    # documents

    def body(self, service, doc_id):
        """The document as CBOR, or None."""
        return self.value(
            "SELECT body FROM documents WHERE service = ? AND doc_id = ?", service, doc_id
        )

    def put(self, service, doc_id, document, by=""):
        """Create or replace; "created", "changed" or "unchanged"."""
        body = ue_config.encode(document, doc_id)
        with self.transaction():
            old = self.body(service, doc_id)
            if old == body:
                return "unchanged"
            self._remove(service, doc_id)
            ids = document.get("valUeIds")
            vendors = document.get("ueVendors", ())
            ranges = (ids or {}).get("imeiRanges", ())
            row = self.value(
                "INSERT INTO documents (service, doc_id, for_all, uris_only, body)"
                " VALUES (?, ?, ?, ?, ?) RETURNING id",
                service,
                doc_id,
                ids is None and not vendors,
                not ranges and not vendors,
                body,
            )
            uris = {identity.normal_uri(uri) for uri in (ids or {}).get("uris", ())}
            self.run_many("INSERT INTO uris VALUES (?, ?)", [(uri, row) for uri in uris])
            self.run_many(
                "INSERT INTO imeis VALUES (?, ?, ?, ?)",
                [(*span, row) for imei in ranges for span in _spans(imei)],
            )
            self.run_many(
                "INSERT INTO vendors VALUES (?, ?)", [(vendor, row) for vendor in set(vendors)]
            )
            what = history.CREATED if old is None else history.CHANGED
            etags = None if old is None else etag(old), etag(body)
            self.history.record(by, what, service, doc_id, etags, old)
        return what

    def delete(self, service, doc_id, by=""):
        """True when there was such a document."""
        with self.transaction():
            old = self.body(service, doc_id)
            if old is None:
                return False
            self._remove(service, doc_id)
            self.history.record(by, history.DELETED, service, doc_id, (etag(old), None), old)
        return True

    def _remove(self, service, doc_id):
        row = self.value(
            "SELECT id FROM documents WHERE service = ? AND doc_id = ?", service, doc_id
        )
        if row is not None:
            for table in ("uris", "imeis", "vendors"):
                self.run(f"DELETE FROM {table} WHERE document = ?", row)
            self.run("DELETE FROM documents WHERE id = ?", row)

    def clear(self):
        """Delete everything but the history: documents, deny list and gateways."""
        with self.transaction():
            tables = ("uris", "imeis", "vendors", "documents", "denied", "gateways", "gateway_ues")
            for table in tables:
                self.run(f"DELETE FROM {table}")

    def select(self, service, selector=None, limits=NO_LIMITS):
        """The documents (CBOR each) that match any parameter of the query.Selector, by id.

        Without ue-uri, those that name a denied UE are left out: it may be the one that asks.
        None when there are more than the Limits; then not all of them have been read.
        """
        parts = _matches(selector) if selector else []
        condition, values = "service = ?", [service]
        if parts:
            parts.insert(0, ("documents", "for_all", ()))
            condition = "id IN (" + " UNION ".join(map(_part, parts)) + ")"
            values = []
            for _, _, wanted in parts:
                values += [service, *wanted, limits.n_documents + 1]
        if selector is None or not selector.uris:
            condition += f" AND NOT {_NAMES_DENIED}"
        rows = self.each(
            f"SELECT body FROM documents WHERE {condition} ORDER BY doc_id LIMIT ?",
            *values,
            limits.n_documents + 1,
        )
        bodies, size = [], 0
        for (body,) in rows:
            size += len(body)
            if len(bodies) == limits.n_documents or (bodies and size > limits.size):
                return None
            bodies.append(body)
        return bodies

    def body_for(self, service, doc_id, uris, by_uri=False):
        """(the document as CBOR, whether it is for one of these UEs), or None.

        It is not when it names its UEs by URI only, and names none of these. by_uri: also when it
        names its UEs by IMEI or vendor.
        """
        marks = ", ".join("?" * len(uris))
        return self.row(
            "SELECT body, CASE WHEN for_all OR NOT (uris_only OR ?) OR id IN"
            f" (SELECT document FROM uris WHERE uri IN ({marks})) THEN 1 ELSE 0 END"
            " FROM documents WHERE service = ? AND doc_id = ?",
            by_uri,
            *map(identity.normal_uri, uris),
            service,
            doc_id,
        )

    def names_denied(self, service, doc_id):
        """Whether the document names a UE on the deny list."""
        return bool(
            self.value(
                "SELECT count(*) FROM documents WHERE service = ? AND doc_id = ?"
                f" AND {_NAMES_DENIED}",
                service,
                doc_id,
            )
        )

    def documents(self):
        """Every Document, by service and id."""
        return [
            Document(*row)
            for row in self.each(
                "SELECT service, doc_id, body FROM documents ORDER BY service, doc_id"
            )
        ]

    def names(self):
        """(service, id) of every document."""
        return self.rows("SELECT service, doc_id FROM documents")

    def count(self):
        """How many documents there are; with 100,000 of them it takes some milliseconds."""
        return self.value("SELECT COUNT(*) FROM documents")

    def services(self, limit=1000):
        """The services that have documents, in order; the work does not grow with the latter."""
        return [
            row[0]
            for row in self.each(
                "WITH RECURSIVE found (service) AS (SELECT min(service) FROM documents"
                " UNION ALL SELECT (SELECT min(service) FROM documents WHERE service >"
                " found.service) FROM found WHERE found.service IS NOT NULL)"
                " SELECT service FROM found WHERE service IS NOT NULL LIMIT ?",
                limit,
            )
        ]

    # changes

    def last_change(self):
        """The number of the last change."""
        return self.value("SELECT max(number) FROM changes") or 0

    def changes_since(self, number, limit=1000):
        """What has changed after the change of this number: Changes."""
        last = self.last_change()  # first: another process may be adding some
        if last == number:
            return Changes(number, (), False)
        rows = self.rows(
            "SELECT number, service, name FROM changes WHERE number > ? ORDER BY number LIMIT ?",
            number,
            limit,
        )
        # The log does not reach back to `number`, or an older copy of the database was restored.
        if not rows or rows[0][0] != number + 1:
            return Changes(last, None, False)
        names = {(service, name) for _, service, name in rows}
        return Changes(rows[-1][0], names, len(rows) == limit)

    # deny list and entitled gateways

    def deny(self, uri, by=""):
        """True when the UE was allowed before."""
        with self.transaction():
            is_new = self._change(
                "INSERT INTO denied VALUES (?, ?) ON CONFLICT DO NOTHING",
                identity.normal_uri(uri),
                uri,
            )
            if is_new:
                self.history.record(by, history.DENIED, None, uri)
        return is_new

    def allow(self, uri, by=""):
        """True when the UE was denied before."""
        with self.transaction():
            was_denied = self._change("DELETE FROM denied WHERE uri = ?", identity.normal_uri(uri))
            if was_denied:
                self.history.record(by, history.ALLOWED, None, uri)
        return was_denied

    def denied(self):
        return [row[0] for row in self.rows("SELECT spelling FROM denied ORDER BY uri")]

    def first_denied(self, uris):
        """The first of these UEs that is on the deny list, or None."""
        for uri in uris:
            if self.value("SELECT 1 FROM denied WHERE uri = ?", identity.normal_uri(uri)):
                return uri
        return None

    def entitle(self, host):
        """True when the gateway was not on the list before."""
        host = identity.normal_host(host)
        return self._change("INSERT INTO gateways VALUES (?) ON CONFLICT DO NOTHING", host)

    def withdraw(self, host):
        """True when the gateway was on the list before."""
        return self._change("DELETE FROM gateways WHERE host = ?", identity.normal_host(host))

    def gateways(self):
        return [row[0] for row in self.rows("SELECT host FROM gateways ORDER BY host")]

    def _change(self, sql, *values):
        """Whether the statement has changed something."""
        with self.transaction():
            return self.run(sql, *values) > 0


def array(bodies):
    """CBOR of an array whose items are CBOR already."""
    return _array_head(len(bodies)) + b"".join(bodies)


def _array_head(n):
    # The head of an array is the head of an integer with another major type.
    head = bytearray(cbor2.dumps(n))
    head[0] |= 0x80
    return bytes(head)


def _spans(imei):
    """(tac, low, high) rows of one ImeiRange; neither snrs nor snrRange means every UE."""
    if "snrs" not in imei and "snrRange" not in imei:
        yield imei["tac"], 0, identity.MAX_SNR
    for snr in imei.get("snrs", ()):
        yield imei["tac"], int(snr), int(snr)
    if "snrRange" in imei:
        yield imei["tac"], int(imei["snrRange"]["low"]), int(imei["snrRange"]["high"])


def _matches(selector):
    """(table, condition, values) that selects documents, for each parameter of the query."""
    parts = []
    if selector.uris:
        marks = ", ".join("?" * len(selector.uris))
        parts.append(("uris", f"uri IN ({marks})", tuple(map(identity.normal_uri, selector.uris))))
    if selector.vendor is not None:
        parts.append(("vendors", "vendor = ?", (selector.vendor,)))
    if selector.type is not None and selector.snr is not None:
        # TAC and serial number are the two parts of one IMEI: together they name one UE.
        snr = int(selector.snr)
        parts.append(("imeis", "tac = ? AND low <= ? AND high >= ?", (selector.type, snr, snr)))
    elif selector.type is not None:
        parts.append(("imeis", "tac = ?", (selector.type,)))
    elif selector.snr is not None:
        snr = int(selector.snr)
        parts.append(("imeis", "low <= ? AND high >= ?", (snr, snr)))
    return parts


def _part(part):
    """SQL: the ids of the documents of one service that a part of a query selects."""
    table, condition, _ = part
    # CROSS JOIN: SQLite begins with the identities, never with all documents of the service.
    joined = "" if table == "documents" else f"{table} CROSS JOIN documents ON id = document"
    return (
        f"SELECT * FROM (SELECT DISTINCT id FROM {joined or table}"
        f" WHERE service = ? AND {condition} LIMIT ?) AS part"
    )
