"""Addresses of UDP: looked up, and bound to a socket. Needed at start, and to look up a name."""

import socket
from errno import EADDRINUSE


class TransportError(Exception):
    """A link that cannot be opened; the text says why in one line."""


def remote_of(host, port):
    """The remote of an address; LinkError when the name is not known."""
    try:
        address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1]
    except OSError:
        raise TransportError("address: %s: not known" % host)
    return address if isinstance(address, tuple) else bytes(address)


def bound(host, port):
    """A UDP socket at an address, which never waits; LinkError when it cannot be had."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind(remote_of(host, port))
    except OSError as error:
        made.close()
        why = "in use" if error.errno == EADDRINUSE else error
        raise TransportError("bind: %s:%d: %s" % (host, port, why))
    made.setblocking(False)
    return made
