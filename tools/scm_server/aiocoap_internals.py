"""The server's sockets: subclasses of aiocoap's transports, and the only use of its private names.

aiocoap has no public way to choose the transports of a server, nor to close them without waiting
for the peers. A new release of aiocoap may rename what this file uses:

    Context.request_interfaces, TokenManager, MessageManager
        add a transport to a context that is already there, at any address
    TokenManager.process_request, MessageManager._active_exchanges, ._backlogs, ._add_exchange,
    ._deduplicate_message, ._send_initially, ._send_via_transport, ._continue_backlog,
    ._remove_exchange
        what grows with the number of requests and observers
    MessageManager._next_message_id
        message IDs for each peer apart
    UDP6EndpointAddress._strip_v4mapped
        the text of an address
    MessageInterfaceUDP6._ctx, MessageInterfaceSimpleServer._mman and ._pool,
    TCPServer._tokenmanager and ._pool
        the manager that gets the messages, and the open sockets
    send, datagram_msg_received, _received_datagram, _dispatch_incoming, _run_recv_loop
        where bytes are sent and arrive: overridden
    TcpConnection._transport, WSPool._new_connection, ._servers, ._client_credentials
    WSRemote._abort_with_waiting, ._poolkey
        open and close connections

What the subclasses add. Managers: work and memory that do not grow with the number of all requests
and observers. UDP: a datagram that is not CoAP is rejected as RFC 7252 section 4 says
(a CON with a Reset) and never raises; see coap_message. TCP and WebSockets (RFC 8323): any port, 0
too, an Empty message is ignored, and closing does not wait for the peers.
"""

import asyncio
import contextlib
import functools
import http
import ipaddress
import secrets
import socket
import time
from collections import Counter, namedtuple

import aiocoap
import websockets.asyncio.server
from aiocoap.credentials import CredentialsMap
from aiocoap.error import RemoteServerShutdown
from aiocoap.message import Message
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import ABORT, EMPTY
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import ACK, CON, RST
from aiocoap.tokenmanager import TokenManager
from aiocoap.transports.simplesocketserver import MessageInterfaceSimpleServer
from aiocoap.transports.tcp import TcpConnection, TCPServer
from aiocoap.transports.udp6 import MessageInterfaceUDP6, UDP6EndpointAddress
from aiocoap.transports.ws import WSPool

from msgin5g_tools.scm_server.coap_message import MessageFormatError, decode
from msgin5g_tools.scm_server.duplicates import Duplicates
from msgin5g_tools.scm_server.security import owner_of

_VERSION = 1
_WS_PATH = "/.well-known/coap"
_EXPIRE_S = 10.0
_BACKLOG = 16  # connections that are accepted at one go
_PING = b"\x00\xe2"  # code 7.02, no token: the same bytes in both framings
_MAX_MIDS = 4096


async def open_transport(context, transport, bind, connections):
    """Add a transport, one of the classes below, to a Context; returns its bound (host, port).

    `connections` has the limits of TCP and WebSockets: a connections.Connections.
    """
    loop = asyncio.get_running_loop()
    tokens = ObservingTokenManager(context)
    if transport in (UdpServer, UdpServer4):
        messages = MessageManagerByRemote(tokens, transport.address_of, context.drops)
        messages.message_interface = opened = await transport.listen(
            bind, messages, context.log, loop
        )
        tokens.token_interface = messages
    else:
        tokens.token_interface = opened = await transport.listen(
            bind, tokens, context.log, loop, connections
        )
    context.request_interfaces.append(tokens)
    return opened.bound


class Context(aiocoap.Context):
    """Calls the site at once: aiocoap would make a task and a second pipe for each request.

    drops: the Counter of what was dropped.
    """

    def __init__(self, drops, **more):
        super().__init__(**more)
        self.drops = drops

    def render_to_pipe(self, pipe):
        self.serversite.respond(pipe)


