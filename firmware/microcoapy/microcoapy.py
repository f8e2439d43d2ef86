"""Coap: microCoAPy's client and server in one object, on an endpoint that keeps RFC 7252."""

from msgin5g.coap.errors import BufferTooSmall
from msgin5g.coap.message import encode
from msgin5g.coap.numbers import MAX_MESSAGE_SIZE, OBSERVE
from msgin5g.port.system import ticks_ms

from microcoapy.coap_macros import COAP_TYPE
from microcoapy.coap_option import as_bytes
from microcoapy.coap_packet import CoapPacket, parts_of
from microcoapy.links import CustomLink, OwnLink
from microcoapy.traffic import MAX_REQUESTS, Traffic

_PORT = 5683


class Coap(Traffic):
    """debug: print what happens. discardRetransmissions: always done; kept for its name.

    responseCallback(packet, (host, port)) is called with every answer to a request of ours, and
    with every notification if the request had an Observe option. `resposeCallback` is the same.
    """

    def __init__(self, port=_PORT):
        super().__init__()
        self.discardRetransmissions = True
        self.port = port

    @property
    def sock(self):
        """The socket, None before `start`."""
        return None if self._link is None else self._link.socket

    # Sockets

    def start(self, port=None):
        """Open and bind the socket."""
        if port is not None:
            self.port = port
        self.stop()
        self._link = OwnLink(self.port)

    def stop(self):
        """Close the socket; what was under way is given up."""
        if self._link is not None:
            for request in self._requests:
                self._endpoint.cancel(request[0])
            self._requests = []
            self._open = []
            self._link.close()
            self._link = None

    def setCustomSocket(self, custom_socket):
        """Use a socket of the program's own in place of `start`."""
        self.stop()
        self._link = CustomLink(custom_socket)

    # Requests: all give the message ID, or 0 when nothing was sent

    def get(self, ip, port, url, token=b""):
        return self._ask(ip, port, url, 1, True, token=token)

    def getNonConf(self, ip, port, url, token=b""):
        return self._ask(ip, port, url, 1, False, token=token)

    def put(self, ip, port, url, payload=b"", query_option=None, content_format=-1, token=b""):
        return self._ask(ip, port, url, 3, True, payload, query_option, content_format, token)

    def putNonConf(
        self, ip, port, url, payload=b"", query_option=None, content_format=-1, token=b""
    ):
        return self._ask(ip, port, url, 3, False, payload, query_option, content_format, token)

    def post(self, ip, port, url, payload=b"", query_option=None, content_format=-1, token=b""):
        return self._ask(ip, port, url, 2, True, payload, query_option, content_format, token)

    def postNonConf(
        self, ip, port, url, payload=b"", query_option=None, content_format=-1, token=b""
    ):
        return self._ask(ip, port, url, 2, False, payload, query_option, content_format, token)

    def delete(self, ip, port, url, token=b""):
        return self._ask(ip, port, url, 4, True, token=token)

    def discoverResources(self, ip, port=_PORT):
        """Ask for the list of resources (RFC 6690)."""
        return self.get(ip, port, ".well-known/core")

    def _ask(
        self, ip, port, url, method, confirmable, payload=b"", query=None, form=-1, token=b""
    ):
        kind = COAP_TYPE.COAP_CON if confirmable else COAP_TYPE.COAP_NONCON
        return self.send(ip, port, url, kind, method, token, payload, form, query)

    def send(self, ip, port, url, type, method, token, payload, content_format, query_option):
        packet = CoapPacket()
        packet.type = type
        packet.method = method
        packet.token = token
        packet.payload = payload
        packet.content_format = content_format
        packet.query = query_option
        return self.sendEx(ip, port, url, packet)

    def sendEx(self, ip, port, url, packet):
        """Send a packet to a path."""
        if not ip.replace(".", "").isdigit():
            packet.setUriHost(ip)  # RFC 7252 section 6.4: an address need not be said
        packet.setUriPath(url)
        return self.sendPacket(ip, port, packet)

    def sendPacket(self, ip, port, packet):
        """Send a packet: a request gets a message ID, an answer has its request's."""
        if self._link is None:
            self.log("not started")
            return 0
        if packet.method >> 5 or packet.type == COAP_TYPE.COAP_ACK:
            return self._answer(ip, port, packet)
        try:
            remote = self._link.remote(ip, port)
        except Exception as error:  # LinkError: the name is not known
            self.log(str(error))
            return 0
        return self._request(remote, packet)

    def _request(self, remote, packet):
        options, payload = parts_of(packet)
        buf = bytearray(MAX_MESSAGE_SIZE)
        try:
            size = encode(buf, 0, 0, 0, b"", options, payload)
        except BufferTooSmall:
            self.log("too large: nothing was sent")
            return 0
        token = bytes(as_bytes(packet.token)) or None
        self._make_room(token)
        endpoint = self._endpoint
        while True:
            exchange = endpoint.request(
                0,
                remote,
                packet.method,
                (),
                self,
                packet.type == COAP_TYPE.COAP_CON,
                memoryview(buf)[4:size],
                token,
            )
            if exchange is None or exchange.mid:
                break
            endpoint.cancel(exchange)  # 0 would say that nothing was sent
        if exchange is None:
            self.log("not sent: too large, or too much under way")
            return 0
        self._requests.append((exchange, any(number == OBSERVE for number, _ in options)))
        packet.messageid = exchange.mid
        if not self._transmit(ticks_ms()):
            self._forget(exchange)
            self._endpoint.cancel(exchange)
            self.log("not sent: the network did not take it")
            return 0
        self.log("sent, messageid " + str(exchange.mid))
        return exchange.mid

    def _make_room(self, token):
        self._step(ticks_ms())
        for exchange, _ in self._requests:
            if exchange.token == token or len(self._requests) >= MAX_REQUESTS:
                self._endpoint.cancel(exchange)
                self._forget(exchange)
                return

    # Answers

    def addIncomingRequestCallback(self, requestUrl, callback):
        """callback(packet, host, port) is to answer requests for a path with `sendResponse`."""
        self.callbacks[requestUrl.strip("/")] = callback

    def sendResponse(self, ip, port, messageid, payload, method, content_format, token):
        """Answer the request `messageid`; gives that, or 0 when nobody waits for it."""
        packet = CoapPacket()
        packet.type = COAP_TYPE.COAP_ACK
        packet.method = method
        packet.messageid = messageid
        packet.payload = payload
        packet.content_format = content_format
        packet.token = token
        return self.sendPacket(ip, port, packet)

    def _answer(self, ip, port, packet):
        for i in range(len(self._open)):
            incoming = self._open[i][0]
            if incoming.mid == packet.messageid and self._link.pair_of(incoming.remote) == (
                ip,
                port,
            ):
                self._open.pop(i)
                options, payload = parts_of(packet)
                self._endpoint.respond(incoming, packet.method, options, payload)
                return packet.messageid if self._transmit(ticks_ms()) else 0
        self.log("nobody waits for messageid " + str(packet.messageid))
        return 0
