"""What a role on this host prints, line by line, into a Log: with time and level."""

import json
import threading

from msgin5g_tools.device.events import is_notice, level_of, parse_event, parse_fault
from msgin5g_tools.text import printable

_MAX_LINE_SIZE = 65536  # bytes; a longer line is printed in pieces
_CLOSE_S = 1.0
_ASKED_FOR = ("datagram", "counters")  # a person asked for them: printed at every --log-level


class RoleLog:
    """`read(stdout, stderr)` of the role's process starts; `close()` waits for what it printed.

    metrics: a role_metrics.RoleMetrics, for the events that are its answers.
    The streams are read whether or not somebody reads the Log, so a role never waits for that.
    """

    def __init__(self, log, metrics=None):
        self._log = log
        self._metrics = metrics
        self._threads = []

    def read(self, stdout, stderr):
        for stream, put in ((stdout, self._printed), (stderr, self._message)):
            # A daemon: what the role has started itself may hold the stream open.
            thread = threading.Thread(target=_read, args=(stream, _Levels(), put), daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self):
        for thread in self._threads:
            thread.join(_CLOSE_S)
        self._log.close()

    def _printed(self, level, line):
        event = parse_event(line)
        if event and event["event"] == "metrics" and self._metrics:
            self._metrics.answered(event)
        elif event:
            if self._metrics:
                self._metrics.happened(event["event"])
            is_asked_for = event["event"] in _ASKED_FOR
            self._log.event(level_of(event), event, lambda _: line, is_asked_for)
        elif self._log.is_json:
            self._print_json(level, line)
        elif parse_fault(line) and not is_notice(line):
            self._log.message(level, line)  # the role does not start
        else:
            self._log.event(level, {}, lambda _: printable(line))

    def _print_json(self, level, line):
        """An object of the application's own is one on stdout, too; other text goes to stderr."""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            self._log.event(level, value, lambda _: line)
        elif line:
            self._log.message(level, line)

    def _message(self, level, line):
        self._log.message(level, line)


class _Levels:
    """The level of one line after the other; a traceback is an error to its last line."""

    def __init__(self):
        self._in_traceback = False

    def level_of(self, line):
        if line.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
            return "error"
        if self._in_traceback:
            self._in_traceback = line.startswith(" ")
            return "error"
        if is_notice(line):
            return "warning"
        return "error" if parse_fault(line) else "info"


def _read(stream, levels, put):
    while raw := stream.readline(_MAX_LINE_SIZE):
        line = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        put(levels.level_of(line), line)
