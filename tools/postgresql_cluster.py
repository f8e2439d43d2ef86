"""A PostgreSQL of one's own: a cluster on a Unix socket in a temporary folder."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

_USER = "postgres"  # initdb refuses to run as root
_READY_S = 60
_CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 40
shared_buffers = 32MB
log_min_messages = fatal
"""
# In a session of its own: Ctrl-C at a terminal is for who has started it.
_APART = {"cwd": "/", "start_new_session": True}


class PostgresqlError(Exception):
    """PostgreSQL is not installed, or does not start; the text is one line."""


def _program(name):
    found = shutil.which(name) or max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=None)
    if not found:
        text = f"no {name}: install PostgreSQL (Debian: apt-get install postgresql)"
        raise PostgresqlError(text)
    return os.path.realpath(found)


class PostgresqlCluster:
    """`with PostgresqlCluster() as cluster: cluster.create(name)` is the URL of a database."""

    def __init__(self):
        self._initdb, self._postgres = _program("initdb"), _program("postgres")
        self.folder = tempfile.mkdtemp(prefix="msgin5g-pg-")  # short: it is in a socket's path
        self._as_user = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, _USER, _USER)
            ids = [f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
            self._as_user = ["setpriv", *ids]
        self._data = f"{self.folder}/data"
        self._process = None

    def __enter__(self):
        try:
            command = [self._initdb, "-D", self._data, "-U", "msgin5g", "-A", "trust"]
            self._run(*command, "-E", "UTF8", "--no-locale", "--no-sync")
            with open(f"{self._data}/postgresql.conf", "a") as configuration:
                configuration.write(_CONFIGURATION.format(folder=self.folder))
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, name):
        return f"postgresql://msgin5g@/{name}?host={self.folder}"

    def create(self, name, template="template0"):
        """Make a database; its URL."""
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def start(self):
        """Start it, unless it runs."""
        if self._process and self._process.poll() is None:
            return
        command = [*self._as_user, self._postgres, "-D", self._data]
        log = open(f"{self.folder}/log", "a")
        with log:
            self._process = self._popen(command, log)
        ends_at = time.monotonic() + _READY_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > ends_at:
                    text = f"{error}{Path(log.name).read_text()}"
                    raise PostgresqlError(" ".join(text.split())) from None
                if self._process.poll() is not None:  # a former one is still ending
                    self._process = self._popen(command, subprocess.DEVNULL)
                time.sleep(0.05)

    def stop(self):
        """End it, and every connection, in good order."""
        self.end(signal.SIGINT)

    def end(self, number):
        """Send it a signal, and wait until it has ended."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=_READY_S)

    @property
    def pid(self):
        return self._process.pid

    def sql(self, statement):
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _popen(self, command, output):
        return subprocess.Popen(command, stdout=output, stderr=output, **_APART)

    def _run(self, *command):
        command = [*self._as_user, *command]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **_APART)
        if done.returncode:
            raise PostgresqlError(f"{command[0]}: {' '.join(done.stderr.split())}")
