"""A flash chip made of one open host file: the block device under LittleFS."""

_ERASED = b"\xff" * 512


class Flash:
    """The extended block protocol: byte-addressed reads and writes, erase by block.

    Every operation reaches the host's file before it returns, so that the end of the process is
    a power cut and nothing else. LittleFS calls these methods from the middle of its own C code:
    an exception raised here would leave its tables half changed. The methods therefore have no
    branch and no loop, because jumps are where the VM raises KeyboardInterrupt, and they allocate
    nothing.
    """

    def __init__(self, file, block_size=4096):
        self._file = file
        self._block_size = block_size
        self._count = file.seek(0, 2) // block_size
        # By number, from MicroPython's vfs.h: initialise, shut down, sync, count, size, erase.
        self._operations = (
            None,
            self.sync,
            self.sync,
            self.sync,
            self.count,
            self.size,
            self.erase,
        )

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * self._block_size + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * self._block_size + offset)
        self._file.write(buf)

    def ioctl(self, operation, argument):
        return self._operations[operation](argument)

    def sync(self, _):
        return 0

    def count(self, _):
        return self._count

    def size(self, _):
        return self._block_size

    def erase(self, block):
        """Fill one block of 4096 bytes with ones, as flash is after an erase."""
        file = self._file
        file.seek(block * self._block_size)
        file.write(_ERASED)
        file.write(_ERASED)
        file.write(_ERASED)
        file.write(_ERASED)
        file.write(_ERASED)
        file.write(_ERASED)
        file.write(_ERASED)
        file.write(_ERASED)
        return 0
