"""aiocoap's transports, with what they leave out.

UDP: a datagram that is not CoAP is rejected as RFC 7252 section 4 says (a CON with a Reset) and
never raises; tokens of 9 to 65,804 bytes (RFC 8974) are accepted and echoed; the length rules
for options are applied to the bytes as sent. TCP and WebSockets (RFC 8323): any port, 0 too, an
Empty message is ignored, and closing does not wait for the peers.
"""

import functools
import http
import socket

import websockets.asyncio.server
from aiocoap.credentials import CredentialsMap
from aiocoap.error import RemoteServerShutdown
from aiocoap.message import Direction, Message
from aiocoap.numbers.codes import ABORT, EMPTY
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import CON, RST, Type
from aiocoap.transports.simplesocketserver import MessageInterfaceSimpleServer
from aiocoap.transports.tcp import TcpConnection, TCPServer
from aiocoap.transports.udp6 import MessageInterfaceUDP6, UDP6EndpointAddress
from aiocoap.transports.ws import WSPool

from msgin5g_tools.scm_server import options

_VERSION = 1
_PAYLOAD_MARKER = 0xFF
_WS_PATH = "/.well-known/coap"


class MessageFormatError(Exception):
    """The datagram claims to be CoAP and is not."""


class LongTokenMessage(Message):
    """A message whose token may be longer than 12 bytes (RFC 8974 section 2.1)."""

    def encode(self):
        size = len(self.token)
        if size < 13:
            return super().encode()
        if size < 269:
            nibble, extension = 13, bytes([size - 13])
        else:
            nibble, extension = 14, (size - 269).to_bytes(2, "big")
        token, self.token = self.token, b""
        try:
            plain = super().encode()
        finally:
            self.token = token
        return bytes([plain[0] | nibble]) + plain[1:4] + extension + token + plain[4:]


def decode(datagram, remote):
    """The Message in a datagram, or MessageFormatError.

    Its attribute `unprocessed` lists critical options whose value is no value of that option.
    """
    size, i = _extended(datagram, 4, datagram[0] & 0x0F)
    message = LongTokenMessage(code=datagram[1], _token=datagram[i : i + size])
    if i + size > len(datagram):
        raise MessageFormatError("token")
    message.mid = int.from_bytes(datagram[2:4], "big")
    message.mtype = Type((datagram[0] >> 4) & 3)
    message.remote = remote
    message.direction = Direction.INCOMING
    if message.code == EMPTY and len(datagram) > 4:
        raise MessageFormatError("an Empty message is 4 bytes")
    if not (message.code == EMPTY or message.code.is_request() or message.code.is_response()):
        raise MessageFormatError("reserved code class")
    _decode_options(datagram, i + size, message)
    return message


def _decode_options(datagram, i, message):
    message.unprocessed = []
    number = 0
    while i < len(datagram):
        head = datagram[i]
        i += 1
        if head == _PAYLOAD_MARKER:
            message.payload = datagram[i:]
            if not message.payload:
                raise MessageFormatError("payload marker without payload")
            return
        delta, i = _extended(datagram, i, head >> 4)
        size, i = _extended(datagram, i, head & 0x0F)
        number += delta
        if i + size > len(datagram) or number > 65535:
            raise MessageFormatError("option")
        _add(message, number, datagram[i : i + size])
        i += size


def _add(message, number, value):
    # RFC 7252 section 5.4.3: a value out of its range makes the option unrecognised.
    try:
        if options.fits(number, len(value)):
            message.opt.add_option(OptionNumber(number).create_option(decode=value))
            return
    except UnicodeDecodeError:
        pass
    if number % 2:
        message.unprocessed.append(number)


def _extended(datagram, i, nibble):
    if nibble < 13:
        return nibble, i
    n_bytes = nibble - 12
    if nibble == 15 or i + n_bytes > len(datagram):
        raise MessageFormatError("length")
    base = 13 if nibble == 13 else 269
    return base + int.from_bytes(datagram[i : i + n_bytes], "big"), i + n_bytes


