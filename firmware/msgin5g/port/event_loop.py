"""The blocking loop: drives the verbs of a node and waits in between.

event_loop_asyncio.py does the same beside an application's own tasks; only the waiting differs.
"""

import select

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter

_LONGEST_MS = const(60000)  # moments must not grow older than half the clock's period
_MAX_BATCH = const(16)  # datagrams that the node takes before it may answer
_MAX_WAITING = const(16)  # datagrams in an inbox,
_INBOX_SIZE = const(3072)  # and bytes of them; beyond either they stay at the sockets


class Inbox:
    """Datagrams that were read from the transports and wait for the node, the oldest first.

    On a board the network stack keeps four datagrams for a socket and drops the next one. So the
    sockets are drained between all that takes time. It has all its memory from the start, but for
    the datagrams. poll: a function of milliseconds that gives what is ready, for a test.
    n_waiting: how many datagrams wait. transport: the number of that of the last one taken.
    """

    def __init__(self, transports, poll=None):
        self._transports = transports
        self._waiting = [None] * _MAX_WAITING  # a ring of (datagram, remote)
        self._came_on = bytearray(_MAX_WAITING)  # transports of these
        self._first = 0
        self._size = 0
        self.n_waiting = 0
        self.transport = 0
        if poll is None:
            poller = select.poll()
            for transport in transports:
                poller.register(transport.socket, select.POLLIN)
            poll = getattr(
                poller, "ipoll", poller.poll
            )  # ipoll takes no heap after the first time
            poll(0)
        self.wait = poll

    def drain(self):
        """Read what has come, as far as there is room."""
        transports = self._transports
        has_come = True  # else there is an error of the network, or a piece of a datagram
        while has_come and self._has_room() and self._is_ready():
            has_come = False
            for i in range(len(transports)):
                arrived = transports[i].receive() if self._has_room() else None
                if arrived is not None:
                    has_come = True
                    at = (self._first + self.n_waiting) % _MAX_WAITING
                    self._waiting[at] = arrived
                    self._came_on[at] = i
                    self._size += len(arrived[0])
                    self.n_waiting += 1

    def _has_room(self):
        return self.n_waiting < _MAX_WAITING and self._size < _INBOX_SIZE

    def _is_ready(self):
        for _ in self.wait(0):
            return True
        return False

    def take(self):
        """(datagram, remote) of the oldest one."""
        first = self._first
        arrived = self._waiting[first]
        self._waiting[first] = None
        self.transport = self._came_on[first]
        self._first = (first + 1) % _MAX_WAITING
        self._size -= len(arrived[0])
        self.n_waiting -= 1
        return arrived


def act(node, transports, now, emit, trace, inbox):
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
        inbox.drain()
    while True:
        out = node.transmit(now)
        if out is None:
            return ended
        if trace is not None:
            trace(True, out[1], out[2])
        transports[out[0]].send(out[1], out[2])
        inbox.drain()


def collect(node, inbox, ticks_ms, trace):
    """Hand the datagrams that have arrived to the node."""
    inbox.drain()
    for _ in range(_MAX_BATCH):
        if not inbox.n_waiting:
            break
        arrived = inbox.take()
        if trace is not None:
            trace(False, arrived[0], arrived[1])
        node.receive(inbox.transport, arrived[0], arrived[1], ticks_ms())
        inbox.drain()


def run(node, transports, ticks_ms, emit, trace=None, limit_ms=None):
    """Run until `emit(event)` is true, which gives true, or for `limit_ms`."""
    end_at = None if limit_ms is None else add(ticks_ms(), limit_ms)
    inbox = Inbox(transports)
    while not act(node, transports, ticks_ms(), emit, trace, inbox):
        wait_ms = shorter(node.wait_ms(ticks_ms()), _LONGEST_MS)
        if end_at is not None:
            left_ms = diff(end_at, ticks_ms())
            if left_ms < 0:
                return False
            wait_ms = min(wait_ms, left_ms)
        if not inbox.n_waiting:
            inbox.wait(wait_ms)
        collect(node, inbox, ticks_ms, trace)
    return True
