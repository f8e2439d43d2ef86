"""The files of one directory on the board's flash: the only file access of config.

The same calls on LittleFS (ESP32, RP2, virtual board) and on host files (Unix port, CPython).
LittleFS makes what was written current when the file is closed: all of it or nothing.

No call needs a large block of heap, apart from `read` for what it gives. So a heap in small pieces
can still store a document.
"""

import os
from binascii import crc32

from micropython import const

_ENOENT = const(2)
_ENOSPC = const(28)  # not in the errno module of every board
_CHUNK_SIZE = const(256)
_PIECE_SIZE = const(128)  # what a heap in small pieces has room for
_BLOCKS_PER_WRITE = const(20)  # of the file system, for each write into one folder
_MIN_WRITES = const(8)  # for fewer a new folder would wear more than it saves


def crc_of(paths):
    """The CRC-32 of the first of these files that is there; 0 without one."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                crc = 0
                while True:
                    piece = file.read(_CHUNK_SIZE)
                    if not piece:
                        return crc
                    crc = crc32(piece, crc)
        except OSError:
            pass
    return 0


class Flash:
    """Files by name in `directory`, which exists.

    error: the exception class that every call raises when the file system refuses, with the
    reason as its text: `storage: full` or `storage: error N`, N being the errno.
    """

    def __init__(self, directory, error):
        self.directory = directory.rstrip("/") + "/"  # what names are appended to
        self.error = error

    def make_folder_when_due(self, sequence, folder):
        """Make a new folder if enough files were written into the one before; whether it did.

        sequence: the number of the next write. Of every n writes one makes a new folder; a CRC
        decides which one, and n grows with the size of the file system.
        """
        try:
            n = os.statvfs(self.directory)[2] // _BLOCKS_PER_WRITE
            if n < _MIN_WRITES or sequence % n != crc32(b"%d" % (sequence // n)) % n:
                return False
            os.mkdir(self.directory + folder)
            return True
        except OSError:
            return False

    def size(self, name):
        """Bytes of a file, None when there is none."""
        try:
            return os.stat(self.directory + name)[6]
        except OSError as error:
            if error.errno != _ENOENT:
                raise self._refused(error)
            return None

    def read(self, name, offset, size):
        """`size` bytes of a file from `offset`, fewer where it ends."""
        try:
            with open(self.directory + name, "rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise self._refused(error)

    def pieces(self, name, offset, size):
        """The same in short pieces, one after the other."""
        try:
            with open(self.directory + name, "rb") as file:
                file.seek(offset)
                for i in range(0, size, _PIECE_SIZE):
                    yield file.read(min(size - i, _PIECE_SIZE))
        except OSError as error:
            raise self._refused(error)

    def same(self, name, offset, parts):
        """Whether a file holds `parts`, joined, from `offset`."""
        try:
            with open(self.directory + name, "rb") as file:
                file.seek(offset)
                buf = memoryview(bytearray(_PIECE_SIZE))
                for part in parts:
                    view = memoryview(part)
                    for i in range(0, len(part), _PIECE_SIZE):
                        n = min(len(part) - i, _PIECE_SIZE)
                        if file.readinto(buf[:n]) != n or buf[:n] != view[i : i + n]:
                            return False
                return True
        except OSError as error:
            raise self._refused(error)

    def write(self, name, parts):
        """Replace a file by `parts`, joined, and wait until the flash has them.

        When it fails, LittleFS keeps the old content; a file that is new is removed.
        """
        try:
            with open(self.directory + name, "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                if hasattr(os, "fsync"):  # CPython; MicroPython's flush does it
                    os.fsync(file.fileno())
        except OSError as error:
            if not self.size(name):
                self.remove((name,))
            raise self._refused(error)

    def rename(self, name, new_name):
        """Rename a file; it replaces a file that has the new name."""
        try:
            os.rename(self.directory + name, self.directory + new_name)
        except OSError as error:
            raise self._refused(error)

    def remove(self, names):
        """Remove files, those that exist, in this order, and each folder that is then empty."""
        for name in names:
            try:
                os.remove(self.directory + name)
            except OSError as error:
                if error.errno != _ENOENT:
                    raise self._refused(error)
            if "/" in name:
                try:
                    os.rmdir(self.directory + name.partition("/")[0])
                except OSError:  # not empty, or not there
                    pass

    def _refused(self, error):
        code = error.errno
        return self.error("storage: full" if code == _ENOSPC else "storage: error %s" % code)
