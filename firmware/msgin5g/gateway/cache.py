"""What the gateway keeps of its responses: for a UE that asks again, and for later blocks."""

from hashlib import sha256

from micropython import const

from msgin5g.coap.ticks import add, diff
from msgin5g.scm.document_splitter import SplitDocument

_KEPT_MS = const(100000)  # a stale body still serves the blocks of a transfer that has begun
_ENTRY_SIZE = const(256)  # bytes that an entry takes besides its body


class Entry:
    """A body, fresh until a moment.

    etag: equal bodies have equal ETags, whoever made them, and when. server_etag: the ETag that
    the server gave it.
    """

    def __init__(self, key, body, fresh_until, server_etag=None):
        self.key = key
        self.body = body
        self.etag = sha256(body).digest()[:8]
        self.fresh_until = fresh_until
        self.server_etag = server_etag

    def is_for(self, ue_id):
        """Whether the body, one UeConfigDoc, is for this UE."""
        document = SplitDocument(self.body, 0, len(self.body))
        return document.names_everybody or document.names(ue_id)

    def copy_for(self, ue_id):
        """The body, one UeConfigDoc, as an Entry that names this UE alone; None: not for it."""
        document = SplitDocument(self.body, 0, len(self.body))
        if not (document.names_everybody or document.names(ue_id)):
            return None
        return Entry(None, document.copy(ue_id), self.fresh_until)


class Cache:
    """Bodies by key in about max_size bytes of heap; the least recently used goes first.

    A body may be larger than max_size: then it is alone, until the next one comes.
    """

    def __init__(self, max_size):
        self._max_size = max_size
        self._size = 0
        self._entries = []  # the one used last is last

    def __len__(self):
        return len(self._entries)

    def put(self, key, body, fresh_until, server_etag=None):
        """Keep a body in place of the former one of its key; gives its Entry."""
        entry = Entry(key, body, fresh_until, server_etag)
        self.drop(key)
        self._entries.append(entry)
        self._size += len(body) + _ENTRY_SIZE
        while len(self._entries) > 1 and self._size > self._max_size:
            self._remove(0)
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
        """Forget what has been stale for long, before the clock wraps and it looks fresh."""
        entries = self._entries
        for i in range(len(entries) - 1, -1, -1):
            if diff(now, add(entries[i].fresh_until, _KEPT_MS)) >= 0:
                self._remove(i)
