"""What has changed in the database, by this process or by another one, for the observers."""

import asyncio

from msgin5g_tools.scm_server.problem import DatabaseError


class ChangeFollower:
    """Reads the log of changes: at once after `hurry()`, else every `poll_s` seconds."""

    def __init__(self, store, observers, poll_s):
        self._store = store
        self._observers = observers
        self._poll_s = poll_s
        self._hurried = asyncio.Event()
        self._state = store.state()
        self._number = store.last_change()

    def hurry(self):
        self._hurried.set()

    async def run(self):
        """Follow, for ever."""
        while True:
            try:
                await asyncio.wait_for(self._hurried.wait(), self._poll_s)
            except (TimeoutError, asyncio.TimeoutError):
                pass
            self._hurried.clear()
            try:
                await self._follow()
            except DatabaseError:
                pass  # locked, or away: the next turn will see the changes

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
