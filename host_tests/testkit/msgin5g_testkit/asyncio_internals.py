"""One asyncio loop for each board, on the virtual clock: a `Tasks` runs until all its tasks wait.

CPython's loop is made for that: it asks a selector to wait. MicroPython's asyncio has one loop in
global variables, and this file is the one place that exchanges them.
"""

import asyncio
import sys

_HOUR_MS = 3600000


def new_tasks(clock, handler):
    """Tasks of one board. clock: has elapsed_ms. handler: for exceptions of tasks, see asyncio."""
    if sys.implementation.name == "micropython":
        return _MicroPythonTasks(clock, handler)
    from msgin5g_testkit.cpython import Tasks

    return Tasks(clock, handler)


class _Idle(BaseException):
    """Every task waits."""


class _MicroPythonTasks:
    """due_at: elapsed_ms at which a task wants to run; None: none before something happens."""

    def __init__(self, clock, handler):
        from asyncio import core

        self._core = core
        self._clock = clock
        self._handler = handler
        # C code queues a task that is ready under the real time: the virtual time is ahead of it.
        self._start_at = core.ticks() + _HOUR_MS
        self._globals = self._exchange(None)
        asyncio.new_event_loop()
        self._globals = self._exchange(self._globals)
        self.map = {0: None}  # as an IOQueue: there is something to wait for
        self.due_at = None

    def _exchange(self, values):
        """Set the loop's variables, unless values is None; what they were before."""
        core = self._core
        before = (core._task_queue, core._io_queue, core.cur_task, core.ticks, core._exc_context,
                  core.Loop._exc_handler)  # fmt: skip
        if values is not None:
            (core._task_queue, core._io_queue, core.cur_task, core.ticks, core._exc_context,
             core.Loop._exc_handler) = values  # fmt: skip
        return before

    def _ticks(self):
        return self._core.ticks_add(self._start_at, self._clock.elapsed_ms)

    def _call(self, function):
        queue, _, task, _, context, _ = self._globals
        outside = self._exchange((queue, self, task, self._ticks, context, self._handler))
        try:
            return function()
        finally:
            self._globals = self._exchange(outside)

    def create(self, coroutine):
        """Add a task."""
        self._call(lambda: asyncio.create_task(coroutine))

    def run(self):
        """Run the tasks that are ready, until all of them wait."""
        try:
            self._call(self._core.run_until_complete)
        except _Idle:
            pass

    def wait_io_event(self, ms):
        """The loop waits: an IOQueue's method."""
        if ms:
            self.due_at = None if ms < 0 else self._clock.elapsed_ms + ms
            raise _Idle()

    def set(self, event):
        """Set an asyncio.Event of one of the tasks."""
        self._call(event.set)

    def stop(self):
        """Leave `run` soon: an exception does it here."""

    def close(self):
        """Drop the tasks, as a reset does."""
        self._globals = None