class ObservingTokenManager(TokenManager):
    """Keeps the observers (observers.Observer) of one transport, by remote and token.

    aiocoap would keep the request, its pipes and a task for each of them: some sixty objects, for
    which the garbage collector stops everything for a second when there are thousands.
    """

    def __init__(self, context):
        super().__init__(context)
        self._observers = {}  # remote -> {token: Observer}

    def process_request(self, request):
        # RFC 7641 section 4.1: a request replaces the observation with its token, or ends it. One
        # that is protected ends by a request that proves to be of the same owner only.
        observer = self._observers.get(request.remote, {}).get(request.token)
        if observer and observer.protection is None:
            self.end(request.remote, request.token)
        request.manager = self
        super().process_request(request)

    def observe(self, observer):
        self.end(observer.remote, observer.token)
        self._observers.setdefault(observer.remote, {})[observer.token] = observer

    def renew(self, request):
        """End the observation that a protected request with its token replaces, if it has one."""
        observer = self._observers.get(request.remote, {}).get(request.token)
        if observer and observer.protection and observer.protection.owner == owner_of(request):
            self.end(request.remote, request.token)

    def notify(self, observer, message, acknowledged):
        """acknowledged(): called when it is; never over a connection, which has no ACKs."""
        message.token, message.remote = observer.token, observer.remote.as_response_address()
        rejected = functools.partial(self.end, observer.remote, observer.token)
        rejected.acknowledged = acknowledged
        self.token_interface.send_message(message, rejected)

    def is_waiting(self, observer):
        """Whether an earlier notification to this observer has not even been sent."""
        return self.token_interface.is_waiting(observer.remote, observer.token)

    def end(self, remote, token):
        """End an observation, if there is one."""
        observers = self._observers.get(remote, {})
        observer = observers.pop(token, None)
        if observer:
            observer.end()
            if not observers:
                del self._observers[remote]

    def dispatch_error(self, exception, remote):
        for token in list(self._observers.get(remote, ())):
            self.end(remote, token)


class _Datagram(namedtuple("_Datagram", "remote datagram")):
    """What is sent, as a message interface takes it."""

    def encode(self):
        return self.datagram


class MessageManagerByRemote(MessageManager):
    """Remembers a limited number of requests; knows the one open exchange of each peer.

    Each peer has message IDs of its own, which begin at random: otherwise a client could end the
    observation of another one with a forged Reset. A peer that was forgotten begins anew.

    NSTART is 1 (RFC 7252 section 4.7): aiocoap sends a peer no second CON before the first one
    has been acknowledged. aiocoap itself looks for that one among the exchanges of all peers.
    """

    def __init__(self, token_manager, address_of, drops=None):
        super().__init__(token_manager)
        self.drops = Counter() if drops is None else drops
        self._address_of = address_of
        self._duplicates = Duplicates(TransportTuning().EXCHANGE_LIFETIME, time.monotonic)
        self._mid_of = {}  # remote -> message ID of its open exchange
        self._protected = set()  # remotes whose open exchange is protected by OSCORE
        self._last_mids = {}  # remote -> the last message ID, the least recently used first
        self._sends_to = None  # the remote of the message that is being sent
        self._expiry = None

    async def shutdown(self):
        if self._expiry:
            self._expiry.cancel()
        await super().shutdown()

    def send_message(self, message, messageerror_monitor):
        self._sends_to = message.remote
        super().send_message(message, messageerror_monitor)

    def is_waiting(self, remote, token):
        return any(message.token == token for message, _ in self._backlogs.get(remote, ()))

    def _next_message_id(self):
        mids = self._last_mids
        mid = mids.pop(self._sends_to, None)
        if mid is None:
            mid = secrets.randbelow(0x10000)
            if len(mids) >= _MAX_MIDS:
                del mids[next(iter(mids))]
        mids[self._sends_to] = mid = (mid + 1) & 0xFFFF
        return mid

    def _deduplicate_message(self, message):
        # A board without entropy begins with the same message IDs after each restart: with
        # another token it is another message.
        key = (*self._address_of(message.remote), message.mid)
        if not self._duplicates.is_remembered(key, message.token):
            self._duplicates.add(key, message.token)
            if self._expiry is None:
                self._expiry = self.loop.call_later(_EXPIRE_S, self._expire)
            return False
        self.drops["duplicate"] += 1
        datagram = self._duplicates.datagram(key)
        if message.mtype is CON and datagram is not None:
            self._send_via_transport(_Datagram(message.remote.as_response_address(), datagram))
        return True

    def _expire(self):
        # So that the memory of a flood is free again also when no request follows it.
        self._duplicates.expire()
        self._expiry = None
        if len(self._duplicates):
            self._expiry = self.loop.call_later(_EXPIRE_S, self._expire)

    def _send_initially(self, message, messageerror_monitor=None):
        if message.mtype is CON:
            self._add_exchange(message, messageerror_monitor)
        sent = _Datagram(message.remote, message.encode())
        if message.mtype in (ACK, RST):  # a CON has a message ID of ours
            token = None if message.code is EMPTY else message.token
            key = (*self._address_of(message.remote), message.mid)
            self._duplicates.answered(key, token, sent.datagram)
        self._send_via_transport(sent)

    def _add_exchange(self, message, messageerror_monitor):
        super()._add_exchange(message, messageerror_monitor)
        self._mid_of[message.remote] = message.mid
        if message.opt.oscore is not None:
            self._protected.add(message.remote)

    def _forget_exchange(self, remote):
        """The message ID of the open exchange that ends."""
        self._protected.discard(remote)
        return self._mid_of.pop(remote, None)

    def _remove_exchange(self, message):
        # Anybody on the way can send a Reset: it ends nothing that is protected. A peer that wants
        # no notification acknowledges none, either.
        remote = message.remote
        is_open = self._mid_of.get(remote) == message.mid
        if message.mtype is ACK and is_open:
            monitor, _ = self._active_exchanges.get((remote, message.mid), (None, None))
            getattr(monitor, "acknowledged", _nothing)()
        if message.mtype is not RST or not is_open or remote not in self._protected:
            super()._remove_exchange(message)

    def _continue_backlog(self, remote):
        self._forget_exchange(remote)
        backlog = self._backlogs[remote]
        if backlog:
            self._send_initially(*backlog.pop(0))
        else:
            del self._backlogs[remote]

    def dispatch_error(self, exception, remote):
        if self._active_exchanges is None:
            return  # shut down
        self.token_manager.dispatch_error(exception, remote)
        mid = self._forget_exchange(remote)
        _, timer = self._active_exchanges.pop((remote, mid), (0, None))
        if timer:
            timer.cancel()
        self._backlogs.pop(remote, None)

    def _retransmit(self, message, timeout, retransmission_counter):
        super()._retransmit(message, timeout, retransmission_counter)
        if (message.remote, message.mid) not in self._active_exchanges:
            self._forget_exchange(message.remote)  # timed out


