"""A node: a role with its transports and services; and the node that runs now."""

from msgin5g.coap.ticks import shorter

current = None  # the Node that runs, or that ran last: what the REPL shows; set by the builder


class Node:
    """A role with its transports and services. It has the verbs of a role for the event loops.

    A service has two of the verbs of a role: `step(now)` and `wait_ms(now)`. loop, ticks_ms:
    event_loop.run and the clock.

    `ue` is the ConstrainedUe in the role, `configuration` its ConfigurationManager; None without
    one. `running`: a loop drives the node now. `ended`: the board is to restart. The builder sets
    the other attributes: `about` (the first event), `print_event` (an EventPrinter's `emit`),
    `application` (an Application), `missing_application` (the name of the application that is not
    imported, because the node is only inspected), `watchdog`, `radios`, `wants_prompt`, and
    `trace` (a function of (out, datagram, remote) for every datagram). main sets `prompt`.
    """

    def __init__(self, role, transports, loop=None, ticks_ms=None):
        self._loop = loop
        self._ticks_ms = ticks_ms
        self.role = role
        self.transports = transports
        self.ue = role if hasattr(role, "configuration") else getattr(role, "own", None)
        self.configuration = self.ue and self.ue.configuration
        self.services = []
        self.events = []  # of the services, not polled yet
        self.about = self.print_event = self.trace = None
        self.application = self.missing_application = self.watchdog = self.radios = None
        self.prompt = None
        self.wants_prompt = self.running = self.ended = False
        self.receive = role.receive
        self.transmit = role.transmit

    def step(self, now):
        """The clock has moved."""
        self.role.step(now)
        for service in self.services:
            service.step(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        if self.events:
            return 0
        wait = self.role.wait_ms(now)
        for service in self.services:
            wait = shorter(wait, service.wait_ms(now))
        return wait

    def poll(self):
        """The oldest event not polled yet, or None."""
        event = self.role.poll()
        return self.events.pop(0) if event is None and self.events else event

    def emit(self, name, reasons):
        """Add an event of a service; `restarting` ends the loop, and the board restarts."""
        self.events.append({"event": name, "reasons": list(reasons)})
        self.ended = name == "restarting"

    def run(self, ms=None):
        """Drive the node for that long, or for ever; true when it has ended."""
        return self._loop(self, self.transports, self._ticks_ms, self.print_event, self.trace, ms)
