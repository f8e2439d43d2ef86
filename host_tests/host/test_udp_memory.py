"""A UDP transport when the heap has no free block for a whole datagram."""

import socket

from msgin5g.port.resolver import bind
from msgin5g.port.udp import UdpTransport


class Crowded:
    """A socket, on a heap that has no room for more than `room` bytes for the next `n` times."""

    def __init__(self, inner, room, n):
        self.inner = inner
        self.room = room
        self.n = n

    def recvfrom(self, size):
        if size > self.room and self.n:
            self.n -= 1
            raise MemoryError
        return self.inner.recvfrom(size)

    def close(self):
        self.inner.close()


def test_a_datagram_that_there_is_no_memory_for_is_lost_and_the_next_one_is_not():
    transport = UdpTransport(bind("127.0.0.1", 0))
    address = transport.socket.getsockname()
    # 1,153 bytes, and halves of it down to 72: no room for any of them, once.
    transport.socket = Crowded(transport.socket, 50, 5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        assert transport.receive() is None and transport.n_lost == 0, "nothing has come"
        transport.socket.n = 5
        peer.sendto(b"lost", address)
        peer.sendto(b"taken", address)
        assert transport.receive() is None and transport.n_lost == 1
        assert transport.receive()[0] == b"taken"
        assert transport.receive() is None and transport.n_lost == 1
    transport.close()


def test_with_room_for_500_bytes_short_datagrams_are_read_and_long_ones_lost():
    transport = UdpTransport(bind("127.0.0.1", 0))
    address = transport.socket.getsockname()
    transport.socket = Crowded(transport.socket, 500, 100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for datagram in (b"short", bytes(600), b"next"):
            peer.sendto(datagram, address)
        assert transport.receive()[0] == b"short"
        assert transport.receive() is None and transport.n_lost == 1
        assert transport.receive()[0] == b"next" and transport.receive() is None
    transport.close()
