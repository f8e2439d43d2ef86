"""A real PostgreSQL for tests: a cluster of its own, with a database for each test."""

import itertools
import signal
from pathlib import Path

import psycopg

from msgin5g_tools.postgresql_cluster import PostgresqlCluster
from msgin5g_tools.scm_server.store import Store

WITH_PASSWORD = "with_password"  # a role that needs one: right


class PostgresqlServer(PostgresqlCluster):
    """`with PostgresqlServer() as server: server.new_database()` is a URL."""

    def __init__(self):
        super().__init__()
        self._databases = {}
        self._numbers = itertools.count(1)

    def __enter__(self):
        super().__enter__()
        access = Path(self.folder, "data", "pg_hba.conf")
        access.write_text(f"local all {WITH_PASSWORD} scram-sha-256\n{access.read_text()}")
        self.stop()
        self.start()
        self.sql(f"CREATE ROLE {WITH_PASSWORD} LOGIN PASSWORD 'right'")
        Store(self.create("made")).close()
        return self

    def new_database(self, is_empty=False, more=""):
        """The URL of a database, with the tables of the server unless it is empty.

        more: of the statement that makes it.
        """
        template = "template0" if is_empty else "made"
        return self.create(f"test{next(self._numbers)}", f"{template} {more}")

    def database_of(self, folder):
        """The same; one for each folder."""
        if folder not in self._databases:
            self._databases[folder] = self.new_database()
        return self._databases[folder]

    def drop_databases(self):
        """Remove those of tests that have ended."""
        self._databases.clear()
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            query = "SELECT datname FROM pg_database WHERE datname LIKE 'test%'"
            for (name,) in connection.execute(query).fetchall():
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def kill(self):
        """End it as a crash does; its other processes end as soon as they see that."""
        self.end(signal.SIGKILL)

    def processes(self):
        """The IDs of the server's process and its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]
