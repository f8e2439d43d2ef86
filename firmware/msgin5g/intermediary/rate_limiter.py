"""How often a server gets a request: at most so many times in any second."""

from array import array

from msgin5g.coap.ticks import diff

_WINDOW_MS = 1000


class RateLimiter:
    """At most `rate` requests in any second."""

    def __init__(self, rate):
        self._taken = array(
            "i", bytes(4 * rate)
        )  # moments in a ring; the oldest at _next when full
        self._n = 0
        self._next = 0

    def take(self, now):
        """Whether a request may go now; counts it when it may."""
        taken = self._taken
        if self._n == len(taken):
            # A moment that looks as if it is to come has passed long ago: the clock has wrapped.
            if 0 <= diff(now, taken[self._next]) < _WINDOW_MS:
                return False
        else:
            self._n += 1
        taken[self._next] = now
        self._next = (self._next + 1) % len(taken)
        return True

    def wait_ms(self, now):
        """Milliseconds until a request may go."""
        if self._n < len(self._taken):
            return 0
        passed_ms = diff(now, self._taken[self._next])
        return max(_WINDOW_MS - passed_ms, 0) if passed_ms >= 0 else 0
