"""A virtual network and clock for thousands of nodes: a node runs only when it has work.

A node has the four verbs of a role, and an address, which is an opaque remote to the others. It
runs when a datagram arrives for it, or when the time that its `wait_ms` returned has passed. A
`link_model` decides about each datagram: a function of (number of the datagram, datagram) that
returns the list of its delays in ms: [] is lost, [5] arrives, [5, 80] arrives twice.

It runs on CPython and on MicroPython. network_sim.py of host_tests/testkit is the same for a few
nodes, with a log.
"""

import heapq

_MASK = 0x3FFFFFFF
_DELAYS = (10,)


class FastNetworkSim:
    """Nodes and the clock, which starts just before its wrap.

    Without a link_model nothing is lost. `run` calls its `done` every check_ms of virtual time.
    wired: addresses to which every datagram arrives once, after 1 ms. on_send(source,
    destination, datagram): called for each datagram, also for those that are lost later.
    """

    def __init__(self, link_model=None, check_ms=100, start=_MASK - 700, wired=(), on_send=None):
        self.now = self._start = start
        self.elapsed_ms = 0
        self.n_sent = 0
        self.largest = 0
        self._link_model = link_model or (lambda n, datagram: _DELAYS)
        self._check_ms = check_ms
        self._wired = wired
        self._on_send = on_send
        self._nodes = {}
        self._transports = {}
        self._sources = {}  # (id of a node, transport) -> its address there
        self._events = []  # (at elapsed_ms, number, source, destination or None, datagram)
        self._n_events = 0
        self._wake_at = {}  # when the node at an address wants to run

    def add(self, address, node, transport=0):
        """Connect a node; one with several transports is added once for each, with its address."""
        self._nodes[address] = node
        self._transports[address] = transport
        self._sources[id(node), transport] = address
        self._at(self.elapsed_ms, None, address, None)

    def _at(self, ms, source, address, datagram):
        self._n_events += 1
        heapq.heappush(self._events, (ms, self._n_events, source, address, datagram))

    def run(self, done=None, limit_ms=600000):
        """Let time pass until `done()`; true when it came true within limit_ms."""
        end = self.elapsed_ms + limit_ms
        check_at = self.elapsed_ms
        while self._events and self._events[0][0] <= end:
            ms, _, source, address, datagram = heapq.heappop(self._events)
            while done is not None and check_at <= ms:
                self._clock(max(check_at, self.elapsed_ms))
                if done():
                    return True
                check_at += self._check_ms
            self._clock(ms)
            node = self._nodes.get(address)
            if node is None:
                continue
            if datagram is not None:
                node.receive(self._transports[address], datagram, source, self.now)
            elif self._wake_at.get(address) not in (None, ms):
                continue  # an earlier wait: the node has returned another one since
            self._act(address, node)
        self._clock(end)
        return done is not None and done()

    def _clock(self, ms):
        self.elapsed_ms = ms
        self.now = (self._start + ms) & _MASK

    def _act(self, address, node):
        node.step(self.now)
        while True:
            out = node.transmit(self.now)
            if out is None:
                break
            source = self._sources[id(node), out[0]]
            if self._on_send is not None:
                self._on_send(source, out[2], out[1])
            wired = out[2] in self._wired
            for delay_ms in (1,) if wired else self._link_model(self.n_sent, out[1]):
                self._at(self.elapsed_ms + delay_ms, source, out[2], bytes(out[1]))
            self.n_sent += 1
            self.largest = max(self.largest, len(out[1]))
        wait_ms = node.wait_ms(self.now)
        if wait_ms is None:
            self._wake_at[address] = None
        else:
            wake_at = self.elapsed_ms + max(wait_ms, 1)
            if self._wake_at.get(address) != wake_at:
                self._wake_at[address] = wake_at
                self._at(wake_at, None, address, None)
