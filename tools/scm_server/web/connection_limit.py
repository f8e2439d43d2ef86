"""A limited number of HTTP connections: the open files of the process are for the UEs, too."""

import asyncio
import time

from msgin5g_tools.scm_server.connections import Connections

MAX_CONNECTIONS = 64
MAX_OF_HOST = 32
REQUEST_S = 15.0  # the head of the first request must be there by then
_FOR_EVER_S = 1e9  # aiohttp closes those that are idle


class ConnectionLimit:
    """handlers: aiohttp's web.Server, which makes a protocol for each connection."""

    def __init__(self, handlers, drops):
        self._handlers = handlers
        self._connections = Connections(
            MAX_CONNECTIONS, MAX_OF_HOST, _FOR_EVER_S, REQUEST_S, time.monotonic, drops
        )
        self._server = self._task = None

    async def listen(self, host, port):
        """The bound (host, port); OSError when that cannot be."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, host, port)
        self._task = asyncio.create_task(self._check())
        return self._server.sockets[0].getsockname()[:2]

    def close(self):
        if self._server:
            self._server.close()
            self._task.cancel()

    def heard(self, request):
        """The head of a request has come."""
        if request.transport is not None:
            self._connections.heard(request.transport.get_protocol())

    def _protocol(self):
        return _Connection(self._handlers(), self._connections)

    async def _check(self):
        while True:
            await asyncio.sleep(self._connections.check_s)
            self._connections.check()


class _Connection(asyncio.Protocol):
    """aiohttp's protocol, if there is room for it."""

    def __init__(self, handler, connections):
        self._handler = handler
        self._connections = connections
        self._transport = None
        self._is_admitted = False

    def connection_made(self, transport):
        self._transport = transport
        host = transport.get_extra_info("peername")[0]
        self._is_admitted = self._connections.admit(self, host)
        if self._is_admitted:
            self._handler.connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc):
        if self._is_admitted:
            self._connections.remove(self)
            self._handler.connection_lost(exc)

    def data_received(self, data):
        if self._is_admitted:
            self._handler.data_received(data)

    def eof_received(self):
        return self._handler.eof_received() if self._is_admitted else None

    def pause_writing(self):
        self._handler.pause_writing()

    def resume_writing(self):
        self._handler.resume_writing()

    def drop(self):
        self._transport.abort()

    def poke(self):
        """Nothing: a client that is silent reads the live log."""
