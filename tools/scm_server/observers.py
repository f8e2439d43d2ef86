"""The observers of each document (RFC 7641), and the numbers that order notifications."""

import asyncio
import time
from contextlib import contextmanager

_SEQUENCE_MASK = 0xFFFFFF


class Observers:
    """A limited number: beyond it a registration gets a plain response (RFC 7641 section 4.1)."""

    def __init__(self, max_observers):
        self._max_observers = max_observers
        self._events = {}  # resources.Route -> set of asyncio.Event
        self._n_observers = 0
        self._last = 0

    def __len__(self):
        return self._n_observers

    @contextmanager
    def observe(self, found):
        """An asyncio.Event that is set when the document may have changed; None when full."""
        if self._n_observers >= self._max_observers:
            yield None
            return
        event = asyncio.Event()
        self._events.setdefault(found, set()).add(event)
        self._n_observers += 1
        try:
            yield event
        finally:
            self._n_observers -= 1
            self._events[found].discard(event)
            if not self._events[found]:
                del self._events[found]

    def changed(self, found=None):
        """This document has changed; None: each of them may have changed."""
        groups = self._events.values() if found is None else [self._events.get(found, ())]
        for events in groups:
            for event in events:
                event.set()

    def next_number(self):
        """The Observe value of the next response.

        Milliseconds of the wall clock, and one more than the last value within a millisecond. So
        it also grows over a restart and a renewed registration, and by less than 2**23 in 128
        seconds (RFC 7641 section 4.4).
        """
        self._last = max(self._last + 1, int(time.time() * 1000))
        return self._last & _SEQUENCE_MASK
