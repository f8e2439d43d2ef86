"""Factory reset by a button that is held for ten seconds: deliberate, and never by power-cycling.

The button pulls its pin to ground; what the node has stored of its configuration is removed, the
settings stay.
"""

from machine import Pin
from micropython import const
from msgin5g.coap.ticks import add, diff

_HELD_MS = const(10000)
_LOOK_MS = const(1000)  # how often an idle button is looked at
_PRESSED_MS = const(100)


class Button:
    """A part of a node. pin: the number."""

    def __init__(self, pin, node):
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)
        self._node = node
        self._due_at = None  # while it is held

    def step(self, now):
        """The clock has moved."""
        if self._pin.value():
            self._due_at = None
        elif self._due_at is None:
            self._due_at = add(now, _HELD_MS)
        elif diff(now, self._due_at) >= 0 and not self._node.ended:
            from msgin5g.config.by_hand import remove_all
            from msgin5g.config.store import StorageError  # which comes and goes

            try:
                remove_all(self._node.configuration, now)
                self._node.tell("factory_reset", ("button",))
                self._node.tell("restarting", ("factory reset",))
            except StorageError as error:
                self._due_at = add(now, _HELD_MS)
                self._node.tell("refused", (str(error),))

    def wait_ms(self, now):
        """Milliseconds until the pin is to be looked at again."""
        return _LOOK_MS if self._due_at is None else _PRESSED_MS
