"""Remote addresses: resolved from a name, bound to a socket, as a key and as text.

A remote is what `recvfrom` gives: a tuple, or on the Unix port the bytes of a sockaddr, or for
ESP-NOW a MAC address of 6 bytes. Only this file makes one from a name or reads its fields.
"""

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


def host_of(remote):
    """The host of a remote, as a key: the `peer_key` of an Endpoint that ignores ports."""
    return remote[0] if isinstance(remote, tuple) else bytes(remote[4:8])


def text_of(remote):
    """`192.168.4.1:65401`, or a MAC address, for a person."""
    if isinstance(remote, tuple):
        return remote[0] + ":" + str(remote[1])
    if len(remote) == 6:  # a MAC address, see espnow.py
        return ":".join(["%02x" % byte for byte in remote])
    # struct sockaddr_in: family, port and address in network order
    host = ".".join([str(byte) for byte in remote[4:8]])
    return host + ":" + str(remote[2] << 8 | remote[3])


class Resolver:
    """Resolves names for a running node; its watchdog is held meanwhile.

    On a board a DNS query blocks the loop, for some seconds at worst.
    """

    def __init__(self, node):
        self._node = node

    def resolve(self, host, port):
        """The remote of an address, or None when the name is not known."""
        watchdog = self._node.watchdog
        if watchdog and watchdog.held:
            watchdog = None  # held already, by a person at the REPL
        if watchdog:
            watchdog.hold()
        try:
            return resolve(host, port)
        except TransportError:
            return None
        finally:
            if watchdog:
                watchdog.release()
