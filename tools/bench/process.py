"""A child process that prints one JSON object a line."""

import json
import queue
import subprocess
import threading
import time

from msgin5g_tools import streams
from msgin5g_tools.bench.errors import BenchError

_PATIENCE_S = 5


class Process:
    """`with Process(name, command) as process:`; the child is stopped at the end."""

    def __init__(self, name, command, cwd=None):
        self.name = name
        self._last = ""
        self._lines = queue.Queue()
        try:
            self._child = subprocess.Popen(
                command,
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=streams.utf8_environment(),
                **streams.UTF8,
            )
        except OSError as error:
            raise BenchError(f"{name}: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.terminate()
        try:
            self._child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(_PATIENCE_S)
        self._child.stdout.close()

    def _read(self):
        for line in self._child.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def objects(self, timeout_s):
        """The objects that it prints, until it ends; BenchError after timeout_s."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                raise BenchError(f"{self.name}: timed out after {timeout_s} s") from None
            if line is None:
                return
            try:
                yield json.loads(line)
            except ValueError:
                self._last = line.strip()  # a traceback, line by line

    def event(self, name, timeout_s):
        """The first object whose `event` is `name`."""
        for found in self.objects(timeout_s):
            if found.get("event") == name:
                return found
        raise BenchError(f"{self.name}: ended without the event '{name}': {self._last}")

    def status(self):
        """The exit status, after `objects` has ended."""
        return self._child.wait(_PATIENCE_S)
