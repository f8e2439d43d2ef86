"""The blocking loop: drives the verbs of a node and waits in between.

event_loop_asyncio.py does the same beside an application's own tasks; only the waiting differs.
"""

import select

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter

_LONGEST_MS = const(60000)  # moments must not grow older than half the clock's period
_MAX_BATCH = const(16)  # datagrams taken from one transport before the node may answer


def act(node, transports, now, emit, trace):
    """Print the node's events, let it act at this moment, send what it has to send.

    True when `emit(event)` was true, which ends the run; the acknowledgement of the message that
    caused the event is still sent. trace: None, or a function of (out, datagram, remote) for every
    datagram.
    """
    ended = False
    while not ended:
        event = node.poll()
        if event is None:
            node.step(now)
            break
        ended = emit(event)
    while True:
        out = node.transmit(now)
        if out is None:
            return ended
        if trace is not None:
            trace(True, out[1], out[2])
        transports[out[0]].send(out[1], out[2])


def collect(node, transports, ticks_ms, trace):
    """Hand the datagrams that have arrived to the node."""
    for i in range(len(transports)):
        for _ in range(_MAX_BATCH):
            arrived = transports[i].receive()
            if arrived is None:
                break
            if trace is not None:
                trace(False, arrived[0], arrived[1])
            node.receive(i, arrived[0], arrived[1], ticks_ms())


def run(node, transports, ticks_ms, emit, trace=None, limit_ms=None):
    """Run until `emit(event)` is true, which gives true, or for `limit_ms`."""
    end_at = None if limit_ms is None else add(ticks_ms(), limit_ms)
    poller = select.poll()
    for transport in transports:
        poller.register(transport.socket, select.POLLIN)
    while not act(node, transports, ticks_ms(), emit, trace):
        wait_ms = shorter(node.wait_ms(ticks_ms()), _LONGEST_MS)
        if end_at is not None:
            left_ms = diff(end_at, ticks_ms())
            if left_ms < 0:
                return False
            wait_ms = min(wait_ms, left_ms)
        poller.poll(wait_ms)
        collect(node, transports, ticks_ms, trace)
    return True
