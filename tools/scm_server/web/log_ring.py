"""The last lines of the server's log, for readers of the live log."""

import itertools
import threading
import time
from collections import deque
from datetime import datetime, timezone

MAX_LINES = 2000


class LogRing:
    """`add` costs next to nothing: a line is made when somebody reads it.

    Each line has a number, from 1; when there are more than 2,000 the oldest is forgotten.
    """

    def __init__(self, max_lines=MAX_LINES, now=time.time):
        self._lines = deque(maxlen=max_lines)
        self._now = now
        self._lock = threading.Lock()  # Python's logging has threads
        self.n_lines = 0  # so far

    def add(self, level, event, text_of):
        """As Log.event has them: text_of(event) is the line."""
        with self._lock:
            self.n_lines += 1
            self._lines.append((self._now(), level, event, text_of))

    def after(self, number, limit):
        """(lines, how many were left out before them): the last `limit` lines after a number.

        A line is (number, time as a text, level, text).
        """
        with self._lock:
            first = self.n_lines - len(self._lines) + 1
            start = max(first, self.n_lines - limit + 1, number + 1)
            entries = list(itertools.islice(self._lines, start - first, None))
        found = []
        for i, (at, level, event, text_of) in enumerate(entries, start):
            stamp = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
            found.append((i, stamp[:-6] + "Z", level, text_of(event)))
        return found, max(0, start - 1 - number)
