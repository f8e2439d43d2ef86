"""What has changed in the database, by this process or by another one, for the observers."""

import asyncio
import os
from contextlib import suppress

from msgin5g_tools.scm_server.problem import DatabaseError

_RETRY_S = 0.25


class ChangeFollower:
    """Reads the log of changes: after `wake()` and when the database tells, else every `poll_s`.

    It also connects again to a database that was away, and then catches up.
    """

    def __init__(self, store, observers, poll_s):
        self._store = store
        self._observers = observers
        self._poll_s = poll_s
        self._woken = asyncio.Event()
        self._state = store.state()
        self._number = store.last_change()
        self._fd = None  # a copy, because the library closes its own when it likes

    def wake(self):
        self._woken.set()

    async def run(self):
        """Follow, for ever."""
        try:
            self._listen()
            while True:
                wait_s = _RETRY_S if self._store.is_away else self._poll_s
                with suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), wait_s)
                self._woken.clear()
                try:
                    if self._store.is_away:
                        await self._connect()
                    await self._follow()
                except DatabaseError:
                    pass  # locked, or away: the next turn will see the changes
        finally:
            self._stop_listening()

    async def _connect(self):
        self._stop_listening()
        await asyncio.to_thread(self._store.connect)  # it may take seconds
        self._listen()

    async def _follow(self):
        state = self._store.state()
        if state == self._state:
            return
        more = True
        while more:
            self._number, names, more = self._store.changes_since(self._number)
            self._observers.changed(names)
            await asyncio.sleep(0)
        self._state = state

    def _listen(self):
        fd = self._store.fileno()
        if fd is not None:
            self._fd = os.dup(fd)
            asyncio.get_running_loop().add_reader(self._fd, self.wake)

    def _stop_listening(self):
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
