"""When to ask again: exponential back-off with jitter, above CoAP's own retransmission."""


class Backoff:
    """Delays in ms: first_s doubled with every failure up to max_s, spread by jitter_percent.

    random: a function that gives a random byte. A time that the server gave (Max-Age of 4.29 and
    5.03, RFC 8516 and RFC 7252 section 5.9.3.4) is kept and only ever lengthened, if it is not
    more than a day.
    """

    def __init__(self, random, first_s, max_s, jitter_percent):
        self._random = random
        self._first_s = first_s
        self._max_s = max_s
        self._jitter_percent = jitter_percent
        self.n_failures = 0

    def success(self):
        """The next failure is the first one again."""
        self.n_failures = 0

    def failure_ms(self, asked_s=None):
        """How long to wait after one more failure.

        asked_s: what the server asked for; who gives an appointment has not failed.
        """
        if asked_s is not None:
            # The spread keeps those apart who were given the same number of seconds.
            seconds = min(max(asked_s, 1), 86400)
            return seconds * 1000 + self.within_ms(min(seconds * 250, 30000))
        seconds = self._first_s
        for _ in range(self.n_failures):
            if seconds >= self._max_s:
                break
            seconds *= 2
        self.n_failures += 1
        return self._spread_ms(min(seconds, self._max_s))

    def _spread_ms(self, seconds):
        half_ms = seconds * 5 * self._jitter_percent
        return seconds * 1000 - half_ms + self.within_ms(2 * half_ms)

    def within_ms(self, span_ms):
        """A random time from 0 to span_ms."""
        # In steps of 1/4096: the product stays below 2**30 for spans of up to 4 minutes, and
        # longer ones are divided first.
        chance = (self._random() << 8 | self._random()) >> 4
        if span_ms < 262144:
            return span_ms * chance >> 12
        return (span_ms >> 12) * chance
