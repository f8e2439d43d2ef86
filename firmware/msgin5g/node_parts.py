"""A node with parts: the application, the check of a trial, the watchdog, the button, radios.

A part has two of the verbs of a role, `step` and `wait_ms`.
"""

from msgin5g.coap.ticks import shorter
from msgin5g.node import Node


class NodeWithParts(Node):
    """A Node, the list of its `parts`, and what they tell."""

    def __init__(self, role, links, loop=None, ticks_ms=None):
        super().__init__(role, links, loop, ticks_ms)
        del self.step, self.wait_ms, self.poll  # the role's; those below take their place
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
