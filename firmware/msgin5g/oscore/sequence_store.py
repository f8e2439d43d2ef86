"""The numbers of our messages, none of them twice, whatever happens to the power.

A number and a key make a nonce, and a nonce that is used twice gives both messages away. So
numbers are reserved ahead (RFC 8613 appendix B.1.1), 64 with one write: the flash has the bound
before the first of them is used, and a start begins at the bound. The bound is in two files that
are written in turn: one of them is whole at any moment, and what the other one held is known
within a range.

A start also skips a random count of numbers, up to 2**24, unless it is a wake from deep sleep. An
old image of the flash that is put back holds a bound that has passed: two runs from it hardly
meet. The files are bound to the key and to the
board: for another key, or on another board, they are not valid, and a key without files is not
used. All keys of a gateway may have one store: no number is given twice, whatever the key.

    0  "MG5N"      magic
    4  bound       5 bytes
    9  check       8 bytes of HMAC-SHA-256 with the Sender Key, over the bound and the board
"""

from micropython import const

from msgin5g.oscore.context import ProtectionError
from msgin5g.oscore.hkdf import hmac

FILES = const(("oscore-a", "oscore-b"))

_MAGIC = const(b"MG5N")
_SIZE = const(17)
_RESERVED = const(64)
_SKIP_MASK = const(0xFFFFFF)
_MAX_NUMBER = const(0xFFFFFFFFFF)  # of 5 bytes, section 7.2.1
_N_REFUSED = const(60)  # after a write that failed: a node asks once a second


def board_mark(key, own_key, board):
    """What shows that a key may take its numbers from the store of another one: 8 bytes.

    key, own_key: Sender Keys of a gateway, for a UE and for the server. board: what no other board
    has. Whoever makes a key for a UE makes this too, once; so a key that was used with the numbers
    of another board, or of another store, is not used again.
    """
    return hmac(key, own_key + board)[:8]


class SequenceStore:
    """Gives numbers, with `next`. `load` or `create` comes first.

    flash: a port.flash.Flash. key: the Sender Key. board: what no other board has, bytes.
    """

    def __init__(self, flash, key, board):
        self._flash = flash
        self._key = key
        self._board = board
        self._next = self._bound = 0
        self._file = 0  # the one that is written next
        self._n_refused = 0  # how often there is no number before the next write

    def load(self, random):
        """Begin after all numbers that may have been used; false when nobody knows which.

        random: gives a random byte; None to skip nothing.
        """
        bounds = [self._read(name) for name in FILES]
        if bounds[0] is None and bounds[1] is None:
            return False
        for i in range(2):
            if bounds[i] is None:
                # Its last write may have been complete once: then it held the next bound.
                bounds[i] = bounds[1 - i] + _SKIP_MASK + _RESERVED
                self._file = i
                break
        else:
            self._file = int(bounds[0] > bounds[1])
        skipped = random() << 16 | random() << 8 | random() if random else 0
        self._next = self._bound = max(bounds) + skipped
        return True

    def create(self, first=0):
        """Begin anew, for a key that has never been used; false when the flash refuses."""
        self._next = self._bound = first
        for name in FILES:
            if not self._write(name, first):
                return False
        return True

    def next(self):
        """The number of the next message; ProtectionError when there is none.

        A flash that refuses is not written again at once.
        """
        number = self._next
        if number == self._bound:
            bound = number + _RESERVED
            self._n_refused -= self._n_refused > 0
            if self._n_refused or bound > _MAX_NUMBER:
                raise ProtectionError("oscore_no_number")
            if not self._write(FILES[self._file], bound):
                self._n_refused = _N_REFUSED
                raise ProtectionError("oscore_no_number")
            self._bound = bound
            self._file = 1 - self._file
        self._next = number + 1
        return number

    def _read(self, name):
        """The bound in a file, None when it is missing, damaged, or of another key or board."""
        try:
            data = self._flash.read(name, 0, _SIZE + 1)
        except self._flash.error:
            return None
        bound = int.from_bytes(data[4:9], "big")
        return bound if data == self._record(bound) else None

    def _write(self, name, bound):
        """Whether the flash has the bound."""
        record = self._record(bound)
        try:
            self._flash.write(name, (record,))
            return self._flash.same(name, 0, (record,))
        except self._flash.error:
            return False

    def _record(self, bound):
        data = bound.to_bytes(5, "big")
        return _MAGIC + data + hmac(self._key, data + self._board)[:8]
