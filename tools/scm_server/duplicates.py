"""Which requests have been seen, and what was sent for them (RFC 7252 section 4.5).

An entry is the datagram of the response, and lasts EXCHANGE_LIFETIME. The number of entries is
limited for each host and in all, so that a flood, also one with forged sources, takes a limited
amount of memory. The oldest entry is dropped: its request is processed again if it is repeated
so much later.
"""

from collections import OrderedDict

MAX_ENTRIES = 32_768
MAX_OF_HOST = 4096


class Duplicates:
    """Entries by key: a flat tuple that begins with the host and ends with the message ID.

    Of requests with the same key only the newest is remembered. All of it is made of numbers,
    texts and bytes, so the garbage collector has nothing to follow.
    """

    def __init__(self, lifetime_s, now, max_entries=MAX_ENTRIES, max_of_host=MAX_OF_HOST):
        self._lifetime_s = lifetime_s
        self._now = now
        self._max_entries = max_entries
        self._max_of_host = max_of_host
        # OrderedDict: a dict takes long to find its oldest entry after others were removed.
        self._entries = OrderedDict()  # key -> (expires_at, token, datagram or None), oldest first
        self._of_host = {}  # host -> list of its keys, oldest first

    def __len__(self):
        return len(self._entries)

    def token(self, key):
        """The token of the request, None when it is not remembered."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def add(self, key, token):
        """Remember a new request, in place of one with the same key."""
        self.expire()
        if key in self._entries:
            self._remove(key)
        host = key[0]
        keys = self._of_host.get(host, ())
        if len(keys) >= self._max_of_host:
            self._remove(keys[0])
        if len(self._entries) >= self._max_entries:
            self._remove(next(iter(self._entries)))
        self._entries[key] = (self._now() + self._lifetime_s, token, None)
        self._of_host.setdefault(host, []).append(key)

    def answered(self, key, token, datagram):
        """Keep the response to a request, if that is still remembered.

        token: None for an acknowledgement, which has none.
        """
        entry = self._entries.get(key)
        if entry is not None and token in (None, entry[1]):
            self._entries[key] = (*entry[:2], datagram)

    def datagram(self, key):
        """What was sent for this request, or None."""
        return self._entries[key][2]

    def expire(self):
        now = self._now()
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key][0] > now:
                return
            self._remove(key)
        # An empty dict keeps the room that it had.
        self._entries, self._of_host = OrderedDict(), {}

    def _remove(self, key):
        del self._entries[key]
        keys = self._of_host[key[0]]
        keys.remove(key)  # nearly always the first one
        if not keys:
            del self._of_host[key[0]]
