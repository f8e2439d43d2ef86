"""A real PostgreSQL for tests: a cluster of its own, on a Unix socket in a temporary folder."""

import glob
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from msgin5g_tools.scm_server.store import Store

_USER = "postgres"  # initdb refuses to run as root
_READY_S = 60
_CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 40
shared_buffers = 32MB
log_min_messages = fatal
"""


def _program(name):
    found = shutil.which(name) or max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=None)
    assert found, f"no {name}: make setup installs Debian's postgresql"
    return os.path.realpath(found)


class PostgresqlServer:
    """`with PostgresqlServer() as server: server.new_database()` is a URL."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="msgin5g-pg-")  # short: it is in a socket's path
        self._as_user = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, _USER, _USER)
            ids = [f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
            self._as_user = ["setpriv", *ids]
        self._data = f"{self.folder}/data"
        self._process = None
        self._databases = {}
        self._numbers = itertools.count(1)

    def __enter__(self):
        command = [_program("initdb"), "-D", self._data, "-U", "msgin5g", "-A", "trust"]
        self._run(*command, "-E", "UTF8", "--no-locale", "--no-sync")
        with open(f"{self._data}/postgresql.conf", "a") as configuration:
            configuration.write(_CONFIGURATION.format(folder=self.folder))
        self.start()
        self._sql("CREATE DATABASE made")
        Store(self.url("made")).close()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, name):
        return f"postgresql://msgin5g@/{name}?host={self.folder}"

    def new_database(self, is_empty=False):
        """The URL of a database, with the tables of the server unless it is empty."""
        name = f"test{next(self._numbers)}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE {'template0' if is_empty else 'made'}")
        return self.url(name)

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

    def start(self):
        """Start it, unless it runs."""
        if self._process and self._process.poll() is None:
            return
        command = [*self._as_user, _program("postgres"), "-D", self._data]
        log = open(f"{self.folder}/log", "a")
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        ends_at = time.monotonic() + _READY_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError as error:
                assert time.monotonic() < ends_at, f"{error}{Path(log.name).read_text()}"
                if self._process.poll() is not None:  # a former one is still ending
                    self._process = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL)
                time.sleep(0.05)

    def stop(self):
        """End it, and every connection, in good order."""
        self._end(signal.SIGINT)

    def kill(self):
        """End it as a crash does; its other processes end as soon as they see that."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=_READY_S)

    def processes(self):
        """The IDs of the server's process and its children."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def _run(self, *command):
        subprocess.run([*self._as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def _sql(self, statement):
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)
