"""The fuzzer's target in general: a role, its clock, and the rules for all that it sends.

A target has `feed()`, one hostile case, and `rest()`, after which it is in the same state as
after every other rest: what it holds in memory then must not have grown. `last` is what it was
given last, for the report of a failure.
"""

from msgin5g.coap.numbers import MAX_MESSAGE_SIZE
from msgin5g.coap.ticks import add

STRANGER = ("203.0.113.9", 65401)
SERVER_URI = b"coap://scm.example"
START = 0x3FFFFFFF - 5000  # the clock wraps soon
QUIET_MS = 300000  # longer than the lifetime of any exchange or message ID
_MAX_REPLIES = 64  # datagrams that one datagram, or a step in time, may cause


class Node:
    """A target that is a role; `peers` are the addresses that it may send to.

    restarts: it is a new one from time to time.
    """

    def __init__(self, chance, peers, restarts):
        self.chance = chance
        self.role = None
        self.now = START
        self.last = b""
        self.largest = 0
        self.most = 0
        self.counters = {}
        self._restarts = restarts
        self._peers = peers

    def maybe_restart(self):
        """Restart now and then: a fault that ends a state for good would hide all others."""
        if self._restarts and self.chance.below(200) == 0:
            self.count()
            self.restart()

    def count(self):
        """Add the role's counters to the sums."""
        for name, n in self.role.counters.items():
            self.counters[name] = self.counters.get(name, 0) + n
        self.role.counters.clear()

    def deliver(self, datagram, remote, transport=0):
        """Pass one datagram to the role, and check what it sends."""
        self.last = datagram
        self.role.receive(transport, datagram, remote, self.now)
        self.act()

    def act(self):
        role = self.role
        now = self.now
        role.step(now)
        n = 0
        while True:
            out = role.transmit(now)
            if out is None:
                break
            _, datagram, remote = out
            size = len(datagram)
            assert 4 <= size <= MAX_MESSAGE_SIZE, size
            # Only an empty message may go to an unknown peer, or to a UE whose link is down.
            assert size == 4 or remote in self._peers, remote
            self.largest = max(self.largest, size)
            if size > 4:
                self.sent(datagram, remote)
            n += 1
        assert n <= _MAX_REPLIES, n
        self.most = max(self.most, n)
        while role.poll() is not None:
            pass
        wait = role.wait_ms(now)
        assert wait is None or wait >= 0, wait

    def pass_time(self, ms):
        self.now = add(self.now, ms)
        self.act()

    def sent(self, datagram, remote):
        """Remember the requests that may be answered."""
