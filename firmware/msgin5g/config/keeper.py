"""A node's configuration while nothing is to be done about it, and the way back to its Lifecycle.

The code that checks, stores, tries and rolls back takes more heap than all that it works on. So a
Lifecycle, with its Store and its Schema, is there while a document is offered, a trial runs or a
person asks; it goes when it rests: no timer runs, and it is not in safe mode.
"""

from msgin5g.unload import unload


class Keeper:
    """Has what a Lifecycle has, and is used in its place."""

    def __init__(self, rests, *arguments):
        """arguments: those of composition_lifecycle.lifecycle_in.

        rests: whether the Lifecycle may go; not when others than the node hold on to it.
        """
        self._rests = rests
        self._arguments = arguments
        self._lifecycle = None
        self._kept = None  # while it rests: all that it knows and that is not on flash

    def __getattr__(self, name):
        """What this does not have, the Lifecycle has."""
        kept = self._kept
        return kept[name] if kept and name in kept else getattr(self.open(), name)

    def open(self):
        """The Lifecycle, loaded if it rests. MemoryError leaves things as they are."""
        lifecycle = self._lifecycle
        if not lifecycle:
            lifecycle = self._load(self._arguments)
            kept = self._kept
            if kept:
                lifecycle.store.load()
                for name in kept:
                    setattr(lifecycle, name, kept[name])
            self._kept = None
            self._lifecycle = lifecycle
        return lifecycle

    def _load(self, arguments):
        from msgin5g.builder_config import lifecycle_in

        return lifecycle_in(*arguments)

    def offer(self, text, etag, now):
        """A document has come; see Lifecycle."""
        try:
            lifecycle = self.open()
        except MemoryError:
            _unload()  # what came in before there was no room for more
            history = self._kept["history"]
            self._kept["reasons"] = reasons = ("memory: too little is free",)
            if history[-1][1:] != ("refused", reasons):
                history.append((now, "refused", reasons))
            return "refused", reasons
        return lifecycle.offer(text, etag, now)

    def step(self, now):
        """The clock has moved; see Lifecycle."""
        lifecycle = self._lifecycle
        if not lifecycle:
            return None
        event = lifecycle.step(now)
        if self._rests and lifecycle.wait_ms(now) is None and not lifecycle.safe_mode:
            kept = lifecycle.__dict__.copy()
            del kept["store"], kept["schema"]
            self._kept = kept
            self._lifecycle = lifecycle = None
            _unload()
        return event

    def wait_ms(self, now):
        """Milliseconds until `step` may have something to do; None means no timer runs."""
        return self._lifecycle and self._lifecycle.wait_ms(now)


def _unload():
    unload(
        "composition_lifecycle",
        "configuration.lifecycle",
        "configuration.schema",
        "configuration.store",
        "configuration.trial",
        "configuration.by_hand",
        "configuration.migration",
        "port.flash",
    )
