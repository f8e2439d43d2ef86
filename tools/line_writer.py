"""Lines to stdout or stderr that never wait for their reader.

A terminal that is stopped, a pager, or a log collector that hangs blocks whoever writes to it. So
a thread of its own writes, and the lines wait in a queue of limited length. When the queue is
full, or the reader cannot take more (a full disk), lines are dropped and counted; the number is
written as soon as there is room again. The first line is written at once, those that follow soon
are gathered for a moment: to wake a thread for each costs more than the line.
"""

import os
import queue
import threading
import time
from contextlib import suppress

MAX_LINES = 10_000
_CLOSE_S = 1.0
_GATHER_S = 0.01
_BATCH = 256
_END = None


class LineWriter:
    """`write(line)` returns at once; `n_dropped` is how many lines were dropped so far.

    `dropped_line(n)`: the text that says that n more were dropped.
    """

    def __init__(self, fd, dropped_line, encoding="utf-8", max_lines=MAX_LINES):
        self._fd = fd
        self._dropped_line = dropped_line
        self._encoding = encoding
        self._queue = queue.Queue(max_lines)
        self._lock = threading.Lock()
        self.n_dropped = self._n_told = 0
        # A daemon: the process can end while the thread waits for the reader.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, line):
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._drop()

    def close(self, timeout_s=_CLOSE_S):
        """Wait for the lines so far, but no longer than this."""
        ends_at = time.monotonic() + timeout_s
        try:
            self._queue.put(_END, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(max(0.0, ends_at - time.monotonic()))

    def _drop(self, n=1):
        with self._lock:
            self.n_dropped += n

    def _run(self):
        is_last = False
        while not is_last:
            lines = [self._queue.get()]
            with suppress(queue.Empty):
                while len(lines) < _BATCH:
                    lines.append(self._queue.get_nowait())
            if lines[-1] is _END:
                is_last = True
                lines.pop()
            is_full = len(lines) == _BATCH
            self._put(lines)
            lines = None  # nothing of it stays while this waits
            if not is_last and not is_full:
                time.sleep(_GATHER_S)

    def _put(self, lines):
        """Write them, and before them how many were dropped."""
        n_dropped = self.n_dropped - self._n_told
        if n_dropped:
            lines = [self._dropped_line(n_dropped), *lines]
        data = "".join(f"{line}\n" for line in lines)
        data = data.encode(self._encoding, "backslashreplace")
        n_left = 0
        try:
            while data and self._fd is not None:
                # Not by print: a lock of sys.stdout would hold up the end of the process.
                data = data[os.write(self._fd, data) :]
        except BrokenPipeError:
            self._fd = None  # the reader has gone, and does not come back
        except OSError:
            n_left = data.count(b"\n")
        if n_dropped and n_left == len(lines):
            n_left -= 1  # that line itself
        else:
            self._n_told += n_dropped
        if n_left:
            self._drop(n_left)
