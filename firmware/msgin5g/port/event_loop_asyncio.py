"""The same loop in asyncio, beside the tasks of the application and the prompt.

A program with a loop of its own starts it as one of its tasks:

    asyncio.create_task(event_loop_asyncio.run(node, transports, ticks_ms, emit))
"""

import asyncio
import sys

from micropython import const
from msgin5g.port.event_loop import Inbox, act, collect

# asyncio has no datagrams on MicroPython, so the sockets are polled. An answer is late by at most
# this long, which is little compared with CoAP's ACK_TIMEOUT of two seconds.
_POLL_MS = const(20)


async def run(node, transports, ticks_ms, emit, trace=None):
    """Run until `emit(event)` is true."""
    inbox = Inbox(transports)
    while not act(node, transports, ticks_ms(), emit, trace, inbox):
        wait_ms = 0 if inbox.n_waiting else node.wait_ms(ticks_ms())
        await asyncio.sleep((_POLL_MS if wait_ms is None else min(wait_ms, _POLL_MS)) / 1000)
        collect(node, inbox, ticks_ms, trace)


def run_beside(node, coroutine, ticks_ms):
    """Run a Node until it ends, beside its prompt and its application's coroutine, or None."""
    try:
        asyncio.run(_run_beside(node, coroutine, ticks_ms))
    finally:
        if sys.implementation.name == "micropython":
            asyncio.new_event_loop()  # else its tasks would go on in the next run


async def _run_beside(node, coroutine, ticks_ms):
    def trace(out, datagram, remote):
        if node.trace:  # repl.trace() sets it while the node runs
            node.trace(out, datagram, remote)

    emit = node.print_event
    tasks = []
    if coroutine:
        asyncio.get_event_loop().set_exception_handler(node.application.failed)
        tasks.append(asyncio.create_task(node.application.guard(coroutine)))
    if node.prompt:
        emit = node.prompt.emit
        tasks.append(asyncio.create_task(node.prompt.run()))
    await run(node, node.transports, ticks_ms, emit, trace)
