"""When to ask again: exponential back-off with jitter, above CoAP's own retransmission."""


def failure_ms(ue, asked_s=None):
    """How long a ConstrainedUe is to wait after one more failure.

    Its `retry` is (first_s, max_s, jitter_percent): first_s is doubled with every failure up to
    max_s, and spread by jitter_percent, but never beyond max_s. asked_s: a time that the server
    gave (Max-Age of 4.29 and 5.03, RFC 8516 and RFC 7252 section 5.9.3.4) is kept and only ever
    lengthened, if it is not more than a day; who gives an appointment has not failed.
    """
    if asked_s is not None:
        # The spread keeps those apart who were given the same number of seconds.
        seconds = min(max(asked_s, 1), 86400)
        return seconds * 1000 + within_ms(ue.random, min(seconds * 250, 30000))
    seconds, max_s, jitter_percent = ue.retry
    n = ue.n_failures
    ue.n_failures += 1
    while n and seconds < max_s:
        n -= 1
        seconds *= 2
    seconds = min(seconds, max_s)
    half_ms = seconds * 5 * jitter_percent
    wait_ms = seconds * 1000 - half_ms + within_ms(ue.random, 2 * half_ms)
    return min(wait_ms, 2000 * max_s - wait_ms)  # what is beyond is as far on this side


def within_ms(random, span_ms):
    """A random time from 0 to span_ms."""
    # In steps of 1/4096: the product stays below 2**30 for spans of up to 4 minutes, and
    # longer ones are divided first.
    chance = (random() << 8 | random()) >> 4
    if span_ms < 262144:
        return span_ms * chance >> 12
    return (span_ms >> 12) * chance
