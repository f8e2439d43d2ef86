"""The server's sockets: subclasses of aiocoap's classes, and the only use of its private names.

aiocoap has no public way to choose the transports of a server, nor to close them without waiting
for the peers. A new release of aiocoap may rename what these files use:

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

What the subclasses add is said in the module of each: token_manager, message_manager, udp, tcp and
web_socket.
"""

import asyncio

import aiocoap

from msgin5g_tools.scm_server.aiocoap_internals.message_manager import MessageManagerByRemote
from msgin5g_tools.scm_server.aiocoap_internals.tcp import TcpServer
from msgin5g_tools.scm_server.aiocoap_internals.token_manager import ObservingTokenManager
from msgin5g_tools.scm_server.aiocoap_internals.udp import (
    Udp6Remote,
    UdpServer,
    UdpServer4,
    udp_server,
)
from msgin5g_tools.scm_server.aiocoap_internals.web_socket import WebSocketServer

__all__ = [
    "Context",
    "MessageManagerByRemote",
    "TcpServer",
    "Udp6Remote",
    "UdpServer",
    "UdpServer4",
    "WebSocketServer",
    "open_transport",
    "udp_server",
]


class Context(aiocoap.Context):
    """Calls the site at once: aiocoap would make a task and a second pipe for each request.

    drops: the Counter of what was dropped.
    """

    def __init__(self, drops, **more):
        super().__init__(**more)
        self.drops = drops

    def render_to_pipe(self, pipe):
        self.serversite.respond(pipe)


async def open_transport(context, transport, bind, connections):
    """Add a transport, a class that has `listen`, to a Context; returns its bound (host, port).

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
