"""A node with a configuration that can be reset: flash in RAM, virtual time."""

from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.coap.ticks import add
from msgin5g.config.manager import ConfigurationManager
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

    def __init__(self, *good, trial_ms=TRIAL_MS, apply_interval_ms=0, on_deleted="keep"):
        self.flash = MemoryFlash()
        self.trial_ms = trial_ms
        self.apply_interval_ms = apply_interval_ms
        self.on_deleted = on_deleted
        self.now = _EPOCH
        self.application = 0  # the CRC-32 of its file
        self.reset()
        for name in good:
            self.offer(name)
            self.manager.confirm(self.now)

    def reset(self, counts=True):
        self.manager = ConfigurationManager(
            Store(self.flash),
            Schema(),
            self.trial_ms,
            min(GOOD_MS, self.trial_ms),
            self.apply_interval_ms,
            self.on_deleted,
        )
        self.event = self.manager.start(self.now, counts, self.application)
        return self.event[0]

    def offer(self, name, etag=None):
        self.event = self.manager.offer(document(name), etag or name.encode(), self.now)
        return self.event[0]

    def wait(self, ms):
        """The events while `ms` pass, `step` called only when it asked to be."""
        events = []
        while True:
            wait = self.manager.wait_ms(self.now)
            if wait is None or wait > ms:
                self.now = add(self.now, ms)
                return events
            ms -= wait
            self.now = add(self.now, wait)
            event = self.manager.step(self.now)
            if event:
                self.event = event
                events.append(event[0])

    def runs(self):
        """The name of the document that runs."""
        configuration = self.manager.configuration
        return configuration and configuration["MSGin5G-Server-address"][7:-8]

    def where(self):
        return self.manager.state, self.runs(), self.manager.safe_mode
