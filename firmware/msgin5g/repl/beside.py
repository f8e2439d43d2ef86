"""How a Node runs that has an application or a prompt: in asyncio, if one of them wants that."""

import sys


def run_with(node, run):
    """The `run` of such a Node; run: that of a plain one, which waits in a blocking loop."""

    def either(ms):
        if ms is not None:  # a program has a loop of its own, or a person lets a node work
            return run(ms)
        coroutine = node.app and node.app.start()
        if coroutine or node.prompt:
            return _in_asyncio(node, coroutine)
        return run(None)

    return either


def _in_asyncio(node, coroutine):
    import asyncio

    try:
        asyncio.run(_beside(node, coroutine))
    finally:
        node.prompt = None
        if sys.implementation.name == "micropython":
            asyncio.new_event_loop()  # its tasks would go on in the next run


async def _beside(node, coroutine):
    import asyncio

    from msgin5g.port.event_loop_asyncio import run
    from msgin5g.port.system import ticks_ms

    def trace(out, datagram, remote):
        if node.trace:  # it may change meanwhile
            node.trace(out, datagram, remote)

    tell = node.say
    tasks = []
    if coroutine:
        asyncio.get_event_loop().set_exception_handler(node.app.failed)
        tasks.append(asyncio.create_task(node.app.guard(coroutine)))
    if node.prompt:
        from msgin5g.repl.prompt import Prompt

        node.prompt = Prompt(node, tell)
        tell = node.prompt.tell
        tasks.append(asyncio.create_task(node.prompt.run()))
    await run(node, node.links, ticks_ms, tell, trace)
