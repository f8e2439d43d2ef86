"""A Keeper on a flash in RAM, for the tests of what is at rest."""

import sys

from lifecycle_board import document

from msgin5g.config.manager import Lifecycle
from msgin5g.config.schema import Schema
from msgin5g.config.store import Store
from msgin5g.config.keeper import Keeper

TRIAL_MS = 120_000
LATER = 200_000


class Kept(Keeper):
    """A Keeper on a flash in RAM. `n_loads` counts; `is_short`: there is no memory to load."""

    def __init__(self, flash, trial_ms=0, rests=True):
        super().__init__(rests)
        self.flash = flash
        self.trial_ms = trial_ms
        self.n_loads = 0
        self.is_short = False
        self.event = self.start(0)
        self.step(0)

    def _load(self, arguments):
        if self.is_short:
            raise MemoryError
        self.n_loads += 1
        trial_ms = self.trial_ms
        return Lifecycle(Store(self.flash), Schema(), trial_ms, trial_ms // 2)

    def gets(self, name, now=0):
        event = self.offer(document(name), name.encode(), now)
        self.step(now)
        return event

    def runs(self):
        return self.configuration["MSGin5G-Server-address"][7:-8]


def resting(keeper):
    """Whether the Lifecycle is gone, its code with it."""
    return keeper._lifecycle is None and "msgin5g.config.manager" not in sys.modules
