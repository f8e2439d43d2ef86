"""A proxy between relay and server: it forwards every datagram and plants one foreign response."""

import asyncio

from msgin5g_tools.demo.actors import FOREIGN, LINKED
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.coap.message import Message, MessageFormatError, encode  # noqa: E402
from msgin5g.coap.numbers import CHANGED, CONTENT  # noqa: E402

_RECIPIENT = 65020  # the default of the setting recipient_option


class Proxy:
    """Has the server's address of the relay's settings.

    Just before the response for the linked UE it sends a copy that differs only in its Recipient,
    which is a UE without a link. planted: that copy, or None so far.
    """

    def __init__(self, server):
        """server: the bound socket to which the relay sends."""
        self.planted = None
        self._socket = server
        self._down = None
        self._up = None
        self._relay = None

    async def start(self, true_server):
        loop = asyncio.get_running_loop()
        host = self._socket.getsockname()[0]
        self._up, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_server), local_addr=(host, 0), remote_addr=true_server
        )
        self._down, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_relay), sock=self._socket.dup()
        )

    def stop(self):
        for transport in (self._up, self._down):
            if transport is not None:
                transport.abort()

    def _from_relay(self, datagram, relay):
        self._relay = relay
        self._up.sendto(datagram)

    def _from_server(self, datagram, _):
        if self._relay is None:
            return
        if self.planted is None:
            self.planted = foreign_copy(datagram)
            if self.planted is not None:
                self._down.sendto(self.planted, self._relay)
        self._down.sendto(datagram, self._relay)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take):
        self._take = take

    def datagram_received(self, data, addr):
        self._take(data, addr)


def foreign_copy(datagram):
    """The 2.05 for the linked UE as one for the foreign UE; None for every other datagram.

    With OSCORE each response without Observe is a 2.04 outside.
    """
    try:
        message = Message().decode(datagram)
    except MessageFormatError:
        return None
    if message.code not in (CONTENT, CHANGED) or message.option(_RECIPIENT) != LINKED.encode():
        return None
    options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
    options = [(n, FOREIGN.encode() if n == _RECIPIENT else value) for n, value in options]
    buf = bytearray(len(datagram) + 16)
    size = encode(
        buf, message.mtype, message.code, message.mid, message.token(), options, message.payload()
    )
    return bytes(buf[:size])
