"""A UDP socket as a transport, on MicroPython and CPython."""

from micropython import const

_BUFFER_SIZE = const(1153)  # one more than a message may have, to detect a longer one


class UdpTransport:
    """A UDP socket from resolver.bind. A remote is opaque here, see resolver.py."""

    def __init__(self, socket):
        self.n_failed = 0  # datagrams that the network did not take; CoAP sends them again
        self.n_lost = 0  # datagrams that were dropped because memory was short
        self.socket = socket

    def receive(self):
        """(datagram, remote), or None when nothing has come."""
        try:
            try:
                return self.socket.recvfrom(_BUFFER_SIZE)
            except MemoryError:
                # No free block is large enough: drop the datagram; CoAP repeats it.
                self.socket.recvfrom(1)
                self.n_lost += 1
        except (OSError, MemoryError):
            pass  # EAGAIN; what an ICMP message reports shows as a time-out

    def send(self, datagram, remote):
        """Send one datagram; one that the network does not take counts as failed."""
        try:
            self.socket.sendto(datagram, remote)
        except (OSError, MemoryError):
            self.n_failed += 1

    def close(self):
        """Close the socket."""
        self.socket.close()
