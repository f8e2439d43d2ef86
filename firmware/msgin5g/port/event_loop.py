"""The blocking loop: drives the verbs of a role and waits in between.

`aio` does the same beside an application's own asyncio tasks; only the waiting differs.
"""

import select

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter

_LONGEST_MS = const(60000)  # moments must not grow older than half the clock's period
_BATCH = const(16)  # datagrams taken from a link before the role may answer


def act(role, links, now, tell, trace):
    """Tell the role's events, let it act at this moment, carry what it sends.

    True when `tell(event)` said that this was the end; the acknowledgement of what has brought
    it is sent all the same. trace: None, or a function of (out, datagram, remote) for every
    datagram.
    """
    ended = False
    while not ended:
        event = role.poll()
        if event is None:
            role.step(now)
            break
        ended = tell(event)
    while True:
        out = role.transmit(now)
        if out is None:
            return ended
        if trace is not None:
            trace(True, out[1], out[2])
        links[out[0]].send(out[1], out[2])


def collect(role, links, ticks_ms, trace):
    """Take what has arrived to the role."""
    for i in range(len(links)):
        for _ in range(_BATCH):
            arrived = links[i].receive()
            if arrived is None:
                break
            if trace is not None:
                trace(False, arrived[0], arrived[1])
            role.receive(i, arrived[0], arrived[1], ticks_ms())


def run(role, links, ticks_ms, tell, trace=None, limit_ms=None):
    """Run a role until `tell(event)` gives true, which gives true, or for `limit_ms`."""
    end_at = None if limit_ms is None else add(ticks_ms(), limit_ms)
    poller = select.poll()
    for transport in links:
        poller.register(transport.socket, select.POLLIN)
    while not act(role, links, ticks_ms(), tell, trace):
        wait_ms = shorter(role.wait_ms(ticks_ms()), _LONGEST_MS)
        if end_at is not None:
            left_ms = diff(end_at, ticks_ms())
            if left_ms < 0:
                return False
            wait_ms = min(wait_ms, left_ms)
        poller.poll(wait_ms)
        collect(role, links, ticks_ms, trace)
    return True
