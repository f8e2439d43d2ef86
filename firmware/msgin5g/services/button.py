"""A button that removes the configuration when it is held for ten seconds (factory reset).

It is deliberate: power-cycling never does that. The button connects its pin to ground. The
settings stay.
"""

from machine import Pin
from micropython import const
from msgin5g.coap.ticks import add, diff
from msgin5g.config.store import StorageError

_HELD_MS = const(10000)
_IDLE_MS = const(1000)  # how often an idle button is polled
_PRESSED_MS = const(100)


class Button:
    """A service of a node. pin: its number."""

    def __init__(self, pin, node):
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)
        self._node = node
        self._due_at = None  # while it is held

    def step(self, now):
        """The clock has moved."""
        node = self._node
        if self._pin.value():
            self._due_at = None
        elif self._due_at is None:
            self._due_at = add(now, _HELD_MS)
        elif diff(now, self._due_at) >= 0 and not node.ended:
            try:
                node.configuration.remove_all(now)
                node.emit("factory_reset", ("button",))
                node.emit("restarting", ("factory reset",))
            except StorageError as error:
                self._due_at = add(now, _HELD_MS)
                node.emit("refused", (str(error),))

    def wait_ms(self, now):
        """Milliseconds until the pin is to be read again."""
        return _IDLE_MS if self._due_at is None else _PRESSED_MS
