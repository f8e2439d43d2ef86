"""A heap that has room enough, but in small pieces. On CPython nothing is done."""

import gc
import sys

# WebAssembly's heap grows: it has no end to fill it to.
_IS_FILLED = sys.implementation.name == "micropython" and sys.platform != "webassembly"


class HeapInPieces:
    """The free heap in pieces of `size` bytes and little more, until `release`."""

    def __init__(self, size):
        self._pieces = pieces = [None] * (2000 if _IS_FILLED else 0)
        gc.collect()
        i = 0
        try:
            while i < len(pieces):
                pieces[i] = bytearray(size)
                i += 1
        except MemoryError:
            pass
        for i in range(0, len(pieces), 2):
            pieces[i] = None
        gc.collect()

    def release(self):
        self._pieces = None
        gc.collect()
