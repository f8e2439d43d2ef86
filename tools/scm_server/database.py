"""The SQLite file of the server: opened or created, checked to be ours, changed in transactions.

Write-ahead logging with synchronous=FULL: an acknowledged change survives kill -9 and a loss of
power, and another process may write while the server reads.
"""

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path

from msgin5g_tools.scm_server.problem import ScmError

APPLICATION_ID = 0x53434D53  # "SCMS": marks a database as ours
SCHEMA_VERSION = 4
_CACHE_KIB = 65_536  # at most: the indexes of 100,000 documents and more

# One list of statements for each version; an empty line ends a statement.
_VERSION_1 = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    doc_id TEXT NOT NULL,
    for_all INTEGER NOT NULL,  -- 1: no valUeIds and no ueVendors, so it is for every UE
    uris_only INTEGER NOT NULL,  -- 1: nothing but URIs says whom it is for
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
# again. The log keeps the last 200,000 changes or so.
_VERSION_2 = """
CREATE TABLE changes (number INTEGER PRIMARY KEY, service TEXT, name TEXT NOT NULL)

CREATE TRIGGER documents_inserted AFTER INSERT ON documents BEGIN
    INSERT INTO changes (service, name) VALUES (NEW.service, NEW.doc_id);
END

CREATE TRIGGER documents_updated AFTER UPDATE ON documents BEGIN
    INSERT INTO changes (service, name) VALUES (NEW.service, NEW.doc_id);
END

CREATE TRIGGER documents_deleted AFTER DELETE ON documents BEGIN
    INSERT INTO changes (service, name) VALUES (OLD.service, OLD.doc_id);
END

CREATE TRIGGER denied_inserted AFTER INSERT ON denied BEGIN
    INSERT INTO changes (service, name) VALUES (NULL, NEW.uri);
    INSERT INTO changes (service, name)
        SELECT service, doc_id FROM uris JOIN documents ON id = document WHERE uri = NEW.uri;
END

CREATE TRIGGER denied_deleted AFTER DELETE ON denied BEGIN
    INSERT INTO changes (service, name) VALUES (NULL, OLD.uri);
END

CREATE TRIGGER changes_pruned AFTER INSERT ON changes WHEN NEW.number % 1000 = 0 BEGIN
    DELETE FROM changes WHERE number <= NEW.number - 200000;
END
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

CREATE TRIGGER contexts_updated AFTER UPDATE OF state, ends_at ON contexts BEGIN
    INSERT INTO changes (service, name) VALUES (NULL, 'oscore:' || NEW.number);
END

CREATE TRIGGER contexts_deleted AFTER DELETE ON contexts BEGIN
    INSERT INTO changes (service, name) VALUES (NULL, 'oscore:' || OLD.number);
END

CREATE TRIGGER gateway_ues_deleted AFTER DELETE ON gateway_ues BEGIN
    INSERT INTO changes (service, name) VALUES (NULL, OLD.uri);
END
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
VERSIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
assert len(VERSIONS) == SCHEMA_VERSION


class Database:
    """`connection` is the one of sqlite3; ScmError, one line, when the file cannot be used."""

    def __init__(self, path, create=True, timeout_s=5.0):
        self.path = str(path)
        if not Path(path).absolute().parent.is_dir():
            raise ScmError(f"{path}: there is no folder {Path(path).parent}")
        if Path(path).is_dir():
            raise ScmError(f"{path}: unable to open: it is a folder; name a file")
        mode = "rwc" if create else "rw"
        quoted = self.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        try:
            self.connection = sqlite3.connect(
                f"file:{quoted}?mode={mode}", uri=True, timeout=timeout_s, isolation_level=None
            )
        except sqlite3.Error as error:
            raise ScmError(f"{self.path}: {error}") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.connection.close()
            raise ScmError(f"{self.path}: {error}") from None
        except ScmError:
            self.connection.close()
            raise

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _prepare(self):
        self.connection.execute("BEGIN")  # a consistent view: another process may be creating it
        application = self._one("PRAGMA application_id")
        version = self._one("PRAGMA user_version")
        n_tables = self._one("SELECT count(*) FROM sqlite_master")
        self.connection.execute("COMMIT")
        if application != APPLICATION_ID:
            if application or version or n_tables:
                raise ScmError(f"{self.path}: is a database of another program")
        elif version > SCHEMA_VERSION:
            raise ScmError(
                f"{self.path}: has schema {version}, this program knows {SCHEMA_VERSION}"
            )
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if version != SCHEMA_VERSION:
            self._migrate()

    def _migrate(self):
        """Create what an older version, or an empty file, lacks."""
        with self.transaction():
            # Another process may have done it since.
            version = self._one("PRAGMA user_version")
            for statements in VERSIONS[version:]:
                for statement in statements.split("\n\n"):
                    self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self):
        """All changes or none; an inner transaction is part of the outer one."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def state(self):
        """A value that differs after every change, by this process or by another one."""
        return self._one("PRAGMA data_version"), self.connection.total_changes

    def check(self):
        """sqlite3.Error when the database does not answer, or its file was removed."""
        self._one("SELECT id FROM documents LIMIT 1")
        if not os.path.exists(self.path):
            raise sqlite3.OperationalError(f"{self.path} was removed")

    def _one(self, statement, *values):
        row = self.connection.execute(statement, values).fetchone()
        return row[0] if row else None
