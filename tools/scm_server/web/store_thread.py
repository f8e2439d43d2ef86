"""A thread with a Store of its own: no query of a page holds up the loop of the CoAP server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

_MAX_WAITING = 32


class Busy(Exception):
    """Too many pages wait for the database."""


class StoreThread:
    """`await call(function, ...)` is function(store, ...), run in the thread.

    open_store() is called there, the first time and after the connection was lost. At most 32
    calls wait; then Busy.
    """

    def __init__(self, open_store):
        self._open_store = open_store
        self._store = None
        self._n_waiting = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="web")

    async def call(self, function, *arguments):
        if self._n_waiting >= _MAX_WAITING:
            raise Busy
        self._n_waiting += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._run, function, arguments)
        finally:
            self._n_waiting -= 1

    async def close(self):
        """Wait for the calls so far, then close the Store where it was opened."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown(wait=False)

    def _run(self, function, arguments):
        if self._store is not None and self._store.is_away:
            self._close()
        if self._store is None:
            self._store = self._open_store()
        return function(self._store, *arguments)

    def _close(self):
        if self._store is not None:
            self._store.close()
            self._store = None
