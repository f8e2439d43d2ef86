"""The asyncio pump: a role as one task beside the application's own.

asyncio.create_task(aio.run(role, links, system.ticks_ms, tell))
"""

import asyncio

from micropython import const
from msgin5g.port.event_loop import act, collect

# asyncio has no datagrams on MicroPython: sockets are looked at this often. An answer is late by
# at most as much, which is little beside CoAP's two seconds.
_LOOK_MS = const(20)


async def run(role, links, ticks_ms, tell, trace=None):
    """Run a role until `tell(event)` gives true."""
    while not act(role, links, ticks_ms(), tell, trace):
        wait_ms = role.wait_ms(ticks_ms())
        await asyncio.sleep((_LOOK_MS if wait_ms is None else min(wait_ms, _LOOK_MS)) / 1000)
        collect(role, links, ticks_ms, trace)
