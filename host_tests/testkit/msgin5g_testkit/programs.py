"""A node beside the asyncio program of its application, on the virtual clock.

The firmware's event_loop_asyncio drives the node. Only its waiting is another one: it polls the
sockets every 20 ms, which would cost 180,000 polls for an hour. Here it waits until there is a
datagram, or until the node has something to do.
"""

import asyncio

from msgin5g.coap.ticks import shorter
from msgin5g.port import event_loop_asyncio, system
from msgin5g_testkit.asyncio_internals import new_tasks


class _Waiting:
    """In place of the module asyncio in event_loop_asyncio, which sleeps between two polls."""

    def __init__(self):
        self.event = asyncio.Event()

    async def sleep(self, seconds):
        await self.event.wait()
        self.event.clear()


class Program:
    """The coroutine of an application and the loop of its node. clock: has elapsed_ms."""

    def __init__(self, node, coroutine, clock, has_arrived):
        self._node = node
        self._clock = clock
        self._has_arrived = has_arrived
        self._waiting = _Waiting()
        self._tasks = new_tasks(clock, node.application.failed)
        self._tasks.create(node.application.guard(coroutine))
        loop = event_loop_asyncio.run(node, node.transports, system.ticks_ms, node.print_event)
        self._tasks.create(loop)

    def run(self, now):
        """Run until all tasks wait."""
        if self._node_wait_ms(now) == 0:
            self._tasks.set(self._waiting.event)
        before = event_loop_asyncio.asyncio
        event_loop_asyncio.asyncio = self._waiting
        try:
            self._tasks.run()
        finally:
            event_loop_asyncio.asyncio = before

    def wait_ms(self, now):
        """Milliseconds until a task or the node has something to do; None: nothing by itself."""
        due_at = self._tasks.due_at
        wait = None if due_at is None else max(due_at - self._clock.elapsed_ms, 0)
        return shorter(wait, self._node_wait_ms(now))

    def stop(self):
        """Leave `run` soon."""
        self._tasks.stop()

    def close(self):
        """Drop the tasks, as a reset does."""
        self._tasks.close()

    def _node_wait_ms(self, now):
        return 0 if self._has_arrived() else self._node.wait_ms(now)
