"""Small test helpers that run on CPython, on MicroPython and on a board: no pytest here."""

import gc

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython without the shim
    heap_lock = heap_unlock = None


class raises:
    """`with raises(ValueError) as caught:`; `caught.error` is the exception afterwards."""

    def __init__(self, kind, text=""):
        self.kind = kind
        self.text = text
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert kind is not None, "nothing was raised, " + self.kind.__name__ + " was expected"
        if not issubclass(kind, self.kind):
            return False
        assert self.text in str(error), "'" + self.text + "' is not in '" + str(error) + "'"
        self.error = error
        return True


def no_alloc(function):
    """Call `function`; on MicroPython an allocation in it raises MemoryError."""
    if heap_lock is None:
        return function()
    heap_lock()
    try:
        return function()
    finally:
        heap_unlock()


def heap_in_use():
    """Bytes in use after a collection, or None where the interpreter cannot say (CPython)."""
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else None


def load(*names):
    """Import modules and collect often meanwhile, as a board's main does.

    What the compiler leaves behind would lie in between them for good, and a small heap be full
    of holes.
    """
    if hasattr(gc, "mem_free"):
        gc.threshold(1024)
    for name in names:
        __import__(name)
    if hasattr(gc, "mem_free"):
        gc.threshold(-1)


def xorshift(seed):
    """A function that gives a random byte: the same numbers for the same seed everywhere."""
    state = [seed or 1]

    def random_byte():
        x = state[0]
        x ^= (x << 13) & 0x3FFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0x3FFFFFFF
        state[0] = x
        return (x >> 7) & 0xFF

    return random_byte


def unhex(text):
    """Bytes of a hex string that may hold blanks."""
    return bytes.fromhex(text.replace(" ", "").replace("\n", ""))
