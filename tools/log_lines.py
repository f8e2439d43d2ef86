"""A log: lines with time (UTC, ISO 8601) and level, on stdout and stderr, never waited for.

    2026-11-29T17:14:17.123Z info started role=relay ue_id=urn:x-msgin5g:relay:1
    {"time": "2026-11-29T17:14:17.123Z", "level": "info", "event": "started", "role": "relay"}

What is after time and level is what a board prints; device.events parses both.
"""

import json
import logging
import sys
from datetime import datetime, timezone

from msgin5g_tools.line_writer import LineWriter
from msgin5g_tools.text import printable

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _time():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def _text_of(message):
    return printable(message["text"])


class Log:
    """Events go to stdout, messages to stderr; what is below `level` is left out.

    as_json: one JSON object a line, in place of text.
    """

    def __init__(self, as_json=False, level="info"):
        self.listener = None  # called with (level, event, text_of) of each line
        self.is_json = as_json
        self._level = LEVELS[level]
        self._out = LineWriter(sys.stdout.fileno(), self._dropped, sys.stdout.encoding)
        self._errors = LineWriter(sys.stderr.fileno(), self._dropped, sys.stderr.encoding)

    @property
    def n_dropped(self):
        """Lines that nobody read in time."""
        return self._out.n_dropped + self._errors.n_dropped

    def event(self, level, event, text_of, is_asked_for=False):
        """An event, a dict; text_of(event): the same as text. is_asked_for: whatever its level."""
        if is_asked_for or LEVELS[level] >= self._level:
            self._out.write(self._line(level, event, text_of))
            if self.listener:
                self.listener(level, event, text_of)

    def message(self, level, text):
        """Text that is no event, perhaps of several lines: a fault, a traceback."""
        if LEVELS[level] >= self._level:
            for line in text.splitlines():
                event = {"event": "message", "text": line}
                self._errors.write(self._line(level, event, _text_of))
                if self.listener:
                    self.listener(level, event, _text_of)

    def close(self):
        """Wait for the readers, but not long."""
        self._out.close()
        self._errors.close()

    def _line(self, level, event, text_of):
        if self.is_json:
            stamp = {"time": _time(), "level": level}
            return json.dumps({**stamp, **event, **stamp})  # in front, and not the event's own
        return f"{_time()} {level} {text_of(event)}"

    def _dropped(self, n):
        text = f"dropped: {n} lines that the reader of this output was too slow for"
        return self._line("warning", {"event": "dropped", "lines": n}, lambda _: text)


class LineFormatter(logging.Formatter):
    """A message is one line: aiocoap's repeat what peers send."""

    def formatMessage(self, record):
        record.message = printable(record.message)
        return super().formatMessage(record)


class LogHandler(logging.Handler):
    """What Python's logging gets goes into the Log as messages."""

    def __init__(self, log):
        super().__init__()
        self._log = log
        self.setFormatter(LineFormatter("%(name)s: %(message)s"))

    def emit(self, record):
        level = "debug"
        for name, number in LEVELS.items():
            if record.levelno >= number:
                level = name
        self._log.message(level, self.format(record))
