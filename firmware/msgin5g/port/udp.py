"""A UDP socket as a link, on MicroPython and CPython.

A remote is what `recvfrom` gives: a tuple, or on the Unix port the bytes of a sockaddr. Only this
file makes one, looks into one or prints one.
"""

import socket
from errno import EADDRINUSE

from micropython import const

_BUFFER_SIZE = const(1281)  # one more than an IPv6 MTU: longer datagrams show that they are


class LinkError(Exception):
    """A link that cannot be opened; the text says why in one line."""


class UdpLink:
    """One bound UDP socket."""

    def __init__(self, host, port):
        self.n_failed = 0  # datagrams that the network did not take; CoAP sends them again
        self.n_lost = 0  # datagrams that there was no memory for
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind(self.remote(host, port))
        except OSError as error:
            self.socket.close()
            why = "in use" if error.errno == EADDRINUSE else str(error)
            raise LinkError("bind: " + host + ":" + str(port) + ": " + why)
        self.socket.setblocking(False)

    def remote(self, host, port):
        """The remote of an address; LinkError when the name is not known."""
        try:
            address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1]
        except OSError:
            raise LinkError("address: " + host + ": not known")
        return address if isinstance(address, tuple) else bytes(address)

    def receive(self):
        """(datagram, remote), or None when nothing has come."""
        try:
            return self.socket.recvfrom(_BUFFER_SIZE)
        except OSError:
            return None  # EAGAIN; and what an ICMP message reports is seen as a time-out
        except MemoryError:
            return self._lose()

    def _lose(self):
        """Lose what has come, if anything has, for want of room in one piece; CoAP repeats it."""
        try:
            self.socket.recvfrom(1)
            self.n_lost += 1
        except OSError:
            pass

    def send(self, datagram, remote):
        """Send one datagram; what the network does not take is counted as lost."""
        try:
            self.socket.sendto(datagram, remote)
        except OSError:
            self.n_failed += 1

    def close(self):
        """Close the socket."""
        self.socket.close()


def host_of(remote):
    """The host of a remote, as a key: for `peer_key` when ports are not checked."""
    return remote[0] if isinstance(remote, tuple) else bytes(remote[4:8])


def text_of(remote):
    """`192.168.4.1:65401`, for a person."""
    if isinstance(remote, tuple):
        return remote[0] + ":" + str(remote[1])
    if len(remote) == 6:  # a MAC address, see espnow
        return ":".join(["%02x" % byte for byte in remote])
    # struct sockaddr_in: family, port and address in network order
    host = ".".join([str(byte) for byte in remote[4:8]])
    return host + ":" + str(remote[2] << 8 | remote[3])
