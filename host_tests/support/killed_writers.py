"""Processes that import and put documents, one after the other, until they are killed."""

import contextlib
import json
import os
import select
import signal

from click.testing import CliRunner
from scm_setup import TIMEOUT_S, document

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server.store import Store

UES = ("urn:a:1", "urn:a:2")  # each document is for both
_N_IMPORTED = 30
_N_PUT = 10


class KilledWriters:
    """names: those of the documents that a writer had stored before its end."""

    def __init__(self, db, folder):
        self.names = set()
        self._db = db
        self._folder = folder
        self._n_writers = 0
        self._child = None
        self._told = b""
        self._ours, self._theirs = os.pipe()
        os.set_blocking(self._ours, False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._ours)
        os.close(self._theirs)

    def start(self):
        """Start a writer; it ends by `kill`, or by itself when the database is away."""
        self._n_writers += 1
        self._child = os.fork()
        if self._child == 0:
            try:
                self._write()
            finally:
                os._exit(1)

    def wait_for_a_name(self):
        """Wait until the writer has stored its first documents."""
        assert select.select([self._ours], [], [], TIMEOUT_S)[0], "it stores nothing"

    def kill(self):
        os.kill(self._child, signal.SIGKILL)
        assert os.WIFSIGNALED(self.wait()), "it ended by itself"

    def wait(self):
        """Wait for the end of the writer; its status."""
        _, status = os.waitpid(self._child, 0)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._ours, 65536):
                self._told += data
        self.names = set(self._told.decode().split())
        return status

    def _write(self):
        """Import and put in turns until an import fails; tell each name after it was stored."""
        n = self._n_writers
        file = self._folder / f"in-{n}.json"
        command = ["documents", "import", str(file), "--db", str(self._db)]
        entry = {"valServiceDomain": "example.com", "ues": UES}
        i = 0
        with Store(self._db) as store:
            while True:
                names = [f"import-{n}-{i}-{k}" for k in range(_N_IMPORTED)]
                documents = [{**entry, "ueConfigDocId": name} for name in names]
                file.write_text(json.dumps({"documents": documents}))
                if CliRunner().invoke(msgin5g, command).exit_code:
                    return
                self._tell(names)
                for k in range(_N_PUT):
                    name = f"put-{n}-{i}-{k}"
                    store.put("msgin5g", name, document(*UES))
                    self._tell([name])
                i += 1

    def _tell(self, names):
        os.write(self._theirs, "".join(f"{name}\n" for name in names).encode())
