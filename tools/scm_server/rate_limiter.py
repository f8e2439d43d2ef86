"""How many requests a second a host may send (RFC 8516): a token bucket for each."""

from collections import OrderedDict

_MAX_HOSTS = 10_000
_BURST_S = 2.0  # a bucket holds the requests of so many seconds


class RateLimiter:
    """When there are too many hosts, the one that has not asked for longest is forgotten."""

    def __init__(self, per_second, now):
        self._per_second = per_second
        self._now = now
        # host -> when its bucket is full again; a host without an entry has a full one
        self._full_at = OrderedDict()

    def wait_s(self, host):
        """Count a request: 0, or how many seconds the host should wait before its next one."""
        now = self._now()
        full_at = max(now, self._full_at.get(host, now)) + 1 / self._per_second
        if full_at - now > _BURST_S + 1e-6:
            return full_at - now - _BURST_S
        # The bucket that was used last is the last one, so that full ones come first.
        self._full_at.pop(host, None)
        while self._full_at:
            first = next(iter(self._full_at))
            if self._full_at[first] > now and len(self._full_at) < _MAX_HOSTS:
                break
            del self._full_at[first]
        self._full_at[host] = full_at
        return 0
