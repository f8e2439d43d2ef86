"""A flash chip in RAM for MicroPython's LittleFS: counts erases, and loses power on demand."""

import vfs

_ERASED = 0xFF
_EIO = -5

WHOLE = 0  # the operation is not done
TORN = 1  # its first half is done
TORN_BACK = 2  # its second half is done


class PowerCut(Exception):
    """The power has failed: the program on the board ends here."""


class RamDisk:
    """A block device of `n_blocks` of `block_size` bytes with LittleFS's interface.

    `image` is the bytes of an earlier one to begin with. `cut_at` is the number of the
    operation (write, erase or sync, counted in `n_operations`) at which power fails, in the way
    of `how`: it raises PowerCut. From then on the disk is dead: it refuses every access with an
    error and without an allocation, for a finaliser may try. `erased` counts erases by block.
    """

    def __init__(self, block_size, n_blocks, image=None):
        self.block_size = block_size
        self.n_blocks = n_blocks
        self._blank = bytes((_ERASED,)) * block_size
        self.image = bytearray(image or self._blank * n_blocks)
        self.erased = [0] * n_blocks
        self.n_operations = 0
        self.cut_at = 0
        self.how = WHOLE
        self.is_dead = False

    def _operation(self):
        """Whether power fails now."""
        self.n_operations += 1
        self.is_dead = self.n_operations == self.cut_at
        return self.is_dead

    def _program(self, start, data):
        """Put `data`, or on a torn cut half of it, at `start`."""
        if self._operation():
            half = len(data) // 2
            if self.how == TORN:
                self.image[start : start + half] = data[:half]
            elif self.how == TORN_BACK:
                self.image[start + half : start + len(data)] = data[half:]
            raise PowerCut()
        self.image[start : start + len(data)] = data

    def readblocks(self, block, buf, offset=0):
        if self.is_dead:
            return _EIO
        start = block * self.block_size + offset
        buf[:] = memoryview(self.image)[start : start + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset=0):
        if self.is_dead:
            return _EIO
        self._program(block * self.block_size + offset, buf)
        return 0

    def ioctl(self, op, argument):
        if op == 4:  # block count
            return self.n_blocks
        if op == 5:  # block size
            return self.block_size
        if self.is_dead:
            return _EIO
        if op == 3 and self._operation():  # sync
            raise PowerCut()
        if op == 6:  # erase
            self._program(argument * self.block_size, self._blank)
            self.erased[argument] += 1
        return 0


def format_disk(disk, prog_size=32):
    """An empty LittleFS on `disk`; `prog_size` is 32 on ESP32, 256 on RP2."""
    vfs.VfsLfs2.mkfs(disk, progsize=prog_size)


def mount(disk, path, prog_size=32):
    vfs.mount(vfs.VfsLfs2(disk, progsize=prog_size), path)


def unmount(path):
    vfs.umount(path)
