"""Run by MicroPython: the heap of a role that has done its work once and is idle.

    micropython idle_heap.py FIRMWARE DIRECTORY [modules]

FIRMWARE is a folder of modules, or a ROMFS image, which is mounted and does not count. `main` runs
with DIRECTORY/settings.json as on a board; only the network is a fake one. A GET is answered with
the options and payload in DIRECTORY/answer, one that registers as an observer with those in
DIRECTORY/observed. When there is a file DIRECTORY/request, that datagram comes from a linked UE.
It prints a JSON object: `bare`, the bytes in use before `main`, by the interpreter, this program
and the image; `heap`, the bytes in use above that; `served`, whether the UE has got a response to
its request. With `modules` a list follows: the modules of the package that are loaded.
"""

import gc
import json
import sys
import time
import vfs
from errno import EAGAIN

_IDLE_MS = 30000  # a role that waits longer has no more work
_OBSERVE = 0x60  # the head of the first option: number 6, no bytes
_PATIENCE_MS = 3000  # of waiting in all: the role has failed then, and waits to try again
_TURNS = 4  # of the loop before the heap is measured
_DEPTH = 8
_UE = ("127.0.0.2", 65401)
_GET = 1
_CON, _NON, _ACK = 0x40, 0x50, 0x60


def collect(depth):
    """Collect at several depths of the stack: an old word there can look like a reference."""
    if depth:
        collect(depth - 1)
    gc.collect()


def content_of(name):
    try:
        with open(sys.argv[2] + "/" + name, "rb") as file:
            return file.read()
    except OSError:
        return None


class FakeNetwork:
    """Stands for the modules `socket` and `select`, and for the objects that they make."""

    AF_INET = SOCK_DGRAM = POLLIN = 0

    def __init__(self, answer, observed, request):
        self._answer = answer
        self._observed = observed
        self._waiting = []  # (datagram, remote) to be received
        self._request = request
        self._served = False
        self._n_idle = 0
        self._waited_ms = 0

    def socket(self, *_):
        return self

    def register(self, *_):
        pass

    bind = setblocking = close = register

    def getaddrinfo(self, host, port, *_):
        return [(0, (host, port))]

    def poll(self, wait_ms=None):
        """A poller; and the poller's `poll`, which ends the program when the role is idle."""
        if wait_ms is None or self._waiting:
            return self
        if self._request:
            self._waiting.append((self._request, _UE))
            self._request = None
        elif wait_ms < 0 or wait_ms > _IDLE_MS:
            self._n_idle += 1
            if self._n_idle == _TURNS:
                self._end()
        elif self._waited_ms > _PATIENCE_MS:
            self._end()
        else:
            time.sleep_ms(wait_ms)
            self._waited_ms += wait_ms
        return None

    def _end(self):
        collect(_DEPTH)
        heap = gc.mem_alloc() - bare
        served = 1 if self._served else 0
        print('{"heap": %d, "served": %d, "bare": %d}' % (heap, served, bare))
        if list_modules:
            print(json.dumps([name for name in sys.modules if name.startswith("msgin5g")]))
        raise KeyboardInterrupt

    def sendto(self, datagram, remote):
        code, kind = datagram[1], datagram[0] & 0x70
        end = 4 + (datagram[0] & 15)
        if code == _GET:
            head = bytes([_ACK | datagram[0] & 15, 0x45]) + datagram[2:end]
            registers = datagram[end] == _OBSERVE
            self._waiting.append((head + (self._observed if registers else self._answer), remote))
        elif remote == _UE and code:
            self._served = code == 0x45
            if kind == _CON:
                self._waiting.append((bytes([_ACK, 0]) + datagram[2:4], remote))

    def recvfrom(self, _):
        if not self._waiting:
            raise OSError(EAGAIN)
        return self._waiting.pop(0)


list_modules = len(sys.argv) > 3
firmware = sys.argv[1]
if firmware.endswith(".romfs"):
    with open(firmware, "rb") as image:
        vfs.mount(vfs.VfsRom(image.read()), "/rom")
    firmware = "/rom"
    del image
sys.path.insert(0, firmware)
fake = FakeNetwork(content_of("answer"), content_of("observed"), content_of("request"))
sys.modules["socket"] = sys.modules["select"] = fake
del fake, firmware
gc.collect()
bare = gc.mem_alloc()
__import__("msgin5g.main").main.main(sys.argv[2] + "/settings.json", sys.argv[2])
