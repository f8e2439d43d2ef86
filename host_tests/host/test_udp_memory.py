"""A UDP link when the heap has no room for a datagram in one piece."""

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
    link = UdpTransport(bind("127.0.0.1", 0))
    address = link.socket.getsockname()
    link.socket = Crowded(link.socket, 500, 2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        assert link.receive() is None and link.n_lost == 0, "nothing has come"
        peer.sendto(b"lost", address)
        peer.sendto(b"taken", address)
        assert link.receive() is None and link.n_lost == 1
        assert link.receive()[0] == b"taken"
        assert link.receive() is None and link.n_lost == 1
    link.close()
