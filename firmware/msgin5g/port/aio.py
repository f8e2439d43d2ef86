"""The asyncio pump: a role as one task beside the application's own.

asyncio.create_task(aio.run(role, links, system.ticks_ms, tell))
"""

import asyncio
import sys

from micropython import const
from msgin5g.port.loop import act, collect

# asyncio has no datagrams on MicroPython: sockets are looked at this often. An answer is late by
# at most as much, which is little beside CoAP's two seconds.
_LOOK_MS = const(20)


async def run(role, links, ticks_ms, tell, trace=None):
    """Run a role until `tell(event)` gives true."""
    while not act(role, links, ticks_ms(), tell, trace):
        wait_ms = role.wait_ms(ticks_ms())
        await asyncio.sleep((_LOOK_MS if wait_ms is None else min(wait_ms, _LOOK_MS)) / 1000)
        collect(role, links, ticks_ms, trace)


def run_beside(node, coroutine):
    """Run a Node in asyncio, beside its application's coroutine and the prompt, until it ends."""
    try:
        asyncio.run(_beside(node, coroutine))
    finally:
        node.console.prompt = None
        if sys.implementation.name == "micropython":
            asyncio.new_event_loop()  # its tasks would go on in the next run


async def _beside(node, coroutine):
    from msgin5g.port.system import ticks_ms

    tasks = []
    console = node.console
    if coroutine:
        asyncio.get_event_loop().set_exception_handler(node.app.failed)
        tasks.append(asyncio.create_task(node.app.guard(coroutine)))
    if node.prompt:
        from msgin5g.port.prompt import Prompt

        console.prompt = Prompt(node)
        tasks.append(asyncio.create_task(console.prompt.run()))
    await run(node, node.links, ticks_ms, console.tell, console.trace)
