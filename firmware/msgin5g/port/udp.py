"""A UDP socket as a link, on MicroPython and CPython.

A remote is what `recvfrom` gives: a tuple, or on the Unix port the bytes of a sockaddr. Only
`address` makes one, and only `peer` looks into one.
"""

from micropython import const

_BUFFER_SIZE = const(1153)  # one more than a message may have: a longer one shows that it is


class UdpTransport:
    """A bound UDP socket, see address.bound."""

    def __init__(self, socket):
        self.n_failed = 0  # datagrams that the network did not take; CoAP sends them again
        self.n_lost = 0  # datagrams that there was no memory for
        self.socket = socket

    def receive(self):
        """(datagram, remote), or None when nothing has come."""
        try:
            try:
                return self.socket.recvfrom(_BUFFER_SIZE)
            except MemoryError:
                # Lose what has come for want of room in one piece; CoAP repeats it.
                self.socket.recvfrom(1)
                self.n_lost += 1
        except OSError:
            pass  # EAGAIN; and what an ICMP message reports is seen as a time-out

    def send(self, datagram, remote):
        """Send one datagram; what the network does not take is counted as lost."""
        try:
            self.socket.sendto(datagram, remote)
        except OSError:
            self.n_failed += 1

    def close(self):
        """Close the socket."""
        self.socket.close()
