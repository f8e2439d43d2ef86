"""UDP sockets.

A datagram that is not CoAP is rejected as RFC 7252 section 4 says (a CON with a Reset) and never
raises; see coap_message.
"""

import functools
import ipaddress
import socket

from aiocoap.message import Message
from aiocoap.numbers.codes import EMPTY
from aiocoap.numbers.types import CON, RST
from aiocoap.transports.simplesocketserver import MessageInterfaceSimpleServer
from aiocoap.transports.udp6 import MessageInterfaceUDP6, UDP6EndpointAddress

from msgin5g_tools.scm_server.coap_message import MessageFormatError, decode

_VERSION = 1


def udp_server():
    """The UDP class that works on this system."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return UdpServer4
    return UdpServer


class UdpServer(MessageInterfaceUDP6):
    """The usual one: IPv6 and IPv4; it answers from the address to which the request came."""

    @classmethod
    async def listen(cls, bind, manager, log, loop):
        return await cls.create_server_transport_endpoint(
            manager, log=log, loop=loop, bind=bind, multicast=[]
        )

    @staticmethod
    def address_of(remote):
        return remote.sockaddr

    @property
    def bound(self):
        return _plain(self.transport.get_extra_info("socket").getsockname())

    def send(self, message):
        """Send; an error that Linux reports here may be about an earlier datagram to another peer.

        So only the second one is taken for an error of this peer, whose observations it ends.
        """
        remote = message.remote
        datagram = message.encode()
        ancillary = []
        if remote.pktinfo is not None:
            ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, remote.pktinfo))
        sock = self.transport.get_extra_info("socket")
        for is_last in (False, True):
            try:
                sock.sendmsg((datagram,), ancillary, 0, remote.sockaddr)
                return
            except BlockingIOError:
                return  # as if it were lost on the way
            except OSError as reason:
                if is_last:
                    self._ctx.dispatch_error(reason, remote)

    def datagram_msg_received(self, data, ancdata, flags, address):
        pktinfo = None
        for level, kind, value in ancdata:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                pktinfo = value
        remote = Udp6Remote(address, self, pktinfo=pktinfo)
        _receive(data, remote, self._ctx, self.send, bool(flags & socket.MSG_TRUNC))


class UdpServer4(MessageInterfaceSimpleServer):
    """For a kernel without IPv6: one address only, not 0.0.0.0."""

    @classmethod
    async def listen(cls, bind, manager, log, loop):
        return await cls.create_server(bind, manager, log, loop)

    @staticmethod
    def address_of(remote):
        return remote.address

    @property
    def bound(self):
        return self._pool._transport.get_extra_info("sockname")[:2]

    def _received_datagram(self, address, datagram):
        _receive(datagram, address, self._mman, self.send)


class Udp6Remote(UDP6EndpointAddress):
    """aiocoap parses the addresses several times for each message; this one does not."""

    @staticmethod
    def _strip_v4mapped(address):
        if address[:7] == "::ffff:" and "." in address:  # as the kernel writes IPv4
            return address[7:]
        return UDP6EndpointAddress._strip_v4mapped(address)

    @property
    def is_multicast_locally(self):
        return _is_multicast(self.pktinfo[:16])


@functools.lru_cache(1024)
def _is_multicast(address):
    found = ipaddress.IPv6Address(address)
    return (found.ipv4_mapped or found).is_multicast


def _receive(datagram, remote, manager, send, truncated=False):
    if len(datagram) < 4 or datagram[0] >> 6 != _VERSION:
        manager.drops["malformed"] += 1
        return  # section 3: unknown versions are silently ignored
    try:
        message = decode(datagram, remote)
    except MessageFormatError:
        manager.drops["malformed"] += 1
        if (datagram[0] >> 4) & 3 == CON and not remote.is_multicast_locally:
            reset = Message(code=EMPTY)
            reset.mtype, reset.mid = RST, int.from_bytes(datagram[2:4], "big")
            reset.remote = remote.as_response_address()
            send(reset)
        return
    message.truncated = truncated  # longer than aiocoap reads: answered with 4.13
    manager.dispatch_message(message)


def _plain(address):
    host, port = address[:2]
    return host.removeprefix("::ffff:"), port
