"""The modules through which firmware and applications reach the world, for one virtual board.

`Modules.enter` puts them in place of the real ones while code of that board runs, and `leave`
takes them away: time, os (for chance), socket, select, machine, network, espnow. The firmware's
own port layer and event loops run on them unchanged.
"""

import asyncio  # noqa: F401  # it takes its clock from `time` when it is imported: the real one
import os
import sys
import time

from msgin5g.port import event_loop, resolver, system
from msgin5g_testkit.checks import xorshift

_MAX_WAITING = 4  # datagrams at a socket: lwIP drops the next one
_ENOENT = 2
_READS_PER_MS = 200  # of the clock by a program that waits for it


class VirtualTime:
    """Module `time`: ticks are those of the network's clock, and sleeping passes its time."""

    def __init__(self, clock, sleep):
        self._clock = clock
        self._sleep = sleep
        self._n_reads = 0
        self._read_at = 0
        self.is_used = False  # outside of the board's own code the clock is the real one

    def __getattr__(self, name):
        return getattr(time, name)

    def ticks_ms(self):
        if not self.is_used:
            return time.ticks_ms()
        clock = self._clock
        if clock.elapsed_ms != self._read_at:
            self._read_at, self._n_reads = clock.elapsed_ms, 0
        self._n_reads += 1
        if self._n_reads > _READS_PER_MS:
            self._n_reads = 0
            self._sleep(1)
        return clock.now

    def ticks_us(self):
        return self.ticks_ms() * 1000 & 0x3FFFFFFF

    def ticks_add(self, ticks, delta):
        return (ticks + delta) & 0x3FFFFFFF

    def ticks_diff(self, end, start):
        return ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000

    def sleep_ms(self, ms):
        if self.is_used:
            self._sleep(ms)
        else:
            time.sleep(ms / 1000)

    def sleep(self, seconds):
        self.sleep_ms(int(seconds * 1000))

    def sleep_us(self, us):
        self.sleep_ms(us // 1000)


class VirtualOs:
    """Module `os` for chance: the same numbers for the same seed."""

    def __init__(self, seed):
        self._random = xorshift(seed)
        self.was_drawn = False

    def __getattr__(self, name):
        return getattr(os, name)

    def urandom(self, n):
        self.was_drawn = True
        return bytes([self._random() for _ in range(n)])

    def drop_drawn(self, random_byte):
        """Take the bytes that `random_byte` holds back from somewhere else."""
        self.was_drawn = False
        while not self.was_drawn:
            random_byte()
        for _ in range(15):
            random_byte()


class Socket:
    """A UDP socket of a board. index: its number among the board's."""

    def __init__(self, sockets, index):
        self._sockets = sockets
        self._index = index
        self.waiting = []  # (datagram, remote)
        self.n_dropped = 0

    def bind(self, address):
        self.address = address

    def setblocking(self, flag):
        assert not flag, "a blocking socket would wait for ever: setblocking(False)"

    def recvfrom(self, size):
        if not self.waiting:
            raise OSError(11)
        datagram, remote = self.waiting.pop(0)
        return datagram[:size], remote

    def sendto(self, datagram, remote):
        self._sockets.send(self._index, bytes(datagram), remote)
        return len(datagram)

    def arrived(self, datagram, remote):
        if len(self.waiting) < _MAX_WAITING:
            self.waiting.append((datagram, remote))
        else:
            self.n_dropped += 1

    def close(self):
        self._sockets.closed(self)


class VirtualSocket:
    """Module `socket`. names: {host name: address}. is_up: a function: whether the link is up."""

    AF_INET = 2
    SOCK_DGRAM = 2

    def __init__(self, names, is_up):
        self._names = names
        self._is_up = is_up
        self.open = []
        self.out = []  # (index, datagram, remote) that the network has not taken yet

    def getaddrinfo(self, host, port, *more):
        host = self._names.get(host, host)
        if not resolver.is_ipv4(host):
            raise OSError(-2)
        return [(self.AF_INET, self.SOCK_DGRAM, 0, "", (host, port))]

    def socket(self, *kind):
        made = Socket(self, len(self.open))
        self.open.append(made)
        return made

    def send(self, index, datagram, remote):
        if not self._is_up():
            raise OSError(118)  # ENETUNREACH of lwIP
        self.out.append((index, datagram, tuple(remote)))

    def receive(self, index, datagram, remote):
        if index < len(self.open) and self._is_up():
            self.open[index].arrived(datagram, remote)

    def closed(self, socket):
        if socket in self.open:
            self.open[self.open.index(socket)] = Socket(self, -1)

    def has_arrived(self):
        for socket in self.open:
            if socket.waiting:
                return True
        return False


class VirtualSelect:
    """Module `select`: waiting passes the network's time. wait: a function of ms, see Ue.wait."""

    POLLIN = 1

    def __init__(self, wait):
        self._wait = wait

    def poll(self):
        return _Poller(self._wait)


class _Poller:
    def __init__(self, wait):
        self._sockets = []
        self._wait = wait
        self._n_zero = 0

    def register(self, obj, eventmask=None):
        self._sockets.append(obj)

    def _ready(self):
        # ESP-NOW has `any`, as on a board.
        return [
            (socket, 1)
            for socket in self._sockets
            if (socket.any() if hasattr(socket, "any") else socket.waiting)
        ]

    def poll(self, ms=0):
        ready = self._ready()
        if ready:
            self._n_zero = 0
            return ready
        self._n_zero = 0 if ms else self._n_zero + 1
        if ms or self._n_zero > 8:  # asking takes time, too
            self._n_zero = 0
            self._wait(ms or 1)
        return self._ready()


class NoRadio:
    """Module `network` of a board without a radio."""


class Modules:
    """The modules of one board; enter and leave may be nested, with those of other boards."""

    def __init__(self, board_modules, time_module, os_module, socket_module, select_module):
        """board_modules: {name: module}, which `import name` is to give."""
        self.of_board = board_modules
        self._time = time_module
        self.of_board["time"] = time_module
        self._of_firmware = (
            (system, "time", time_module),
            (system, "os", os_module),
            (resolver, "socket", socket_module),
            (event_loop, "select", select_module),
        )
        self._outside = []

    def enter(self):
        before = [getattr(owner, name) for owner, name, _ in self._of_firmware]
        loaded = [(name, sys.modules.get(name)) for name in self.of_board]
        self._outside.append((before, loaded, self._time.is_used))
        for owner, name, module in self._of_firmware:
            setattr(owner, name, module)
        for name in self.of_board:
            sys.modules[name] = self.of_board[name]
        self._time.is_used = True

    def leave(self):
        before, loaded, self._time.is_used = self._outside.pop()
        for i in range(len(before)):
            owner, name, _ = self._of_firmware[i]
            setattr(owner, name, before[i])
        for name, module in loaded:
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
