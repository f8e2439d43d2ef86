"""What a board has printed: kept, searched and waited for, without taking it from the port."""

import re
import threading
import time


class Console:
    """The last `limit` bytes of output. Positions count from the first byte ever printed."""

    def __init__(self, limit=1 << 20):
        self._limit = limit
        self._kept = bytearray()
        self._start = 0
        self._closed = False
        self._changed = threading.Condition()

    def append(self, data):
        with self._changed:
            self._kept += data
            excess = len(self._kept) - self._limit
            if excess > 0:
                del self._kept[:excess]
                self._start += excess
            self._changed.notify_all()

    def close(self):
        """No more output comes: every wait ends at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def mark(self):
        """The position of what will be printed next: pass it as `since`."""
        with self._changed:
            return self._start + len(self._kept)

    def raw(self, since=0):
        with self._changed:
            return bytes(self._kept[max(0, since - self._start) :])

    def text(self, since=0):
        """Everything from `since` on as text; line ends are newlines."""
        return self.raw(since).decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, pattern, timeout=10.0, since=0):
        """The first match of a regular expression; TimeoutError shows what came instead."""
        expression = re.compile(pattern)
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self.text(since)
                match = expression.search(text)
                if match:
                    return match
                if not self._wait(until):
                    raise TimeoutError(
                        f"no {pattern!r} on the board's console, but: {text[-500:]!r}"
                    )

    def lines(self, timeout=10.0, since=0):
        """Complete lines as they come, without their ends, until the board is switched off.

        TimeoutError after `timeout` seconds in all.
        """
        until = time.monotonic() + timeout
        while True:
            with self._changed:
                since = max(since, self._start)
                while b"\n" not in self._kept[since - self._start :]:
                    if self._closed:
                        return
                    if not self._wait(until):
                        raise TimeoutError(f"no further line on the console in {timeout} s")
                    since = max(since, self._start)
                at = since - self._start
                end = self._kept.index(b"\n", at)
                line = bytes(self._kept[at:end])
                since += end + 1 - at
            yield line.decode("utf-8", "replace").rstrip("\r")

    def _wait(self, until):
        return not self._closed and self._changed.wait(until - time.monotonic())
