"""What the gateway keeps of its responses: for a UE that asks again, and for later blocks.

What the server decides about one UE holds for that UE alone. The body of an individual document
may serve several UEs, but each of them only with a Permission of its own, in its LinkedUe.
"""

from collections import namedtuple
from hashlib import sha256

from micropython import const

from msgin5g.cbor.reader import Reader
from msgin5g.coap.ticks import add, diff
from msgin5g.scm.document_splitter import SplitDocument

_KEPT_MS = const(100000)  # a stale body still serves the blocks of a transfer that has begun
_ENTRY_SIZE = const(256)  # bytes that an entry takes besides its body


# An individual document that the server has given to a UE: from the cache, too, the UE gets it
# until a moment. etag: of the Entry that it got, None when that was in a collection.
Permission = namedtuple("Permission", ("document_id", "etag", "until"))


class Entry:
    """A body, fresh until a moment.

    key: a ueConfigDocId, or (UE ID, queries) of a collection. etag: equal bodies have equal ETags,
    whoever made them, and when. server_etag: the ETag that the server gave it.
    """

    def __init__(self, key, body, fresh_until, server_etag=None):
        self.key = key
        self.body = body
        self.etag = sha256(body).digest()[:8]
        self.fresh_until = fresh_until
        self.server_etag = server_etag

    # Of an individual document

    def permit(self, ue):
        """The server has just given the document to a UE."""
        ue.permission = Permission(self.key, self.etag, self.fresh_until)

    def is_permitted(self, ue, now, is_later=False):
        """Whether the server has lately given the document to a UE, and would give it this one.

        is_later: it is for a later block of a transfer that has begun.
        """
        permission = ue.permission
        if permission is None or permission.document_id != self.key:
            return False
        if not is_later and diff(permission.until, now) <= 0:
            return False
        if permission.etag == self.etag:
            return True
        document = SplitDocument(Reader(self.body))
        return document.names_everybody or document.names(ue.ue_id)

    def copy_for(self, ue):
        """The document as an Entry for this UE alone."""
        fresh_until = self.fresh_until
        permission = ue.permission
        if (
            permission is not None
            and permission.document_id == self.key
            and diff(permission.until, fresh_until) < 0
        ):
            fresh_until = permission.until
        body = SplitDocument(Reader(self.body)).copy_for(ue.ue_id)
        return Entry(None, body, fresh_until)


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

    def revoke(self, ue):
        """The server has refused something to a UE: nothing that is kept is for it any more."""
        ue.permission = None
        self.drop_collections(ue)

    def drop_collections(self, ue):
        """Forget the collections of a UE: one of its documents is not what it was."""
        entries = self._entries
        for i in range(len(entries) - 1, -1, -1):
            if entries[i].key[0] == ue.ue_id:
                self._remove(i)

    def purge(self, links, now):
        """Forget what has been stale for long, before the clock wraps and it looks fresh."""
        for ue in links:
            permission = ue.permission
            if permission is not None and diff(now, add(permission.until, _KEPT_MS)) >= 0:
                ue.permission = None
        entries = self._entries
        for i in range(len(entries) - 1, -1, -1):
            if diff(now, add(entries[i].fresh_until, _KEPT_MS)) >= 0:
                self._remove(i)
