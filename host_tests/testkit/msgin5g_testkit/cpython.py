"""CPython gets the modules of MicroPython (the folder shim), and a loop on the virtual clock."""

import asyncio
import math
import selectors
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

SHIM = Path(__file__).resolve().parent / "shim"
_MAX_ROUNDS = 100  # for tasks that catch their cancellation


def add_shims() -> None:
    """Put the shims on the path, behind everything else, and add time.ticks_ms and its like."""
    if str(SHIM) not in sys.path:
        sys.path.append(str(SHIM))
    __import__("micropython")  # adds what MicroPython's `time` has


class _Selector(selectors.SelectSelector):
    """Where the loop would wait it stops; `timeout` is how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: Callable[[], None] = lambda: None
        self.timeout: float | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self.timeout = timeout
            self.stop()
        return []


class Tasks(asyncio.SelectorEventLoop):
    """The tasks of one board. due_at: elapsed_ms at which one wants to run; None: none by itself.

    clock: has elapsed_ms. handler: for exceptions of tasks, see asyncio.
    """

    def __init__(self, clock: Any, handler: Callable[..., None]) -> None:
        self._clock = clock
        self._waits = _Selector()
        self._waits.stop = self.stop
        self.due_at: int | None = None
        super().__init__(self._waits)
        self.set_exception_handler(handler)

    def time(self) -> float:
        return float(self._clock.elapsed_ms) / 1000

    def create(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Add a task."""
        self.create_task(coroutine)

    def run(self) -> None:
        """Run the tasks that are ready, until all of them wait."""
        self.run_forever()
        timeout, now = self._waits.timeout, self._clock.elapsed_ms
        self.due_at = None if timeout is None else now + max(math.ceil(timeout * 1000 - 1e-6), 1)

    def set(self, event: asyncio.Event) -> None:
        """Set an asyncio.Event of one of the tasks."""
        event.set()

    def close(self) -> None:
        """Drop the tasks, as a reset does."""
        self.set_exception_handler(lambda loop, context: None)
        for _ in range(_MAX_ROUNDS):
            tasks = asyncio.all_tasks(self)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self.run_forever()
        super().close()
