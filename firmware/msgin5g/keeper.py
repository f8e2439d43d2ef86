"""A node's configuration while nothing is to be done about it, and the way back to its Lifecycle.

The code that checks, stores, tries and rolls back takes more heap than all that it works on. So a
Lifecycle, with its Store and its Schema, is there while a document is offered, a trial runs or a
person asks; it goes when it rests: no timer runs, and it is not in safe mode.
"""

from msgin5g.unload import unload

# What a Lifecycle knows that is not on flash, or is looked at while it rests.
_KEPT = (
    "configuration", "etag", "state", "safe_mode", "unsaved", "reasons", "history", "sequence",
    "notes",
)  # fmt: skip


class Keeper:
    """Has what a Lifecycle has, and is used in its place."""

    def __init__(self, directory, max_size, trial_ms, rests):
        """The configuration is stored in `directory`; max_size is that of a document, in bytes.

        trial_ms: as Lifecycle has it. rests: whether the Lifecycle may go; not when others than
        the node hold on to it.
        """
        self._directory = directory
        self._max_size = max_size
        self._trial_ms = trial_ms
        self._rests = rests
        self._lifecycle = None  # while it rests, what is kept of it is here

    def __getattr__(self, name):
        """What this does not have: the Lifecycle has it."""
        return getattr(self.open(), name)

    def open(self):
        """The Lifecycle, loaded if it rests. MemoryError leaves things as they are."""
        lifecycle = self._lifecycle
        if lifecycle is None:
            lifecycle = self._load()
            if "state" in self.__dict__:  # else it is not started yet
                lifecycle.store.load()
                for name in _KEPT:
                    setattr(lifecycle, name, getattr(self, name))
                for name in _KEPT:
                    delattr(self, name)
            self._lifecycle = lifecycle
        return lifecycle

    def _load(self):
        from msgin5g.configuration.lifecycle import Lifecycle
        from msgin5g.configuration.schema import Schema
        from msgin5g.configuration.store import Store
        from msgin5g.port.flash import Flash

        trial_ms = self._trial_ms
        store = Store(Flash(self._directory))
        return Lifecycle(store, Schema(self._max_size), trial_ms, min(60000, trial_ms // 2))

    def offer(self, text, etag, now):
        """A document has come; see Lifecycle."""
        try:
            lifecycle = self.open()
        except MemoryError:
            _unload()  # what came in before there was no room for more
            self.reasons = reasons = ("memory: too little is free",)
            if self.history[-1][1:] != ("refused", reasons):
                self.history.append((now, "refused", reasons))
            return "refused", reasons
        return lifecycle.offer(text, etag, now)

    def step(self, now):
        """The clock has moved; see Lifecycle."""
        lifecycle = self._lifecycle
        if lifecycle is None:
            return None
        event = lifecycle.step(now)
        if self._rests and lifecycle.wait_ms(now) is None and not lifecycle.safe_mode:
            for name in _KEPT:
                setattr(self, name, getattr(lifecycle, name))
            self._lifecycle = lifecycle = None
            _unload()
        return event

    def wait_ms(self, now):
        """Milliseconds until `step` may have something to do; None means no timer runs."""
        return self._lifecycle and self._lifecycle.wait_ms(now)


def _unload():
    unload("configuration.lifecycle", "configuration.schema", "configuration.store", "port.flash")
