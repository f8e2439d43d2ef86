"""What runs on a board: a role. With parts beside it, it is a NodeWithParts, see parts."""


class Node:
    """A role and what it runs with. It has the verbs of its role, and so runs in the same loops.

    `ue` is the ConstrainedUe in the role, `configuration` its Lifecycle; None without one.
    `running`: a loop drives it now. `ended`: the board is to start anew. The composition adds
    `about`, its first event, and `say`, a function that tells an event to a person. trace: None,
    or a function of (out, datagram, remote) for every datagram. loop, ticks_ms: port.loop.run and
    the clock. unloaded: the name of the application of a node that is only looked at.
    """

    def __init__(self, role, links, loop=None, ticks_ms=None):
        self._loop = loop
        self._ticks_ms = ticks_ms
        self.role = role
        self.links = links
        self.ue = role if hasattr(role, "configuration") else getattr(role, "own", None)
        self.configuration = self.ue and self.ue.configuration
        self.parts = []
        self.app = self.unloaded = self.watchdog = self.prompt = self.trace = None
        self.running = self.ended = False
        self.receive = role.receive
        self.step = role.step
        self.transmit = role.transmit
        self.wait_ms = role.wait_ms
        self.poll = role.poll

    def run(self, ms):
        """Work for that long, or for ever; true when it has ended."""
        return self._loop(self, self.links, self._ticks_ms, self.say, self.trace, ms)
