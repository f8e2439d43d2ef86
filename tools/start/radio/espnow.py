"""MicroPython's `espnow`, as far as the firmware uses it, between the nodes of one computer.

A frame is a datagram of a Unix socket: sender, its two keys, content. The kernel says at once
whether somebody has the name to which it goes, as a radio says whether it was acknowledged.
"""

import errno
import io
import socket
import struct

import air

MAX_DATA_LEN = 250
_HEADER_SIZE = 6 + 16 + 16  # sender, key of the peer, primary key
_NO_KEY = bytes(16)
_GET_FILENO = 10  # MP_STREAM_GET_FILENO: what select.poll asks a stream


def _address(mac):
    return struct.pack("H", socket.AF_UNIX) + b"\0" + air.name.encode() + mac


class ESPNow(io.IOBase):
    """The radio of this node; active from the first `active(True)` until it ends."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._is_bound = False
        self._pmk = _NO_KEY
        self._keys = {}  # MAC of a peer -> its key

    def ioctl(self, request, argument):
        return self._socket.fileno() if request == _GET_FILENO else -1

    def config(self, **values):
        pass

    def active(self, on=None):
        if on and not self._is_bound:
            self._socket.bind(_address(air.mac))
            self._is_bound = True
        if on is False:
            self._keys = {}
        return self._is_bound

    def set_pmk(self, pmk):
        self._pmk = pmk

    def add_peer(self, mac, key=None, **values):
        self._keys[mac] = key or _NO_KEY

    def send(self, mac, frame, sync=True):
        """Whether the radio of the peer has acknowledged it."""
        keys = self._keys[mac] + (_NO_KEY if self._keys[mac] == _NO_KEY else self._pmk)
        try:
            self._socket.sendto(air.mac + keys + frame, _address(mac))
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise OSError(-12391, "ESP_ERR_ESPNOW_NO_MEM")
            return False
        return True

    def recv(self, timeout_ms):
        """(MAC, frame), or (None, None) when none has come that this radio can decrypt."""
        while True:
            try:
                datagram = self._socket.recv(_HEADER_SIZE + MAX_DATA_LEN)
            except OSError:
                return None, None
            mac, keys = datagram[:6], datagram[6:_HEADER_SIZE]
            known = self._keys.get(mac, _NO_KEY) + self._pmk
            if keys == 2 * _NO_KEY or keys == known:
                return mac, datagram[_HEADER_SIZE:]