def _nothing():
    """A message was acknowledged, and nobody waits for that."""


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


def udp_server():
    """The UDP class that works on this system."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return UdpServer4
    return UdpServer


class _Connection(TcpConnection):
    def connection_made(self, transport):
        if not self._ctx.connections.admit(self, transport.get_extra_info("peername")[0]):
            self._transport = transport
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc):
        self._ctx.connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data):
        try:
            super().data_received(data)
        except ValueError:  # aiocoap does not catch an option that is not UTF-8
            self.abort("Failed to parse message")

    def _process_signaling(self, msg):
        self._ctx.connections.heard(self)
        super()._process_signaling(msg)

    # A peer that does not read its responses is not read from either.

    def pause_writing(self):
        self._transport.pause_reading()

    def resume_writing(self):
        self._transport.resume_reading()

    def poke(self):
        self._transport.write(_PING)

    def drop(self):
        self._transport.abort()


class TcpServer(TCPServer):
    @classmethod
    async def listen(cls, bind, manager, log, loop, connections):
        self = cls()
        self.connections = connections
        self._tokenmanager = manager
        self.log = log

        def connection():
            made = _Connection(self, log, loop, is_server=True)
            self._pool.add(made)
            return made

        self.server = await loop.create_server(connection, *bind, backlog=_BACKLOG)
        return self

    @property
    def bound(self):
        return self.server.sockets[0].getsockname()[:2]

    def is_waiting(self, connection, token):
        return connection._transport.get_write_buffer_size() > 0

    def _dispatch_incoming(self, connection, msg):
        self.connections.heard(connection)
        if msg.code != EMPTY:  # RFC 8323 section 3.4
            super()._dispatch_incoming(connection, msg)

    async def shutdown(self):
        self._tokenmanager = None
        self.server.close()
        for connection in list(self._pool):
            await connection.release()
            connection._transport.close()
        await self.server.wait_closed()


class _WsConnection(websockets.asyncio.server.ServerConnection):
    connections = None  # set by the WebSocketServer

    def connection_made(self, transport):
        if not self.connections.admit(self, transport.get_extra_info("peername")[0]):
            transport.abort()
        super().connection_made(transport)

    def connection_lost(self, exc):
        self.connections.remove(self)
        super().connection_lost(exc)

    async def recv(self, decode=None):
        # A peer that does not read its responses is not read from either.
        await self.drain()
        message = await super().recv(decode)
        self.connections.heard(self)
        return message

    def poke(self):
        # Not a Ping of WebSockets: RFC 8323 section 4.4.
        self.loop.create_task(self._send_ping())

    async def _send_ping(self):
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            await self.send(_PING)

    def drop(self):
        self.transport.abort()


class WebSocketServer(WSPool):
    @classmethod
    async def listen(cls, bind, manager, log, loop, connections):
        self = cls(manager, log, loop)
        self._client_credentials = CredentialsMap()
        server = await websockets.asyncio.server.serve(
            functools.partial(self._new_connection, scheme="coap+ws"),
            *bind,
            subprotocols=["coap"],
            create_connection=type("Limited", (_WsConnection,), {"connections": connections}),
            process_request=_only_coap,
            backlog=_BACKLOG,
            ping_interval=None,  # RFC 8323 section 4.4
            close_timeout=1,
        )
        self._servers.append(server)
        self.bound = next(iter(server.sockets)).getsockname()[:2]
        return self

    def is_waiting(self, remote, token):
        return remote._connection.paused

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
