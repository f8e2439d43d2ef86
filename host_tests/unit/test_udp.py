"""A UDP socket as a transport: what it reads, and what becomes of a datagram that is too long."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.endpoint import NOTHING, REQUEST
from msgin5g.coap.numbers import GET
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.port.udp import UdpTransport

PEER = ("192.0.2.1", 5683)


class Socket:
    """A socket with these datagrams; as a real one, it cuts off what is not read."""

    sizes = (1153,)

    def __init__(self, *datagrams):
        self.datagrams = list(datagrams)

    def recvfrom(self, size):
        assert size in self.sizes, "more would take memory for nothing"
        if not self.datagrams:
            raise OSError(11)  # EAGAIN
        return self.datagrams.pop(0)[:size], PEER


def request(size, mtype):
    """A GET of `size` bytes with a payload, in which each byte but the last one counts."""
    head = bytes((0x41 | mtype << 4, GET, 0, mtype)) + b"t\xff"
    return head + bytes(size - len(head))


def test_a_datagram_of_1153_bytes_is_dropped_and_not_read_cut_off():
    for mtype in (0, 1):  # confirmable, non-confirmable
        transport = UdpTransport(Socket(request(1152, mtype), request(1153, mtype)))
        endpoint = ServerEndpoint(xorshift(7), {})
        datagram, remote = transport.receive()
        assert endpoint.receive(0, datagram, remote, 0) == REQUEST
        assert endpoint.message.size == 1152 and endpoint.counters == {}
        datagram, remote = transport.receive()
        assert endpoint.receive(0, datagram, remote, 0) == NOTHING
        assert endpoint.counters == {"malformed": 1}
        # RFC 7252 section 4.2: a confirmable one is rejected, so that it is not repeated.
        out = endpoint.transmit(0)
        assert out is None if mtype else bytes(out[1]) == b"\x70\0\0\0"
        assert transport.receive() is None


class Short(Socket):
    """A socket in a heap whose largest free block is `largest` bytes."""

    largest = 300
    sizes = (1153, 576, 288, 144, 72, 1)

    def recvfrom(self, size):
        if size > self.largest:
            raise MemoryError
        return Socket.recvfrom(self, size)


def test_in_a_heap_in_small_pieces_short_datagrams_are_read_and_long_ones_counted():
    short = bytes(287)
    transport = UdpTransport(Short(short, bytes(288), b"ping", bytes(1152), b"last"))
    assert transport.receive() == (short, PEER) and transport.n_lost == 0
    assert transport.receive() is None and transport.n_lost == 1
    assert transport.receive() == (b"ping", PEER)
    assert transport.receive() is None and transport.n_lost == 2
    assert transport.receive() == (b"last", PEER)
    assert transport.receive() is None and transport.n_lost == 2


def test_without_any_memory_a_datagram_is_dropped_and_counted():
    transport = UdpTransport(Short(b"first", b"second"))
    transport.socket.largest = 1
    assert transport.receive() is None and transport.n_lost == 1
    transport.socket.largest = 1153
    assert transport.receive() == (b"second", PEER)


def test_what_the_network_or_memory_does_not_take_is_counted_and_raises_nothing():
    class Refusing(Socket):
        def sendto(self, datagram, remote):
            raise self.datagrams.pop(0)

    transport = UdpTransport(Refusing(OSError(101), MemoryError()))
    for n in (1, 2):
        transport.send(b"x", PEER)
        assert transport.n_failed == n

    class Scarce(Socket):
        def recvfrom(self, size):
            raise MemoryError

    transport = UdpTransport(Scarce())
    assert transport.receive() is None and transport.n_lost == 0
