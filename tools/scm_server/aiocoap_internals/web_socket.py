"""WebSockets (RFC 8323): any port, 0 too; closing waits for no peer."""

import contextlib
import functools
import http

import websockets.asyncio.server
from aiocoap.credentials import CredentialsMap
from aiocoap.error import RemoteServerShutdown
from aiocoap.message import Message
from aiocoap.numbers.codes import ABORT
from aiocoap.transports.ws import WSPool

from msgin5g_tools.scm_server.connections import BACKLOG, PING

_WS_PATH = "/.well-known/coap"


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
            backlog=BACKLOG,
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
            await self.send(PING)

    def drop(self):
        self.transport.abort()


def _only_coap(connection, request):
    if request.path != _WS_PATH:
        return connection.respond(http.HTTPStatus.NOT_FOUND, f"CoAP is at {_WS_PATH}\n")
    return None
