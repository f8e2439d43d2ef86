"""The same loop as one asyncio task, beside the application's own tasks.

asyncio.create_task(event_loop_asyncio.run(node, transports, ticks_ms, emit))
"""

import asyncio

from micropython import const
from msgin5g.port.event_loop import act, collect

# asyncio has no datagrams on MicroPython, so the sockets are polled. An answer is late by at most
# this long, which is little compared with CoAP's ACK_TIMEOUT of two seconds.
_POLL_MS = const(20)


async def run(node, transports, ticks_ms, emit, trace=None):
    """Run until `emit(event)` is true."""
    while not act(node, transports, ticks_ms(), emit, trace):
        wait_ms = node.wait_ms(ticks_ms())
        await asyncio.sleep((_POLL_MS if wait_ms is None else min(wait_ms, _POLL_MS)) / 1000)
        collect(node, transports, ticks_ms, trace)
