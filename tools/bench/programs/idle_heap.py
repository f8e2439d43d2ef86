"""Run by MicroPython, not by CPython: the heap of a role that is configured and idle.

    micropython heap_rig.py FIRMWARE DIRECTORY

`main` does all that it does on a board with DIRECTORY/settings.json; only the network is played
here: a request of a UE gets the options and payload in DIRECTORY/answer, one that registers as an
observer those in DIRECTORY/observed. A line with one number says how many bytes are in use above
the bare interpreter.
"""

import gc
import sys
import time
from errno import EAGAIN

_IDLE_MS = 30000  # who waits longer has nothing more to ask
_OBSERVE = 0x60  # the first option: 6, of no bytes
_TURNS = 4  # of the loop before the heap is measured
_DEPTH = 8


def _collect(depth):
    """Collect at several depths of the stack, as it comes on a board: each takes what an earlier
    call has left there for a reference."""
    if depth:
        _collect(depth - 1)
    gc.collect()


class Network:
    """In place of the modules `socket` and `select`, and of what they make."""

    AF_INET = SOCK_DGRAM = POLLIN = 0

    def __init__(self, answer, observed):
        self._answer = answer
        self._observed = observed
        self._reply = None
        self._n_idle = 0

    def socket(self, *_):
        return self

    def poll(self, wait_ms=None):
        """A poller; and its own `poll`, which ends the program when it is to wait for long."""
        if wait_ms is None:
            return self
        if self._reply is None and wait_ms > _IDLE_MS:
            self._n_idle += 1
            if self._n_idle < _TURNS:
                return None
            _collect(_DEPTH)
            print(gc.mem_alloc() - bare)
            raise KeyboardInterrupt
        if self._reply is None:
            time.sleep_ms(wait_ms)
        return None

    def register(self, *_):
        pass

    bind = setblocking = close = register

    def getaddrinfo(self, host, port, *_):
        return [(0, (host, port))]

    def sendto(self, datagram, remote):
        end = 4 + (datagram[0] & 15)
        head = bytes([0x60 | datagram[0] & 15, 0x45]) + datagram[2:end]
        registers = datagram[end] == _OBSERVE
        self._reply = (head + (self._observed if registers else self._answer), remote)

    def recvfrom(self, _):
        if self._reply is None:
            raise OSError(EAGAIN)
        reply = self._reply
        self._reply = None
        return reply


sys.path.insert(0, sys.argv[1])
with open(sys.argv[2] + "/answer", "rb") as file, open(sys.argv[2] + "/observed", "rb") as other:
    sys.modules["socket"] = sys.modules["select"] = Network(file.read(), other.read())
del file, other
gc.collect()
bare = gc.mem_alloc()
__import__("msgin5g.main").main.main(sys.argv[2] + "/settings.json", sys.argv[2])
