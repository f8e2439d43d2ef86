"""The memory of `duplicates`: columns of numbers, and pieces for datagrams, mapped for themselves.

Python gets its memory in pieces of a MiB, and gives one back only when nothing is left in it. A
flood would leave something in each of them for good, so here an entry is no object of Python.
"""

import mmap
from struct import calcsize

from msgin5g_tools.scm_server.blocks import MAX_DATAGRAM

BUCKETS = 1 << 16
_HOSTS = 1 << 16
_SMALL = 384  # bytes: most responses are not longer
_NOT_KEPT, _DISOWNED = -1, -2  # instead of the size of a datagram


def _mapped(size):
    """Memory of zeros, which costs nothing before something is written into it."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _column(kind, n_rows):
    return memoryview(_mapped(n_rows * calcsize(kind))).cast(kind)


class DuplicatesTable:
    """Entries, which are the numbers of rows; 0 is none. Each is in three lists:

    that of all, oldest first, linked both ways (row 0 is its beginning and its end); that of
    its host, oldest first; and that of its bucket, in which it is found by its key.
    """

    def __init__(self, max_entries):
        n_rows = max_entries + 1
        self.n_entries = 0
        self.n_rows = 0  # that have been used
        self._max_entries = max_entries
        self._free = 0  # the first of the free rows, linked by _newer
        self.key, self.token = _column("q", n_rows), _column("q", n_rows)
        self.host = _column("i", n_rows)
        self.expires_at = _column("d", n_rows)
        self._newer, self._older = _column("i", n_rows), _column("i", n_rows)
        self.n_of_host = _column("i", _HOSTS)
        self.oldest_of_host, self._newest_of_host = _column("i", _HOSTS), _column("i", _HOSTS)
        self._newer_of_host = _column("i", n_rows)
        self._first_of_bucket = _column("i", BUCKETS)
        self._next_of_bucket = _column("i", n_rows)
        self._size, self._piece = _column("i", n_rows), _column("i", n_rows)
        self._small, self._large = _Pieces(_SMALL, n_rows), _Pieces(MAX_DATAGRAM, n_rows)

    @property
    def oldest(self):
        return self._newer[0]

    def find(self, key):
        entry = self._first_of_bucket[key % BUCKETS]
        while entry and self.key[entry] != key:
            entry = self._next_of_bucket[entry]
        return entry

    def add(self, key, host, token, expires_at):
        """A new entry; there must be room for it, and no other one with its key."""
        entry = self._free
        if entry:
            self._free = self._newer[entry]
        else:
            self.n_rows = entry = self.n_rows + 1
        self.n_entries += 1
        self.key[entry], self.token[entry], self.host[entry] = key, token, host
        self.expires_at[entry] = expires_at
        self._size[entry] = _NOT_KEPT

        newest = self._older[0]
        self._older[entry], self._newer[entry] = newest, 0
        self._newer[newest] = self._older[0] = entry

        if self.n_of_host[host]:
            self._newer_of_host[self._newest_of_host[host]] = entry
        else:
            self.oldest_of_host[host] = entry
        self._newest_of_host[host] = entry
        self.n_of_host[host] += 1

        bucket = key % BUCKETS
        self._next_of_bucket[entry] = self._first_of_bucket[bucket]
        self._first_of_bucket[bucket] = entry
        return entry

    def keep(self, entry, datagram):
        """Keep what was sent, unless it is longer than a datagram should be."""
        self._drop_datagram(entry)
        size = len(datagram)
        if 0 < size <= MAX_DATAGRAM:
            self._piece[entry] = self._pieces(size).put(datagram)
            self._size[entry] = size

    def datagram(self, entry):
        """What was kept for an entry, or None."""
        size = self._size[entry]
        return self._pieces(size).get(self._piece[entry], size) if size > 0 else None

    def disown(self, entry):
        """It is not found any more, but keeps its place until it is the oldest one."""
        self._drop_datagram(entry)
        self._size[entry] = _DISOWNED
        bucket = self.key[entry] % BUCKETS
        other = self._first_of_bucket[bucket]
        if other == entry:
            self._first_of_bucket[bucket] = self._next_of_bucket[entry]
            return
        while self._next_of_bucket[other] != entry:
            other = self._next_of_bucket[other]
        self._next_of_bucket[other] = self._next_of_bucket[entry]

    def remove(self, entry):
        """Remove an entry, which must be the oldest one of its host."""
        if self._size[entry] != _DISOWNED:
            self.disown(entry)
        host, older, newer = self.host[entry], self._older[entry], self._newer[entry]
        self._newer[older], self._older[newer] = newer, older
        self.oldest_of_host[host] = self._newer_of_host[entry]
        self.n_of_host[host] -= 1
        self.n_entries -= 1
        self._newer[entry], self._free = self._free, entry

    def copy(self):
        """The same entries in a table that takes no more memory than they need."""
        made, entry = DuplicatesTable(self._max_entries), self.oldest
        while entry:
            if self._size[entry] != _DISOWNED:
                copied = made.add(
                    self.key[entry], self.host[entry], self.token[entry], self.expires_at[entry]
                )
                if self._size[entry] > 0:
                    made.keep(copied, self.datagram(entry))
            entry = self._newer[entry]
        return made

    def _pieces(self, size):
        return self._small if size <= _SMALL else self._large

    def _drop_datagram(self, entry):
        size = self._size[entry]
        if size > 0:
            self._pieces(size).free(self._piece[entry])
        self._size[entry] = _NOT_KEPT


class _Pieces:
    """Room for n - 1 datagrams of at most `size` bytes; 0 is the number of none."""

    def __init__(self, size, n):
        self._piece_size = size
        self._bytes = _mapped(size * n)
        self._next = _column("i", n)  # of a free piece
        self._free = self._n_used = 0

    def put(self, datagram):
        piece = self._free
        if piece:
            self._free = self._next[piece]
        else:
            self._n_used = piece = self._n_used + 1
        at = piece * self._piece_size
        self._bytes[at : at + len(datagram)] = datagram
        return piece

    def get(self, piece, size):
        at = piece * self._piece_size
        return self._bytes[at : at + size]

    def free(self, piece):
        self._next[piece], self._free = self._free, piece
