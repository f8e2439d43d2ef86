"""What the gateway keeps of its answers: for a UE that asks again, and for later blocks."""

from micropython import const

from msgin5g.coap.ticks import add, diff

_KEPT_MS = const(100000)  # a stale body still serves the blocks of a transfer that has begun
_ENTRY_SIZE = const(256)  # bytes that an entry takes besides its body


class Entry:
    """A body and its ETag, fresh until a moment; upstream: the ETag that the server gave it."""

    def __init__(self, key, body, etag, fresh_until):
        self.key = key
        self.body = body
        self.etag = etag
        self.fresh_until = fresh_until
        self.upstream = None


class Cache:
    """Bodies by key in about max_size bytes of heap; the one not used for longest goes first.

    One body may be larger than all the room: it is then alone, until the next one comes.
    """

    def __init__(self, max_size):
        self._max_size = max_size
        self._size = 0
        self._entries = []  # the one used last is last

    def put(self, key, body, etag, fresh_until):
        """Keep a body in place of the former one of its key; gives its Entry."""
        self.drop(key)
        self._size += len(body) + _ENTRY_SIZE
        while self._entries and self._size > self._max_size:
            self._remove(0)
        entry = Entry(key, body, etag, fresh_until)
        self._entries.append(entry)
        return entry

    def find(self, key):
        """The Entry of a key, fresh or not, or None."""
        entries = self._entries
        for i in range(len(entries) - 1, -1, -1):
            entry = entries[i]
            if entry.key == key:
                if i != len(entries) - 1:
                    entries.append(entries.pop(i))
                return entry
        return None

    def drop(self, key):
        """Forget a body."""
        entry = self.find(key)
        if entry is not None:
            self._remove(-1)

    def _remove(self, i):
        self._size -= len(self._entries.pop(i).body) + _ENTRY_SIZE

    def purge(self, now):
        """Forget what has been stale for long, before its moment looks like the future."""
        entries = self._entries
        for i in range(len(entries) - 1, -1, -1):
            if diff(now, add(entries[i].fresh_until, _KEPT_MS)) >= 0:
                self._remove(i)
