"""How often a server is asked: never more than so many times in any second."""

from array import array

from msgin5g.coap.ticks import add, diff

_WINDOW_MS = 1000


class Pace:
    """At most `rate` turns in any second, and an appointment for everybody who comes too soon."""

    def __init__(self, rate, now):
        self._taken = array("i", bytes(4 * rate))  # moments; a ring, the oldest at _next when full
        self._n = 0
        self._next = 0
        self._newest_at = now
        self._interval_ms = _WINDOW_MS // rate
        self._appointment_at = None  # the last one that was given, unless it has passed

    def step(self, now):
        """Let go of moments that have passed, before they could look like the future."""
        if self._n and diff(now, self._newest_at) >= _WINDOW_MS:
            self._n = self._next = 0
        if self._appointment_at is not None and diff(now, self._appointment_at) > 0:
            self._appointment_at = None

    def take(self, now):
        """Take a turn; false when there is none now."""
        taken = self._taken
        if self._n == len(taken):
            self.step(now)
        if self._n == len(taken):
            if diff(now, taken[self._next]) < _WINDOW_MS:
                return False
        else:
            self._n += 1
        taken[self._next] = self._newest_at = now
        self._next = (self._next + 1) % len(taken)
        return True

    def wait_ms(self, now):
        """Milliseconds until there is a turn."""
        if self._n < len(self._taken):
            return 0
        return max(_WINDOW_MS - diff(now, self._taken[self._next]), 0)

    def appointment_s(self, now):
        """In how many seconds to come again: whole, at least 1, later for each who asks."""
        if self._appointment_at is None or diff(self._appointment_at, now) < _WINDOW_MS:
            self._appointment_at = add(now, _WINDOW_MS)
        ahead_ms = diff(self._appointment_at, now)
        if ahead_ms < 86400000:
            self._appointment_at = add(self._appointment_at, self._interval_ms)
        return (ahead_ms + 999) // 1000
