"""When to ask again after a failure: back-off with jitter, above CoAP's own retransmission."""


class Backoff:
    """The delay is first_s, and twice as long after every failure, up to max_s.

    It is spread by jitter_percent, but never beyond max_s. random: gives a random byte.
    """

    def __init__(self, random, first_s, max_s, jitter_percent):
        self._random = random
        self._first_s = first_s
        self._max_s = max_s
        self._jitter_percent = jitter_percent
        self._n_failures = 0  # since the last success

    def reset(self):
        """A fetch has succeeded: the next delay is the first one again."""
        self._n_failures = 0

    def delay_ms(self, server_s=None):
        """How long to wait after a failure.

        server_s: the time that the server asks for, Max-Age of 4.29 (RFC 8516) or of 5.03 (RFC
        7252 section 5.9.3.4), or None. It is kept and only ever lengthened, up to a day; it does
        not count as a failure.
        """
        if server_s is not None:
            # The jitter separates UEs that were given the same number of seconds.
            seconds = min(max(server_s, 1), 86400)
            return seconds * 1000 + self._within_ms(min(seconds * 250, 30000))
        seconds = self._first_s
        max_s = self._max_s
        n = self._n_failures
        self._n_failures += 1
        while n and seconds < max_s:
            n -= 1
            seconds *= 2
        seconds = min(seconds, max_s)
        half_ms = seconds * 5 * self._jitter_percent
        wait_ms = seconds * 1000 - half_ms + self._within_ms(2 * half_ms)
        return min(wait_ms, 2000 * max_s - wait_ms)  # mirror what is beyond the longest delay

    def _within_ms(self, span_ms):
        """A random time from 0 to span_ms."""
        # In steps of 1/4096: the product stays below 2**30 for spans of up to 4 minutes, and
        # longer ones are divided first.
        chance = (self._random() << 8 | self._random()) >> 4
        if span_ms < 262144:
            return span_ms * chance >> 12
        return (span_ms >> 12) * chance
