"""The two kinds of transport: a socket of our own, or one that the program brings.

A remote is what the socket takes as an address; `pair_of` gives it as (host, port).
"""

import select
import socket
import time

from micropython import const
from msgin5g.port.remote import text_of
from msgin5g.port.resolver import TransportError, bind, resolve
from msgin5g.port.udp import UdpTransport

_BUFFER_SIZE = const(1281)
_SLICE_MS = const(50)  # a custom socket cannot be waited for: it is polled this often


class OwnTransport(UdpTransport):
    """A bound UDP socket; OSError when it cannot be opened."""

    def __init__(self, port):
        try:
            super().__init__(bind("0.0.0.0", port))
        except TransportError as error:
            raise OSError(str(error))
        self._poller = select.poll()
        self._poller.register(self.socket, select.POLLIN)

    def remote(self, host, port):
        """The remote of an address; TransportError when the name is not known."""
        return resolve(host, port)

    def wait(self, ms):
        """Until something comes, at most `ms`."""
        self._poller.poll(ms)

    def pair_of(self, remote):
        host, _, port = text_of(remote).rpartition(":")
        return host, int(port)


class CustomTransport:
    """A program's own socket: sendto, recvfrom and setblocking are all that it must have.

    `isUnixCompatible()` false: sendto takes host and port apart. recvfrom gives (bytes, address),
    or bytes alone, which then come from the peer that was sent to last; None for nothing.
    """

    def __init__(self, custom):
        self.socket = custom
        self.n_failed = 0
        self._last = None
        self._apart = hasattr(custom, "isUnixCompatible") and not custom.isUnixCompatible()

    def remote(self, host, port):
        """(host, port) with the host as a number, where that can be had."""
        if not self._apart:
            try:
                address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1]
                return self.pair_of(address)
            except OSError:
                pass  # the name may mean something to the socket only
        return host, port

    def pair_of(self, remote):
        if isinstance(remote, (tuple, list)):
            return remote[0], int(remote[1])
        host, _, port = text_of(bytes(remote)).rpartition(":")
        return host, int(port)

    def send(self, datagram, remote):
        self._last = remote
        try:
            if self._apart:
                sent = self.socket.sendto(datagram, remote[0], remote[1])
            else:
                sent = self.socket.sendto(datagram, self._address(remote))
        except Exception:  # a program's own code: whatever it raises, nothing was sent
            sent = 0
        if not sent:
            self.n_failed += 1

    def _address(self, remote):
        try:
            address = socket.getaddrinfo(remote[0], remote[1])[0][-1]
        except OSError:
            return remote
        return address if isinstance(address, tuple) else bytes(address)

    def receive(self):
        """(datagram, remote), or None when nothing has come."""
        self.socket.setblocking(False)
        try:
            came = self.socket.recvfrom(_BUFFER_SIZE)
        except Exception:  # nothing there: each kind of socket raises another error
            return None
        datagram, address = came if isinstance(came, (tuple, list)) else (came, None)
        if not datagram:
            return None
        return datagram, self._last if address is None else self.pair_of(address)

    def wait(self, ms):
        """At most `ms`, in steps."""
        time.sleep_ms(min(ms, _SLICE_MS))

    def close(self):
        """Close the socket, if it can be closed."""
        if hasattr(self.socket, "close"):
            self.socket.close()
