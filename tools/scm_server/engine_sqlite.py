"""The engine behind a Database that is a file of SQLite.

Write-ahead logging with synchronous=FULL: an acknowledged change survives kill -9 and a loss of
power, and another process may write while the server reads.
"""

import os
import sqlite3
import stat
from pathlib import Path

from msgin5g_tools.scm_server.problem import DatabaseError, DatabaseUnavailable, ScmError
from msgin5g_tools.scm_server.schema import APPLICATION_ID

_CACHE_KIB = 65_536  # at most: the indexes of 100,000 documents and more
_PREPARE_S = 30.0  # for the tables: another process may be making them

_TRIGGERS_2 = """
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

_TRIGGERS_3 = """
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


class SqliteEngine:
    """See Database, which calls it. `connection` is the one of sqlite3."""

    Error = sqlite3.Error
    POLL_S = 0.05  # looking for changes by other processes costs next to nothing
    TRIGGERS = {2: _TRIGGERS_2, 3: _TRIGGERS_3}

    def __init__(self, path, create, timeout_s, answer_s):
        self.name = str(path)
        self._timeout_ms = int(timeout_s * 1000)
        if not Path(path).absolute().parent.is_dir():
            raise ScmError(f"{path}: there is no folder {Path(path).parent}")
        if Path(path).is_dir():
            raise ScmError(f"{path}: unable to open: it is a folder; name a file")
        try:
            self.connection = self._connect("rwc" if create else "rw", _PREPARE_S)
            self._cursor = self.connection.cursor()
        except sqlite3.Error as error:
            raise ScmError(f"{path}: {self.fault(error).line}") from None

    def _connect(self, mode, timeout_s):
        quoted = self.name.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        return sqlite3.connect(
            f"file:{quoted}?mode={mode}", uri=True, timeout=timeout_s, isolation_level=None
        )

    def fault(self, error):
        """The DatabaseError for an Error."""
        later = isinstance(error, sqlite3.OperationalError)
        fault = (DatabaseUnavailable if later else DatabaseError)(str(error))
        if "readonly" in str(error) or "unable to open" in str(error):
            fault.advice = self._missing_right()
        elif "full" in str(error):
            fault.advice = f"make room on the disk of {Path(self.name).absolute().parent}"
        return fault

    def close(self):
        self.connection.close()

    def execute(self, sql, values=()):
        """A cursor, whose rows are to be read before the next statement."""
        return self._cursor.execute(sql, values)

    def each(self, sql, values):
        """A cursor whose rows may be read while there are other statements."""
        return self.connection.execute(sql, values)

    def execute_many(self, sql, rows):
        self._cursor.executemany(sql, rows)

    @property
    def in_transaction(self):
        return self.connection.in_transaction

    def begin(self):
        self._cursor.execute("BEGIN IMMEDIATE")

    def begin_quick(self, waits):
        try:
            if not waits:
                self._cursor.execute("PRAGMA busy_timeout = 0")
            self._cursor.execute("PRAGMA synchronous = NORMAL")
            self.begin()
        except self.Error:
            self.end_quick()
            raise

    def end_quick(self):
        self._cursor.execute("PRAGMA synchronous = FULL")
        self._cursor.execute(f"PRAGMA busy_timeout = {self._timeout_ms}")

    def commit(self):
        self._cursor.execute("COMMIT")

    def rollback(self):
        if self.connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    # the schema

    def prepare(self):
        """The version of its schema, 0 for an empty file; ScmError when it is not ours."""
        self._cursor.execute("BEGIN")  # a consistent view: another process may be creating it
        application = self._one("PRAGMA application_id")
        version = self.version()
        n_tables = self._one("SELECT count(*) FROM sqlite_master")
        self._cursor.execute("COMMIT")
        if application != APPLICATION_ID and (application or version or n_tables):
            raise ScmError(f"{self.name}: is a database of another program")
        self._cursor.execute("PRAGMA journal_mode = WAL")
        self._cursor.execute("PRAGMA synchronous = FULL")
        self._cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return version

    def version(self):
        return self._one("PRAGMA user_version")

    def set_version(self, version):
        self._cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._cursor.execute(f"PRAGMA user_version = {version}")

    @staticmethod
    def of_table(statement):
        """A statement of schema.VERSIONS as this engine takes it."""
        return statement

    def require_rights(self):
        """ScmError unless it can be changed: else SQLite opens it, and only reads."""
        fault = self._missing_right() if os.path.exists(self.name) else None  # not :memory:
        if fault:
            raise ScmError(f"{self.name}: it cannot be changed: {fault}")

    def _missing_right(self):
        """What this user may not do with the file or its folder, and what helps, or None."""
        if os.path.exists(self.name) and not os.access(self.name, os.R_OK | os.W_OK):
            return "this user may not read and write the file: see its owner and mode"
        folder = Path(self.name).absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"SQLite writes more files beside it, and this user may not write to {folder}"
        return None

    def limit(self):
        """From now on nothing waits for longer than it was told to."""
        self._cursor.execute(f"PRAGMA busy_timeout = {self._timeout_ms}")

    # changes

    is_away = False
    n_connections = 1

    def state(self):
        return self._one("PRAGMA data_version"), self.connection.total_changes

    def fileno(self):
        return None

    def check(self):
        self._one("SELECT id FROM documents LIMIT 1")
        if not os.path.exists(self.name):
            raise sqlite3.OperationalError(f"{self.name} was removed")

    def damage(self):
        # A connection of its own: it may be in another thread, and reads what is in the file.
        connection = None
        try:
            connection = self._connect("ro", 0)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            return None if found == "ok" else " ".join(found.split())
        except sqlite3.OperationalError:
            return None  # locked, or away: `check` sees that
        except sqlite3.Error as error:
            return str(error)
        finally:
            if connection is not None:
                connection.close()

    def size(self):
        return self._one("PRAGMA page_count") * self._one("PRAGMA page_size")

    # secrets

    def erase_for_good(self):
        self._cursor.execute("PRAGMA secure_delete = ON")

    def keep_private(self):
        """Take the file from everybody but its owner.

        A mode that gives others nothing stays: then somebody has chosen the group. The files of
        the log have what the file will have; new ones get its mode from SQLite.
        """
        for end in ("", "-wal", "-shm"):
            path = self.name + end
            try:
                mode = stat.S_IMODE(os.stat(path).st_mode)
                if mode & 0o007:
                    os.chmod(path, mode & 0o700)
            except OSError:
                pass  # not there; or of somebody else, who has chosen its mode

    def _one(self, sql):
        row = self.connection.execute(sql).fetchone()
        return row[0] if row else None
