"""A virtual network with a virtual clock: loss, duplication, delay and reordering, in no time.

A node has the four verbs of a role. It is added under its address, an opaque remote; every
datagram that it transmits is carried to the node of that address. What happens to a datagram on
its way is decided by `link_model`, a function of (number of the datagram, datagram) that gives
the list of its delays in ms: [] is lost, [5] arrives, [5, 80] arrives twice.

    sim = NetworkSim()
    sim.add(SERVER, server)
    sim.add(UE, ue)
    sim.run(lambda: server.n_served == 1)
"""

from msgin5g_testkit.checks import xorshift

_MASK = 0x3FFFFFFF


def chance(seed, loss=0, duplication=0, max_delay_ms=50):
    """A link model with chance, in percent; the same seed gives the same losses everywhere."""
    random = xorshift(seed)

    def number():
        return (random() << 8 | random()) * 100 >> 16

    def link_model(n, datagram):
        if number() < loss:
            return []
        delays = [1 + number() * max_delay_ms // 100]
        if number() < duplication:
            delays.append(1 + number() * max_delay_ms // 100)
        return delays

    return link_model


def all_but(lost=(), twice=(), late=(), late_ms=5000):
    """A link model for chosen datagrams, counted from 0; all others arrive after 10 ms."""

    def link_model(n, datagram):
        if n in lost:
            return []
        if n in twice:
            return [10, 30]
        if n in late:
            return [late_ms]
        return [10]

    return link_model


class NetworkSim:
    """Nodes, the clock and the datagrams under way. The clock starts just before its wrap.

    record: keep (ms since the start, source, destination, datagram) of all that is sent in `log`.
    on_send(source, destination, datagram): called for each datagram, also for those lost later.
    """

    def __init__(self, link_model=None, start=_MASK - 700, record=True, on_send=None):
        self._on_send = on_send
        self.now = start
        self.elapsed_ms = 0
        self.log = []
        self.n_sent = 0
        self.largest = 0
        self.link_model = link_model or all_but()
        self.record = record
        self.nodes = {}
        # The addresses as added: MicroPython has tuples in a dict in another order each run.
        self._order = []
        self._links = {}
        self._air = []  # (arrives at elapsed_ms, number, source, destination, datagram)

    def add(self, address, node, transport=0):
        """Connect a node; a node with several links is added once for each, with its address."""
        if address not in self.nodes:
            self._order.append(address)
        self.nodes[address] = node
        self._links[address] = transport

    def remove(self, address):
        """Take a node out of the network."""
        del self.nodes[address]
        self._order.remove(address)

    @property
    def n_in_air(self):
        """How many datagrams are on their way."""
        return len(self._air)

    def send(self, source, destination, datagram, delay_ms=1):
        """Put a datagram into the air by hand."""
        self._air.append((self.elapsed_ms + delay_ms, self.n_sent, source, destination, datagram))
        self.n_sent += 1

    def run(self, done=None, limit_ms=600000):
        """Let time pass until `done()`; true when it came true within limit_ms."""
        end = self.elapsed_ms + limit_ms
        while True:
            self.settle()
            if done is not None and done():
                return True
            if self.elapsed_ms >= end:
                return False
            self.advance(end)

    def advance(self, end):
        """Let time pass until something happens, or until elapsed_ms is `end`."""
        wait = end - self.elapsed_ms
        for node in self.nodes.values():
            ms = self._wait_ms(node)
            if ms is not None and ms < wait:
                wait = ms
        for flying in self._air:
            wait = min(wait, flying[0] - self.elapsed_ms)
        self._pass(max(wait, 1))

    def _wait_ms(self, node):
        """How long a node waits once its events are polled: here they stay for the test."""
        ue = getattr(node, "own", None) or node
        events = getattr(ue, "events", None)
        if not events:
            return node.wait_ms(self.now)
        ue.events = []
        wait = node.wait_ms(self.now)
        ue.events = events
        return wait

    def _pass(self, ms):
        self.elapsed_ms += ms
        self.now = (self.now + ms) & _MASK
        arrived = [f for f in self._air if f[0] <= self.elapsed_ms]
        self._air = [f for f in self._air if f[0] > self.elapsed_ms]
        arrived.sort()
        for _, _, source, destination, datagram in arrived:
            node = self.nodes.get(destination)
            if node is not None:
                node.receive(self._links[destination], datagram, source, self.now)

    def settle(self):
        """Let every node do and send what it can at this moment."""
        for address in list(self._order):
            node = self.nodes[address]
            node.step(self.now)
            while True:
                out = node.transmit(self.now)
                if out is None:
                    break
                self._carry(self._source(address, node, out[0]), out[2], bytes(out[1]))

    def _source(self, address, node, transport):
        """The address that a node has on the link it sends on."""
        if self._links[address] == transport:
            return address
        for other in self._order:
            if self.nodes[other] is node and self._links[other] == transport:
                return other
        return address

    def _carry(self, source, destination, datagram):
        self.largest = max(self.largest, len(datagram))
        if self.record:
            self.log.append((self.elapsed_ms, source, destination, datagram))
        if self._on_send is not None:
            self._on_send(source, destination, datagram)
        for delay_ms in self.link_model(self.n_sent, datagram):
            self._air.append(
                (self.elapsed_ms + delay_ms, self.n_sent, source, destination, datagram)
            )
        self.n_sent += 1
