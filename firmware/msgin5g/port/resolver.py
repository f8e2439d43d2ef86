"""Addresses: resolved from a name, and bound to a socket. See remote.py for what a remote is."""

import socket
from errno import EADDRINUSE


class TransportError(Exception):
    """A transport that cannot be opened; the text gives the reason in one line."""


def resolve(host, port):
    """The remote of an address; TransportError when the name is not known."""
    try:
        address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1]
    except OSError:
        raise TransportError("address: %s: not known" % host)
    return address if isinstance(address, tuple) else bytes(address)


def bind(host, port):
    """A non-blocking UDP socket bound to an address; TransportError when it cannot be bound."""
    address = resolve(host, port)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind(address)
    except OSError as error:
        udp.close()
        reason = "in use" if error.errno == EADDRINUSE else error
        raise TransportError("bind: %s:%d: %s" % (host, port, reason))
    udp.setblocking(False)
    return udp
