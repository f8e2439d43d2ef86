"""The tables of the server's database, in SQL that every engine takes or translates.

A version is what one release added to the one before; nothing here is ever changed. A new one is
a text more in VERSIONS, and the triggers that it needs are in the files of the engines. An engine
runs, at its start, the versions that a database lacks; an empty line ends a statement.

INTEGER PRIMARY KEY is a number that the database chooses; BLOB, BOOLEAN, INTEGER and TEXT are the
types; TEXT is compared byte by byte.
"""

import re

APPLICATION_ID = 0x53434D53  # "SCMS": marks a database as ours

_VERSION_1 = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    doc_id TEXT NOT NULL,
    for_all BOOLEAN NOT NULL,  -- no valUeIds and no ueVendors, so it is for every UE
    uris_only BOOLEAN NOT NULL,  -- nothing but URIs says whom it is for
    body BLOB NOT NULL,
    UNIQUE (service, doc_id)
)

CREATE INDEX documents_for_all ON documents (service) WHERE for_all

CREATE TABLE uris (uri TEXT, document INTEGER, PRIMARY KEY (uri, document)) WITHOUT ROWID

CREATE INDEX uris_document ON uris (document)

CREATE TABLE imeis (tac TEXT, low INTEGER, high INTEGER, document INTEGER)

CREATE INDEX imeis_tac ON imeis (tac, low, high)

CREATE INDEX imeis_low ON imeis (low, high)

CREATE INDEX imeis_document ON imeis (document)

CREATE TABLE vendors (vendor TEXT, document INTEGER, PRIMARY KEY (vendor, document)) WITHOUT ROWID

CREATE INDEX vendors_document ON vendors (document)

CREATE TABLE denied (uri TEXT PRIMARY KEY, spelling TEXT NOT NULL) WITHOUT ROWID

CREATE TABLE gateways (host TEXT PRIMARY KEY) WITHOUT ROWID
"""

# The log of changes, written by triggers: whoever changes a document or the deny list, and with
# whatever program. service is NULL where `name` is the URI of a UE that was denied, or is allowed
# again. The log keeps the last 200,000 changes or so; its numbers have no gaps, and a change is
# seen when all before it are.
_VERSION_2 = """
CREATE TABLE changes (number INTEGER PRIMARY KEY, service TEXT, name TEXT NOT NULL)
"""

# The keys of OSCORE, see contexts. An update of one is in the log of changes as "oscore:NUMBER".
_VERSION_3 = """
CREATE TABLE contexts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('ue', 'gateway', 'administrator')),
    owner TEXT NOT NULL,  -- in its normal form
    spelling TEXT NOT NULL,
    kid BLOB NOT NULL,
    id_context BLOB,  -- NULL: none
    server_id BLOB NOT NULL,
    secret BLOB NOT NULL,  -- empty when it is revoked
    salt BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'retiring', 'revoked')),
    ends_at INTEGER,  -- seconds since 1970, of a retiring one
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    holder TEXT,  -- the process that takes requests under this key now
    bound INTEGER NOT NULL DEFAULT 0,  -- sequence numbers below it may have been used
    window_highest INTEGER NOT NULL DEFAULT -1,
    window_seen INTEGER NOT NULL DEFAULT 0  -- bit i: window_highest - i has come
)

CREATE UNIQUE INDEX contexts_ids ON contexts (kid, ifnull(id_context, x''))

CREATE INDEX contexts_owner ON contexts (kind, owner)

CREATE TABLE gateway_ues (
    gateway TEXT,
    uri TEXT,
    spelling TEXT NOT NULL,
    PRIMARY KEY (gateway, uri)
) WITHOUT ROWID

CREATE TABLE service_ids (
    uri TEXT,
    service_id TEXT,
    context INTEGER NOT NULL,
    given_at INTEGER NOT NULL,
    PRIMARY KEY (uri, service_id)
) WITHOUT ROWID
"""

# Who changed what, see history. kept_size: bytes of the old documents of all rows up to this one.
_VERSION_4 = """
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    changed_at INTEGER NOT NULL,  -- seconds since 1970
    changed_by TEXT NOT NULL,
    what TEXT NOT NULL,
    service TEXT,
    name TEXT NOT NULL,
    old_etag BLOB,
    new_etag BLOB,
    body BLOB,
    kept_size INTEGER NOT NULL
)

CREATE INDEX history_name ON history (service, name, number)

CREATE INDEX history_bodies ON history (service, name, number) WHERE body IS NOT NULL

CREATE INDEX history_sizes ON history (kept_size) WHERE body IS NOT NULL
"""

# What became of each UE, see fleet_table. Times are seconds since 1970.
_VERSION_5 = """
CREATE TABLE ues (
    uri TEXT PRIMARY KEY,  -- in its normal form
    spelling TEXT NOT NULL,
    rank INTEGER NOT NULL,  -- who is forgotten last has the highest
    first_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    key_of TEXT,  -- whose OSCORE key protected it; NULL: none
    asked_at INTEGER,
    how TEXT,
    peer TEXT,
    given_at INTEGER,
    service TEXT,
    doc_id TEXT,  -- NULL: the collection
    vendor TEXT,
    type TEXT,
    snr TEXT,
    etag BLOB,
    denied_at INTEGER,
    denied_code TEXT,
    denied_reason TEXT,
    reported_at INTEGER,
    refused_etag BLOB,
    refused_reason TEXT,  -- NULL: it refuses nothing
    refused_of BLOB,  -- ETag of all the documents that there were for it when it reported that
    notified_at INTEGER,
    notified_etag BLOB,
    acknowledged_at INTEGER
)

CREATE INDEX ues_rank ON ues (rank, seen_at)

CREATE INDEX gateway_ues_uri ON gateway_ues (uri)
"""

VERSIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
SCHEMA_VERSION = len(VERSIONS)
TABLES = tuple(re.findall(r"CREATE TABLE (\w+)", "".join(VERSIONS)))


def statements(version, engine):
    """What makes this version (1 is the first) of the one before, for an engine."""
    tables = [engine.of_table(statement) for statement in _parts(VERSIONS[version - 1])]
    return tables + _parts(engine.TRIGGERS.get(version, ""))


def _parts(text):
    return [part for part in text.strip().split("\n\n") if part]
