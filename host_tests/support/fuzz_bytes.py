"""Hostile bytes for the fuzzer, the same everywhere: random numbers, noise and mutations."""

MASK = 0xFFFFFFFF
_EDGES = (0, 1, 0x0C, 0x0D, 0x0E, 0x0F, 0x11, 0x40, 0x60, 0x7F, 0x80, 0xD0, 0xD1, 0xE0, 0xED,
          0xF0, 0xFE, 0xFF)  # fmt: skip
_POOL_SIZE = 6000


class Chance:
    """Numbers by xorshift: the same for the same seed everywhere."""

    def __init__(self, seed):
        self._x = (seed * 2654435761 & MASK) or 1
        for _ in range(8):  # small seeds start with similar numbers
            self.below(2)
        self._pool = bytearray(_POOL_SIZE)
        for i in range(_POOL_SIZE):
            self._pool[i] = self.below(256)

    def below(self, n):
        """A whole number from 0 to n - 1."""
        x = self._x
        x ^= x << 13 & MASK
        x ^= x >> 17
        x ^= x << 5 & MASK
        self._x = x
        return x % n

    def byte(self):
        return self.below(256)

    def noise(self, size):
        """`size` random bytes, at most 2,000."""
        start = self.below(_POOL_SIZE - 2000)
        return bytes(self._pool[start : start + size])

    def pick(self, items):
        return items[self.below(len(items))]

    def size(self):
        """A length from 0 to 2,000, mostly short."""
        n = self.below(16)
        return self.below(2001 if n == 0 else 200 if n < 4 else 24)


def mutate(buf, chance, others):
    """Change a bytearray in up to eight places; `others` are bytes to take pieces from."""
    how_often = chance.below(8)  # one in four stays as it is
    for _ in range((0, 0, 1, 1, 1, 2, 3, 8)[how_often]):
        _mutate_once(buf, chance, others)


def _mutate_once(buf, chance, others):
    size = len(buf)
    what = chance.below(12)
    if size == 0:
        buf.extend(chance.noise(chance.below(8)))
        return
    i = chance.below(size)
    if what < 3:
        buf[i] ^= 1 << chance.below(8)
    elif what < 5:
        buf[i] = chance.pick(_EDGES)
    elif what == 5:
        buf[i] = chance.byte()
    elif what == 6:
        buf[:] = buf[:i]  # cut off
    elif what == 7:
        buf.extend(chance.noise(chance.size()))
    elif what == 8:  # remove a piece
        buf[:] = buf[:i] + buf[i + 1 + chance.below(9) :]
    elif what == 9:  # insert a piece
        buf[:] = buf[:i] + chance.noise(1 + chance.below(9)) + buf[i:]
    elif what == 10:  # repeat a piece
        piece = bytes(buf[i : i + 1 + chance.below(24)])
        buf[:] = buf[:i] + piece * (1 + chance.below(6)) + buf[i:]
    else:  # append the end of another one
        other = chance.pick(others)
        buf[:] = buf[:i] + other[chance.below(len(other)) :]
    if len(buf) > 2000:
        buf[:] = buf[:2000]
