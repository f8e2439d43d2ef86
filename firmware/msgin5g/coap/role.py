"""A role: the verbs that an event loop calls, on an endpoint, guarded against a full heap."""


class Role:
    """Interface: what works with an Endpoint and is driven by its verbs.

    receive, step and transmit raise nothing for want of memory: what they were doing is lost, and
    counted under `no_memory`. A subclass does the work in `handle_datagram` and `run_due`, and
    `drop_half_done` repairs its tables, of which one may have an entry that another one lacks.
    """

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.counters = endpoint.counters
        self._n_lost = 0  # not counted yet: that takes memory, too

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        try:
            if self._n_lost:
                self._recover(now)
            self.handle_datagram(transport, datagram, remote, now)
        except MemoryError:
            self.lose(now)

    def step(self, now):
        """The clock has moved."""
        try:
            if self._n_lost:
                self._recover(now)
            self.run_due(now)
        except MemoryError:
            self.lose(now)

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
        try:
            self._recover(now)
        except MemoryError:
            pass  # the next verb tries again

    def _recover(self, now):
        self.drop_half_done(now)
        counters = self.counters
        counters["no_memory"] = counters.get("no_memory", 0) + self._n_lost
        self._n_lost = 0

    def handle_datagram(self, transport, datagram, remote, now):
        """Work on one datagram."""

    def run_due(self, now):
        """Do what is due at this moment."""

    def drop_half_done(self, now):
        """The heap was full in the middle of something: drop it, and leave no half entries."""
