"""A heap that is full: what a verb of a role does when it finds no memory, at each place in turn.

On MicroPython the heap is filled with ballast except for a number of blocks. CPython has heap
enough, so there one call of a function of the firmware raises MemoryError in its place.
"""

import gc
import sys

from msgin5g.coap.endpoint import Role

_IS_MICROPYTHON = sys.implementation.name == "micropython"
_BLOCK = 32  # bytes of heap on a 64-bit port
_STEP = 6  # blocks, 192 bytes: small enough to end in each larger allocation
_TAKE_NO_HEAP = ("_change", "_stop", "_finish", "_was_sent", "cancel", "close", "count")


class Ballast:
    """All of the heap but `size` bytes in one piece, until `release`."""

    def __init__(self, size):
        gc.collect()
        self._pieces = pieces = [None] * 200
        self._chain = None
        if sys.platform == "webassembly":
            return  # its heap grows: there is no end to fill it to
        reserve = [bytearray(size)]
        gc.disable()
        i = 0
        n = 1 << 16
        while n >= 64 and i < 200:
            try:
                pieces[i] = bytearray(n)
                i += 1
            except MemoryError:
                n >>= 1
        for _ in range(2):  # the first time what filling itself has used is not free yet
            try:
                while True:
                    self._chain = (self._chain,)
            except MemoryError:
                pass
            gc.collect()
        reserve[0] = None
        gc.enable()
        gc.collect()

    def release(self):
        self._pieces = self._chain = None
        gc.collect()


def _is_guard(frame):
    """Whether a frame is one of Role's own methods: they are what must hold."""
    is_of_role = isinstance(frame.f_locals.get("self"), Role)
    return is_of_role and frame.f_code.co_filename.endswith("endpoint.py")


def call_with_memory_for(n, function, arguments):
    """Call a function while there is memory for n steps, whatever a step is."""
    if _IS_MICROPYTHON:
        ballast = Ballast(n * _STEP * _BLOCK)
        try:
            return function(*arguments)
        finally:
            ballast.release()
    left = [n]

    def trace(frame, event, argument):
        code = frame.f_code
        file = code.co_filename.replace("\\", "/")
        if (
            event == "call"
            and "/msgin5g/" in file
            and not _is_guard(frame)
            and code.co_name not in _TAKE_NO_HEAP
        ):
            left[0] -= 1
            if left[0] < 0:
                raise MemoryError  # which ends the tracing

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function(*arguments)
    finally:
        sys.settrace(before)


def starve(role, verb, at, n):
    """Let a verb of a role, called after the `at`-th datagram came, have memory for n steps."""
    n_received = [-1]

    def wrap(name):
        function = getattr(role, name)

        def call(*arguments):
            if name == "receive":
                n_received[0] += 1
            if name == verb and n_received[0] == at:
                n_received[0] += 1000  # once
                return call_with_memory_for(n, function, arguments)
            return function(*arguments)

        setattr(role, name, call)

    for name in {"receive", verb}:
        wrap(name)
