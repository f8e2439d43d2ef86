"""A UDP socket as a transport, on MicroPython and CPython."""

from micropython import const

_BUFFER_SIZE = const(1153)  # one more than a message may have, to detect a longer one
_SMALLEST_SIZE = const(64)  # of a buffer where memory is short


class UdpTransport:
    """A UDP socket from resolver.bind. A remote is opaque here, see resolver.py."""

    def __init__(self, socket):
        self.n_failed = 0  # datagrams that the network did not take; CoAP sends them again
        self.n_lost = 0  # datagrams that were dropped because memory was short
        self.socket = socket

    def receive(self):
        """(datagram, remote), or None when nothing has come."""
        try:
            return self.socket.recvfrom(_BUFFER_SIZE)
        except OSError:
            return None  # EAGAIN; what an ICMP message reports shows as a time-out
        except MemoryError:
            return self._receive_less()

    def _receive_less(self):
        """Receive a short datagram where no free block is large enough for the longest one.

        A heap in small pieces may stay like that for minutes. Requests and acknowledgements are
        short. What does not fit is dropped: CoAP repeats it.
        """
        size = _BUFFER_SIZE >> 1
        try:
            while size > _SMALLEST_SIZE:
                try:
                    arrived = self.socket.recvfrom(size)
                    if len(arrived[0]) < size:
                        return arrived  # it is whole
                    break
                except MemoryError:
                    size >>= 1
            else:
                self.socket.recvfrom(1)
            self.n_lost += 1
        except (OSError, MemoryError):
            pass

    def send(self, datagram, remote):
        """Send one datagram; one that the network does not take counts as failed."""
        try:
            self.socket.sendto(datagram, remote)
        except (OSError, MemoryError):
            self.n_failed += 1

    def close(self):
        """Close the socket."""
        self.socket.close()
