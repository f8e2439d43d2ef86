"""A node with a configuration that can be reset: flash in RAM, virtual time."""

from memory_flash import MemoryFlash
from msgin5g.coap.ticks import add
from msgin5g.config.manager import Lifecycle
from msgin5g.config.schema import Schema
from msgin5g.config.store import Store

TRIAL_MS = 300_000
GOOD_MS = 60_000
_EPOCH = 0x3FFFFF00  # soon before the clock wraps


def document(name):
    return (
        '{"MSGin5G-Server-address": "coap://' + name + '.example", "MSGin5G-UE-Service-id": "ue"}'
    ).encode()


class Board:
    """A node that can be reset: its flash and its clock stay, all else is new."""

    def __init__(self, *good):
        self.flash = MemoryFlash()
        self.now = _EPOCH
        self.reset()
        for name in good:
            self.offer(name)
            self.lifecycle.confirm(self.now)

    def reset(self, counts=True):
        self.lifecycle = Lifecycle(Store(self.flash), Schema())
        self.event = self.lifecycle.start(self.now, counts)
        return self.event[0]

    def offer(self, name, etag=None):
        self.event = self.lifecycle.offer(document(name), etag or name.encode(), self.now)
        return self.event[0]

    def wait(self, ms):
        """The events while `ms` pass, `step` called only when it asked to be."""
        events = []
        while True:
            wait = self.lifecycle.wait_ms(self.now)
            if wait is None or wait > ms:
                self.now = add(self.now, ms)
                return events
            ms -= wait
            self.now = add(self.now, wait)
            event = self.lifecycle.step(self.now)
            if event:
                events.append(event[0])

    def runs(self):
        """The name of the document that runs."""
        configuration = self.lifecycle.configuration
        return configuration and configuration["MSGin5G-Server-address"][7:-8]

    def where(self):
        lifecycle = self.lifecycle
        return lifecycle.state, self.runs(), lifecycle.safe_mode
