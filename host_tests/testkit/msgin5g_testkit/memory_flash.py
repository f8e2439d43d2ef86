"""A port.flash.Flash without flash: files in a dict, and the ways in which flash fails."""

from msgin5g.config.store import StorageError


class PowerCut(BaseException):
    """The power fails in the middle of an operation of the flash."""


class MemoryFlash:
    """`files` is name -> bytes; `n_writes` counts writes; the flags make the next ones fail.

    cut_at: the power fails at the n-th operation from now on that changes the flash (1 is the
    next one): PowerCut is raised; None: it does not. tears: that operation leaves half of the new
    file, else it leaves the old one. n_cuts: how often the power has failed so.
    """

    error = StorageError

    def __init__(self):
        self.cut_at = None
        self.tears = True
        self.n_cuts = 0
        self.files = {}
        self.n_writes = 0
        self.moves_at = ()  # the numbers of the writes that go to a new folder
        self.is_full = False
        self.forgets = False  # a write reports success, but the flash holds something else

    def make_folder_when_due(self, sequence, folder):
        """Whether this write goes to a new folder: the test has said so in `moves_at`."""
        return sequence in self.moves_at

    def _file(self, name):
        if name not in self.files:
            raise StorageError("storage: error 2")
        return self.files[name]

    def size(self, name):
        """The bytes of a file; None without it."""
        return len(self.files[name]) if name in self.files else None

    def read(self, name, offset, size):
        """Bytes of a file; StorageError without it."""
        return self._file(name)[offset : offset + size]

    def pieces(self, name, offset, size):
        """The same bytes in pieces."""
        data = self.read(name, offset, size)
        for i in range(0, len(data), 50):
            yield data[i : i + 50]

    def same(self, name, offset, parts):
        """Whether a file has these bytes from `offset` on."""
        expected = _joined(parts)
        return self._file(name)[offset : offset + len(expected)] == expected

    def write(self, name, parts):
        """Write a file, unless the flash is full or the power fails."""
        if self.is_full:
            raise StorageError("storage: full")
        data = _joined(parts)
        if self._is_cut():
            if self.tears:
                self.files[name] = data[: len(data) // 2]
            raise PowerCut()
        self.n_writes += 1
        self.files[name] = data[:-1] + b"?" if self.forgets else data

    def _is_cut(self):
        """Whether the power fails at this operation."""
        if self.cut_at is None:
            return False
        self.cut_at -= 1
        if self.cut_at > 0:
            return False
        self.cut_at = None
        self.n_cuts += 1
        return True

    def rename(self, name, new_name):
        """Rename a file, unless the power fails."""
        if self._is_cut():
            raise PowerCut()
        self.files[new_name] = self._file(name)
        del self.files[name]

    def remove(self, names):
        """Remove the files of these names that exist, unless the power fails."""
        for name in names:
            if name in self.files and self._is_cut():
                raise PowerCut()
            self.files.pop(name, None)


def _joined(parts):
    return b"".join([bytes(part) for part in parts])


def flipped(data, bit):
    """`data` with one bit inverted."""
    out = bytearray(data)
    out[bit >> 3] ^= 1 << (bit & 7)
    return bytes(out)
