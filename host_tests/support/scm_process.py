"""Commands of msgin5g that serve, as processes that print JSON lines."""

import json
import subprocess
import sys
import threading
from contextlib import contextmanager

PROGRAM = "from msgin5g_tools.cli import main; main()"
_LIMIT_S = 60


@contextmanager
def running(*arguments, prefix=(), program=PROGRAM, **how):
    """(its first line, the process); it is ended with SIGTERM, and must end with status 0."""
    command = [*prefix, sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **how)
    guard = threading.Timer(_LIMIT_S, process.kill)  # then a line that never comes is empty
    guard.start()
    try:
        line = process.stdout.readline()
        assert line, "it ended before its first line"
        yield json.loads(line), process
    finally:
        process.terminate()
        process.communicate(timeout=20)
        guard.cancel()
    assert process.returncode == 0


def address_of(started):
    """(host, port) of the event `started`."""
    host, _, port = started["bind"].rpartition(":")
    return host, int(port)
