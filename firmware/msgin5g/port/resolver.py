"""Addresses: resolved from a name, and bound to a socket. See remote.py for what a remote is."""

import socket
from errno import EACCES, EADDRINUSE


# 99 and 125: EADDRNOTAVAIL of Linux and of newlib, which no errno module has.
_NOT_HERE = "cannot assign address: use one of this machine, or 0.0.0.0"
_REASONS = {
    EADDRINUSE: "in use",
    EACCES: "not permitted: use a port above 1023",
    99: _NOT_HERE,
    125: _NOT_HERE,
}


class TransportError(Exception):
    """A transport that cannot be opened; the text gives the reason in one line."""


def is_ipv4(host):
    """Whether a host is an IPv4 address, which needs no lookup."""
    parts = host.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)


def look_up(host, port, remote=None):
    """The remote of an address, or None when the name is not known.

    A name may have several: `remote` itself when it is still one of them. On a board this blocks
    for some seconds at worst.
    """
    found = None
    try:
        for row in socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM):
            address = row[-1] if isinstance(row[-1], tuple) else bytes(row[-1])
            if address == remote:
                return remote
            found = found or address
    except (OSError, ValueError):  # CPython has the latter for a name that no DNS can have
        pass
    return found


def resolve(host, port):
    """The remote of an address; TransportError when the name is not known."""
    address = look_up(host, port)
    if address is None:
        raise TransportError("address: %s: not known" % host)
    return address


def bind(host, port):
    """A non-blocking UDP socket bound to an address; TransportError when it cannot be bound."""
    address = resolve(host, port)
    udp = None
    try:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(address)
    except OSError as error:
        if udp is not None:
            udp.close()
        reason = _REASONS.get(error.errno, error)
        raise TransportError("bind: %s:%d: %s" % (host, port, reason))
    udp.setblocking(False)
    return udp