def _receive(datagram, remote, manager, send, truncated=False):
    if len(datagram) < 4 or datagram[0] >> 6 != _VERSION:
        return  # section 3: unknown versions are silently ignored
    try:
        message = decode(datagram, remote)
    except MessageFormatError:
        if (datagram[0] >> 4) & 3 == CON and not remote.is_multicast_locally:
            reset = Message(code=EMPTY)
            reset.mtype, reset.mid = RST, int.from_bytes(datagram[2:4], "big")
            reset.remote = remote.as_response_address()
            send(reset)
        return
    message.truncated = truncated  # longer than aiocoap reads: answered with 4.13
    manager.dispatch_message(message)


class UdpServer(MessageInterfaceUDP6):
    """The usual one: IPv6 and IPv4, answers from the address that was asked."""

    @classmethod
    async def listen(cls, bind, manager, log, loop):
        return await cls.create_server_transport_endpoint(
            manager, log=log, loop=loop, bind=bind, multicast=[]
        )

    @property
    def bound(self):
        return _plain(self.transport.get_extra_info("socket").getsockname())

    def datagram_msg_received(self, data, ancdata, flags, address):
        pktinfo = None
        for level, kind, value in ancdata:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                pktinfo = value
        remote = UDP6EndpointAddress(address, self, pktinfo=pktinfo)
        _receive(data, remote, self._ctx, self.send, bool(flags & socket.MSG_TRUNC))


class UdpServer4(MessageInterfaceSimpleServer):
    """For a kernel without IPv6; one address only, not 0.0.0.0."""

    @classmethod
    async def listen(cls, bind, manager, log, loop):
        return await cls.create_server(bind, manager, log, loop)

    @property
    def bound(self):
        return self._pool._transport.get_extra_info("sockname")[:2]

    def _received_datagram(self, address, datagram):
        _receive(datagram, address, self._mman, self.send)


def udp_server():
    """The class that works here."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return UdpServer4
    return UdpServer


class _Connection(TcpConnection):
    def data_received(self, data):
        try:
            super().data_received(data)
        except ValueError:  # an option that should be UTF-8, which aiocoap does not foresee
            self.abort("Failed to parse message")


class TcpServer(TCPServer):
    @classmethod
    async def listen(cls, bind, manager, log, loop):
        self = cls()
        self._tokenmanager = manager
        self.log = log

        def connection():
            made = _Connection(self, log, loop, is_server=True)
            self._pool.add(made)
            return made

        self.server = await loop.create_server(connection, *bind)
        return self

    @property
    def bound(self):
        return self.server.sockets[0].getsockname()[:2]

    def _dispatch_incoming(self, connection, msg):
        if msg.code != EMPTY:  # RFC 8323 section 3.4
            super()._dispatch_incoming(connection, msg)

    async def shutdown(self):
        self._tokenmanager = None
        self.server.close()
        for connection in list(self._pool):
            await connection.release()
            connection._transport.close()
        await self.server.wait_closed()


class WebSocketServer(WSPool):
    @classmethod
    async def listen(cls, bind, manager, log, loop):
        self = cls(manager, log, loop)
        self._client_credentials = CredentialsMap()
        server = await websockets.asyncio.server.serve(
            functools.partial(self._new_connection, scheme="coap+ws"),
            *bind,
            subprotocols=["coap"],
            process_request=_only_coap,
            ping_interval=None,  # RFC 8323 section 4.4
            close_timeout=1,
        )
        self._servers.append(server)
        self.bound = next(iter(server.sockets)).getsockname()[:2]
        return self

    async def _run_recv_loop(self, remote):
        try:
            await super()._run_recv_loop(remote)
        except ValueError:
            abort = Message(code=ABORT, payload=b"Message parsing error")
            await remote._abort_with_waiting(abort, close_code=1007)
        finally:
            self._pool.pop(remote._poolkey, None)
            if self._tokenmanager:
                self._tokenmanager.dispatch_error(RemoteServerShutdown("closed"), remote)


def _only_coap(connection, request):
    if request.path != _WS_PATH:
        return connection.respond(http.HTTPStatus.NOT_FOUND, f"CoAP is at {_WS_PATH}\n")
    return None


def _plain(address):
    host, port = address[:2]
    return host.removeprefix("::ffff:"), port
