"""Lines to stdout or stderr that never wait for their reader.

A terminal that is stopped, a pager, or a log collector that hangs blocks whoever writes to it. So
a thread of its own writes, and the lines wait in a queue of limited length. When the queue is
full, or the reader cannot take more (a full disk), lines are dropped and counted; the number is
written as soon as there is room again.
"""

import os
import queue
import threading
import time

MAX_LINES = 10_000
_CLOSE_S = 1.0
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

    def _drop(self):
        with self._lock:
            self.n_dropped += 1

    def _run(self):
        line = ""
        while line is not _END:
            line = self._queue.get()
            try:
                n_dropped = self.n_dropped
                if n_dropped > self._n_told:
                    self._put(self._dropped_line(n_dropped - self._n_told))
                    self._n_told = n_dropped
                if line is not _END:
                    self._put(line)
            except BrokenPipeError:
                self._fd = None  # the reader has gone, and does not come back
            except OSError:
                if line is not _END:
                    self._drop()

    def _put(self, line):
        data = f"{line}\n".encode(self._encoding, "backslashreplace")
        while data and self._fd is not None:
            # Not by print: a lock of sys.stdout would hold up the end of the process.
            data = data[os.write(self._fd, data) :]
