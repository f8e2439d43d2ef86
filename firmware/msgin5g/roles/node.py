"""What runs on a board: a role, and beside it the parts that its settings ask for.

A node has the verbs of its role, and so runs in the same loops. A part (the application, the
check of a trial, the watchdog, the button) has two of them, `step` and `wait_ms`.
"""

from msgin5g.coap.ticks import shorter


class Node:
    """`ue` is the ConstrainedUe in the role, `configuration` its Lifecycle; None without one.

    `running`: a loop drives it now. `ended`: the board is to start anew. The composition adds
    `about`, its first event, and `say`, a function that tells an event to a person. trace: None,
    or a function of (out, datagram, remote) for every datagram. loop, ticks_ms: port.loop.run and
    the clock.
    """

    def __init__(self, role, links, loop=None, ticks_ms=None):
        self._loop = loop
        self._ticks_ms = ticks_ms
        self.role = role
        self.links = links
        self.ue = role if hasattr(role, "configuration") else getattr(role, "own", None)
        self.configuration = self.ue and self.ue.configuration
        self.parts = []
        self.app = self.watchdog = self.prompt = self.trace = None
        self.running = self.ended = False
        self.receive = role.receive
        self.transmit = role.transmit
        self._events = []

    def step(self, now):
        """The clock has moved."""
        self.role.step(now)
        for part in self.parts:
            part.step(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        if self._events:
            return 0
        wait = self.role.wait_ms(now)
        for part in self.parts:
            wait = shorter(wait, part.wait_ms(now))
        return wait

    def poll(self):
        """The oldest event not yet told, or None."""
        event = self.role.poll()
        return self._events.pop(0) if event is None and self._events else event

    def tell(self, name, reasons):
        """An event of a part; after `restarting` the loop ends and the board starts anew."""
        self._events.append({"event": name, "reasons": list(reasons)})
        self.ended = name == "restarting"

    def run(self, ms):
        """Work for that long, or for ever; true when it has ended."""
        return self._loop(self, self.links, self._ticks_ms, self.say, self.trace, ms)
