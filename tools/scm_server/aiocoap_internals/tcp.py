"""TCP (RFC 8323): any port, 0 too; an Empty message is ignored; closing waits for no peer."""

from aiocoap.numbers.codes import EMPTY
from aiocoap.transports.tcp import TcpConnection, TCPServer

from msgin5g_tools.scm_server.connections import BACKLOG, PING


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

        self.server = await loop.create_server(connection, *bind, backlog=BACKLOG)
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
        self._transport.write(PING)

    def drop(self):
        self._transport.abort()
