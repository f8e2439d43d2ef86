"""MicroPython's `uctypes`, as far as one buffer is seen as another: an address is its buffer."""


def addressof(buffer):
    return buffer


def bytearray_at(address, size):
    view = memoryview(address).cast("B")
    assert len(view) >= size
    return view[:size]
