"""Whether the database is whole: all of it is read now and then, and a request may meet damage."""

import asyncio

from msgin5g_tools.scm_server.problem import DatabaseError


class Integrity:
    """`fault`: None, or in one line what is damaged. on_fault(error): called when that is new."""

    def __init__(self, store, period_s, on_fault):
        self._store = store
        self._period_s = period_s
        self._on_fault = on_fault
        self.fault = None

    def met(self, error):
        """Something of the database could not be read."""
        self._found(str(error))

    async def run(self):
        """Check, for ever; in a thread, so that requests go on."""
        while True:
            await asyncio.sleep(self._period_s)
            self._found(await asyncio.to_thread(self._store.damage))

    def _found(self, fault):
        is_new = fault is not None and self.fault is None
        self.fault = fault and f"it cannot be read: {fault}"
        if is_new:
            self._on_fault(DatabaseError(self.fault))
