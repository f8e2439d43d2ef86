"""The server's database behind one interface: opened, brought to the newest schema, changed in
transactions. Which engine is behind it depends on what names it: a file is one of SQLite.

The SQL is that which all engines take: `?` for a value, ON CONFLICT, RETURNING, ifnull, x''.
"""

from contextlib import contextmanager
from pathlib import Path

from msgin5g_tools.scm_server.engine_sqlite import SqliteEngine
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.schema import SCHEMA_VERSION, statements


def exists(db):
    """Whether there is such a database, as far as this can be seen without opening it."""
    return Path(db).exists()


class Database:
    """ScmError, one line, when it cannot be opened; then DatabaseError, or DatabaseUnavailable.

    timeout_s: how long a change waits for those of others. `name` names it for people.
    """

    def __init__(self, db, create=True, timeout_s=5.0):
        self._engine = None
        try:
            self._engine = SqliteEngine(db, create, timeout_s)
            self._prepare()
        except SqliteEngine.Error as error:
            self.close()
            raise ScmError(f"{db}: {error}") from None
        except ScmError:
            self.close()
            raise

    @property
    def name(self):
        return self._engine.name

    @property
    def connection(self):
        """That of the engine's library, for tests."""
        return self._engine.connection

    @property
    def poll_s(self):
        """How often to look for changes by other processes."""
        return self._engine.POLL_S

    def close(self):
        if self._engine:
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
        if version == SCHEMA_VERSION:
            return
        with self.transaction():
            # From what an older release, or another process since, has made of it.
            for version in range(engine.version(), SCHEMA_VERSION):
                for statement in statements(version + 1, engine.TRIGGERS):
                    engine.execute(statement)
            engine.set_version(SCHEMA_VERSION)

    # SQL

    def rows(self, sql, *values):
        """All rows, tuples."""
        try:
            return self._engine.execute(sql, values).fetchall()
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

    def each(self, sql, *values):
        """The rows one by one; who stops early does not read the rest."""
        try:
            yield from self._engine.execute(sql, values)
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

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
        try:
            return self._engine.execute(sql, values).rowcount
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

    def run_many(self, sql, rows):
        """The same statement for each of these rows of values."""
        if not rows:
            return
        try:
            self._engine.execute_many(sql, rows)
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

    @contextmanager
    def transaction(self):
        """All changes or none; an inner transaction is part of the outer one.

        One process at a time is in a transaction: what it reads stays true in it.
        """
        engine = self._engine
        if engine.in_transaction:
            yield
            return
        try:
            engine.begin()
            try:
                yield
                engine.commit()
            except BaseException:
                engine.rollback()
                raise
        except engine.Error as error:
            raise engine.fault(error) from None

    @contextmanager
    def quick_transaction(self):
        """A transaction for what may be lost: it waits for nobody else, and not for the disk.

        A loss of power may take it, never what `transaction` writes.
        """
        engine = self._engine
        try:
            engine.begin_quick()
            try:
                yield
                engine.commit()
            except BaseException:
                engine.rollback()
                raise
            finally:
                engine.end_quick()
        except engine.Error as error:
            raise engine.fault(error) from None

    # changes by others

    def state(self):
        """A value that differs after every change, by this process or by another one."""
        try:
            return self._engine.state()
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

    def check(self):
        """DatabaseError when the database does not answer, or is no longer there."""
        try:
            self._engine.check()
        except self._engine.Error as error:
            raise self._engine.fault(error) from None

    # secrets

    def erase_for_good(self):
        """Let what is deleted in this transaction not stay in the file."""
        self._engine.erase_for_good()

    def keep_private(self):
        """There is a secret in it now: for its owner only."""
        self._engine.keep_private()
