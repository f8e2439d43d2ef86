"""The server's database behind one interface: opened, brought to the newest schema, changed in
transactions. Which engine is behind it depends on what names it: a file is one of SQLite, and
postgresql://... one of PostgreSQL.

The SQL is that which all engines take: `?` for a value, ON CONFLICT, RETURNING, ifnull, x''.
"""

from contextlib import contextmanager
from pathlib import Path

from msgin5g_tools.scm_server.database_url import NAME, redacted
from msgin5g_tools.scm_server.engine_sqlite import SqliteEngine
from msgin5g_tools.scm_server.problem import DatabaseError, ScmError
from msgin5g_tools.scm_server.schema import SCHEMA_VERSION, statements


_URLS = "postgresql://", "postgres://"
_NO_PSYCOPG = "PostgreSQL needs psycopg: pip install 'msgin5g-firmware[postgresql]'"


def exists(db):
    """Whether there is such a database, as far as this can be seen without opening it."""
    return is_url(db) or Path(db).exists()


def is_url(db):
    """Whether this names a database of PostgreSQL."""
    return str(db).startswith(_URLS)


def shown(db):
    """The name of a database for people: without a password."""
    if not is_url(db):
        return str(db)
    try:
        return redacted(db)[0]
    except ScmError:
        return NAME


class Database:
    """ScmError, one line, when it cannot be opened; then DatabaseError, or DatabaseUnavailable.

    create: it may be new, and must be one that can be changed; without, it may be read-only.
    timeout_s: how long a change waits for those of others. answer_s: how long PostgreSQL may take
    for one statement. `name` names it for people, without a password.
    """

    def __init__(self, db, create=True, timeout_s=5.0, answer_s=60.0):
        kind = _engine_of(db)
        self.name = shown(db)
        self._engine = kind(db, create, timeout_s, answer_s)
        try:
            self._prepare()
            if create:
                self._engine.require_rights()
            self._engine.limit()
        except BaseException as error:
            if isinstance(error, kind.Error):
                error = self._engine.fault(error)
            self._engine.close()
            if isinstance(error, DatabaseError):
                raise ScmError(f"{self.name}: {error.line}") from None
            raise

    @property
    def connection(self):
        """That of the engine's library, for tests."""
        return self._engine.connection

    @property
    def poll_s(self):
        """How often to look for changes by other processes."""
        return self._engine.POLL_S

    def close(self):
        self._engine.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _prepare(self):
        engine = self._engine
        version = engine.prepare()
        if version > SCHEMA_VERSION:
            raise ScmError(
                f"{self.name}: has schema {version}, this program knows {SCHEMA_VERSION}"
            )
        if version < SCHEMA_VERSION:
            self._migrate()

    def _migrate(self):
        engine = self._engine
        with self.transaction():
            # From what an older release, or another process since, has made of it.
            for version in range(engine.version(), SCHEMA_VERSION):
                for statement in statements(version + 1, engine):
                    engine.execute(statement)
            engine.set_version(SCHEMA_VERSION)

    @contextmanager
    def _faults(self):
        """What the engine's library raises is a DatabaseError to us."""
        try:
            yield
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

    @contextmanager
    def _committed(self):
        """The end of a transaction that has begun."""
        try:
            yield
            self._engine.commit()
        except BaseException:
            self._engine.rollback()
            raise

    # SQL

    def rows(self, sql, *values):
        """All rows, tuples."""
        with self._faults():
            return self._engine.execute(sql, values).fetchall()

    def each(self, sql, *values):
        """The rows one by one; who stops early does not read the rest."""
        with self._faults():
            yield from self._engine.each(sql, values)

    def row(self, sql, *values):
        """The first row, or None."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def value(self, sql, *values):
        """The first column of the first row, or None."""
        rows = self.rows(sql, *values)
        return rows[0][0] if rows else None

    def run(self, sql, *values):
        """Change something; how many rows."""
        with self._faults():
            return self._engine.execute(sql, values).rowcount

    def run_many(self, sql, rows):
        """The same statement for each of these rows of values."""
        if not rows:
            return
        with self._faults():
            self._engine.execute_many(sql, rows)

    @contextmanager
    def transaction(self):
        """All changes or none; an inner transaction is part of the outer one.

        One process at a time is in a transaction: what it reads stays true in it.
        """
        engine = self._engine
        if engine.in_transaction:
            yield
            return
        with self._faults():
            engine.begin()
            with self._committed():
                yield

    @contextmanager
    def quick_transaction(self, waits=False):
        """A transaction for what may be lost: it does not wait for the disk.

        A loss of power may take it, never what `transaction` writes. waits: for the change of
        somebody else, as `transaction` does; else it waits for nobody.
        """
        engine = self._engine
        with self._faults():
            engine.begin_quick(waits)
            try:
                with self._committed():
                    yield
            finally:
                engine.end_quick()

    # changes by others

    @property
    def is_away(self):
        """Whether the connection is lost; nothing works until `connect` has made another one."""
        return self._engine.is_away

    @property
    def n_connections(self):
        """How often it has been connected."""
        return self._engine.n_connections

    def connect(self):
        """Connect again, in any thread; DatabaseUnavailable when this fails, too."""
        with self._faults():
            self._engine.connect()

    def fileno(self):
        """A descriptor that can be read from when others have changed something, or None."""
        return self._engine.fileno()

    def state(self):
        """A value that differs after every change, by this process or by another one."""
        with self._faults():
            return self._engine.state()

    def check(self):
        """DatabaseError when the database does not answer, or is no longer there."""
        with self._faults():
            self._engine.check()

    def damage(self):
        """What of it is damaged, in one line, or None. It reads all of it, in any thread."""
        return self._engine.damage()

    def size(self):
        """Bytes that it takes."""
        with self._faults():
            return self._engine.size()

    # secrets

    def erase_for_good(self):
        """Let what is deleted in this transaction not stay in the file."""
        self._engine.erase_for_good()

    def keep_private(self):
        """There is a secret in it now: for its owner only."""
        self._engine.keep_private()


def _engine_of(db):
    """The class of the engine that a name is for."""
    if not is_url(db):
        return SqliteEngine
    try:
        # Not everybody has psycopg.
        from msgin5g_tools.scm_server.engine_postgresql import PostgresqlEngine
    except ImportError:
        raise ScmError(f"{shown(db)}: {_NO_PSYCOPG}") from None
    return PostgresqlEngine
