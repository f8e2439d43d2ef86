"""A role: the verbs that an event loop calls, on an endpoint, guarded against a full heap."""

from micropython import const

RESERVE_SIZE = const(1024)  # for the lists of an intermediary, while it repairs its tables


class Role:
    """Interface: what works with an Endpoint and is driven by its verbs.

    receive, step and transmit raise nothing for want of memory: what they were doing is lost, and
    counted under `no_memory`. A subclass does the work in `handle_datagram` and `run_due`, and
    `drop_half_done` repairs its tables, of which one may have an entry that another one lacks.
    reserve_size: bytes of heap that are kept for that.
    """

    def __init__(self, endpoint, reserve_size=0):
        self.endpoint = endpoint
        self.counters = endpoint.counters
        self._n_lost = 0  # not counted yet: that takes memory, too
        self._reserve_size = reserve_size
        self._reserve = bytearray(reserve_size)

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        try:
            self.handle_datagram(transport, datagram, remote, now)
        except MemoryError:
            self.lose(now)

    def step(self, now):
        """The clock has moved."""
        try:
            self.run_due(now)  # first: what ends now gives its memory back
        except MemoryError:
            self.lose(now)
        if self._n_lost:
            self._recover(now)
        elif self._reserve is None:
            self._take_reserve()

    def transmit(self, now):
        """(transport, datagram, remote) to send, or None."""
        try:
            return self.endpoint.transmit(now)
        except MemoryError:
            self.lose(now)
            return None

    def lose(self, now):
        """There was no memory for something: count it, and drop what is half done."""
        self._n_lost += 1
        self._recover(now)

    def _recover(self, now):
        """Repair the tables; without memory for that, the next step tries again."""
        self._reserve = None
        try:
            self.drop_half_done(now)
            counters = self.counters
            counters["no_memory"] = counters.get("no_memory", 0) + self._n_lost
            self._n_lost = 0
        except MemoryError:
            return
        self._take_reserve()

    def _take_reserve(self):
        try:
            self._reserve = bytearray(self._reserve_size)
        except MemoryError:
            pass  # the next step tries again

    def handle_datagram(self, transport, datagram, remote, now):
        """Work on one datagram."""

    def run_due(self, now):
        """Do what is due at this moment."""

    def drop_half_done(self, now):
        """The heap was full in the middle of something: drop it, and leave no half entries."""
