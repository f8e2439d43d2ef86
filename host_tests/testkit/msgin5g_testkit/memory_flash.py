"""A port.flash.Flash without flash: files in a dict, and the ways in which flash fails."""

from msgin5g.config.store import StorageError


class MemoryFlash:
    """`files` is name -> bytes; `n_writes` counts writes; the flags make the next ones fail."""

    error = StorageError

    def __init__(self):
        self.files = {}
        self.n_writes = 0
        self.moves_at = ()  # the numbers of the writes that go to a new folder
        self.is_full = False
        self.forgets = False  # a write reports success, but the flash holds something else

    def make_folder_when_due(self, sequence, folder):
        return sequence in self.moves_at

    def _file(self, name):
        if name not in self.files:
            raise StorageError("storage: error 2")
        return self.files[name]

    def size(self, name):
        return len(self.files[name]) if name in self.files else None

    def read(self, name, offset, size):
        return self._file(name)[offset : offset + size]

    def pieces(self, name, offset, size):
        data = self.read(name, offset, size)
        for i in range(0, len(data), 50):
            yield data[i : i + 50]

    def same(self, name, offset, parts):
        expected = _joined(parts)
        return self._file(name)[offset : offset + len(expected)] == expected

    def write(self, name, parts):
        if self.is_full:
            raise StorageError("storage: full")
        self.n_writes += 1
        data = _joined(parts)
        self.files[name] = data[:-1] + b"?" if self.forgets else data

    def rename(self, name, new_name):
        self.files[new_name] = self._file(name)
        del self.files[name]

    def remove(self, names):
        for name in names:
            self.files.pop(name, None)


def _joined(parts):
    return b"".join([bytes(part) for part in parts])


def flipped(data, bit):
    """`data` with one bit inverted."""
    out = bytearray(data)
    out[bit >> 3] ^= 1 << (bit & 7)
    return bytes(out)
