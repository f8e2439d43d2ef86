"""Coap: microCoAPy's client and server in one object, on an endpoint that keeps RFC 7252.

There is no thread: retransmissions are sent while the program is in `poll` or `loop`, or makes
its next call.
"""

from msgin5g.coap.endpoint import REJECTED, REQUEST, RESPONSE, UNMATCHED
from msgin5g.coap.message import size_of
from msgin5g.coap.retransmission import Parameters
from msgin5g.coap.numbers import MAX_MESSAGE_SIZE, OBSERVE, URI_PATH
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.port.system import random_byte, ticks_ms

from microcoapy.coap_macros import COAP_CONTENT_FORMAT, COAP_METHOD, COAP_RESPONSE_CODE, COAP_TYPE
from microcoapy.coap_option import as_bytes
from microcoapy.coap_packet import CoapPacket, packet_of, parts_of
from microcoapy.transports import CustomTransport, OwnTransport

_PORT = 5683
_MAX_REQUESTS = 4  # under way at once; the oldest is cancelled for a fifth
_MAX_INCOMING = 8  # remembered requests of others; the oldest unanswered one is forgotten
_ACK_DELAY_MS = 1000  # a response that takes longer is a separate one
_LONGEST_MS = 60000


class Coap:
    """debug: print what happens. discardRetransmissions: always done; kept for its name.

    responseCallback(packet, (host, port)) is called with every answer to a request of ours, and
    with every notification if the request had an Observe option. `resposeCallback` is the same.
    """

    def __init__(self, port=_PORT):
        self.discardRetransmissions = True
        self.port = port
        self.debug = True
        self.callbacks = {}
        self.responseCallback = None
        self.resposeCallback = None
        self.counters = {}
        self._transport = None
        self._requests = []  # (exchange, whether it has an Observe option)
        self._open = []  # (Incoming, when it is to be acknowledged)
        # All requests may be under way at once, to one server too: a program that has called
        # `get` twice expects both to be out.
        self._endpoint = ServerEndpoint(
            random_byte,
            self.counters,
            Parameters(nstart=_MAX_REQUESTS),
            None,
            2 * _MAX_REQUESTS,  # separate answers, too
            _MAX_INCOMING,
        )

    @property
    def sock(self):
        """The socket, None before `start`."""
        return None if self._transport is None else self._transport.socket

    # Sockets

    def start(self, port=None):
        """Open and bind the socket."""
        if port is not None:
            self.port = port
        self.stop()
        self._transport = OwnTransport(self.port)

    def stop(self):
        """Close the socket; what was under way is given up."""
        if self._transport is not None:
            for request in self._requests:
                self._endpoint.cancel(request[0])
            self._requests = []
            self._open = []
            self._transport.close()
            self._transport = None

    def setCustomSocket(self, custom_socket):
        """Use a socket of the program's own in place of `start`."""
        self.stop()
        self._transport = CustomTransport(custom_socket)

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
            packet.setUriHost(ip)  # RFC 7252 section 6.4: an address needs no Uri-Host
        packet.setUriPath(url)
        return self.sendPacket(ip, port, packet)

    def sendPacket(self, ip, port, packet):
        """Send a packet: a request gets a message ID, an answer has its request's."""
        if self._transport is None:
            self.log("not started")
            return 0
        if packet.method >> 5 or packet.type == COAP_TYPE.COAP_ACK:
            return self._answer(ip, port, packet)
        try:
            remote = self._transport.remote(ip, port)
        except Exception as error:  # TransportError: the name is not known
            self.log(str(error))
            return 0
        return self._request(remote, packet)

    def _request(self, remote, packet):
        options, payload = parts_of(packet)
        if size_of(b"", options, payload) > MAX_MESSAGE_SIZE:
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
                options,
                self,
                packet.type == COAP_TYPE.COAP_CON,
                token,
                payload,
            )
            if exchange is None or exchange.mid():
                break
            endpoint.cancel(exchange)  # 0 means that nothing was sent
        if exchange is None:
            self.log("not sent: too large, or too much under way")
            return 0
        self._requests.append((exchange, any(number == OBSERVE for number, _ in options)))
        packet.messageid = exchange.mid()
        if not self._transmit(ticks_ms()):
            self._forget(exchange)
            self._endpoint.cancel(exchange)
            self.log("not sent: the network did not take it")
            return 0
        self.log("sent, messageid " + str(exchange.mid()))
        return exchange.mid()

    def _make_room(self, token):
        self._step(ticks_ms())
        for exchange, _ in self._requests:
            if exchange.token == token or len(self._requests) >= _MAX_REQUESTS:
                self._endpoint.cancel(exchange)
                self._forget(exchange)
                return

    # Answers

    def addIncomingRequestCallback(self, requestUrl, callback):
        """callback(packet, host, port) is to answer requests for a path with `sendResponse`."""
        self.callbacks[requestUrl.strip("/")] = callback

    def sendResponse(self, ip, port, messageid, payload, method, content_format, token):
        """Answer the request `messageid`; gives that, or 0 when no such request is open."""
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
            mid = incoming.number & 0xFFFF
            if mid == packet.messageid and self._transport.pair_of(incoming.remote) == (
                ip,
                port,
            ):
                self._open.pop(i)
                options, payload = parts_of(packet)
                self._endpoint.respond(incoming, packet.method, options, payload)
                return packet.messageid if self._transmit(ticks_ms()) else 0
        self.log("no open request has messageid " + str(packet.messageid))
        return 0

    # The loop

    def loop(self, blocking=True):
        """Take one datagram, waiting for it if blocking; true when a callback was called."""
        while self._transport is not None:
            self._step(ticks_ms())
            arrived = self._transport.receive()
            if arrived is not None:
                done = self._take(arrived[0], arrived[1])
                if self._transport is not None:  # a callback may have called `stop`
                    self._transmit(ticks_ms())
                if done or not blocking:
                    return done
            elif not blocking:
                return False
            else:
                self._wait(_LONGEST_MS)
        return False

    def poll(self, timeoutMs=-1, pollPeriodMs=500):
        """Take datagrams until a callback was called, at most timeoutMs; true if one was.

        pollPeriodMs: the longest time between two polls of the socket.
        """
        until = add(ticks_ms(), max(timeoutMs, 0))
        while self._transport is not None:
            if self.loop(False):
                return True
            left = diff(until, ticks_ms())
            if left <= 0 or self._transport is None:
                break
            self._wait(max(min(left, pollPeriodMs), 1))
        return False

    def _wait(self, ms):
        now = ticks_ms()
        ms = shorter(ms, self._endpoint.wait_ms(now))
        for _, acknowledge_at in self._open:
            ms = min(ms, max(diff(acknowledge_at, now), 0))
        self._transport.wait(ms)

    def _step(self, now):
        while True:
            exchange = self._endpoint.step(now)
            if exchange is None:
                break
            self._forget(exchange)
            self.log("no answer to messageid " + str(exchange.mid()))
        for row in self._open:
            if diff(now, row[1]) >= 0 and not row[0].acknowledged:
                self._endpoint.acknowledge(row[0])
        if self._transport is not None:
            self._transmit(now)

    def _transmit(self, now):
        """Send what is due; false when the network did not take all of it."""
        failed = self._transport.n_failed
        while True:
            out = self._endpoint.transmit(now)
            if out is None:
                return self._transport.n_failed == failed
            self._transport.send(out[1], out[2])

    def _take(self, datagram, remote):
        endpoint = self._endpoint
        now = ticks_ms()
        kind = endpoint.receive(0, datagram, remote, now)
        if kind == REQUEST:
            return self._serve(remote, now)
        if kind == RESPONSE:
            exchange = endpoint.exchange
            packet = packet_of(endpoint.message)
            asked = any(observing for e, observing in self._requests if e is exchange)
            observing = asked and endpoint.message.find(OBSERVE) >= 0
            endpoint.accept(now, observing)
            if not observing:
                self._forget(exchange)
            callback = self.responseCallback or self.resposeCallback
            self.log("answer: " + packet.toString())
            if callback is not None:
                self._transmit(now)  # the acknowledgement first: the callback may take long
                callback(packet, self._transport.pair_of(remote))
            return True
        if kind == UNMATCHED:
            endpoint.reject()
        elif kind == REJECTED:
            self._forget(endpoint.exchange)
            self.log("rejected: messageid " + str(endpoint.exchange.mid()))
        return False

    def _serve(self, remote, now):
        endpoint = self._endpoint
        packet = packet_of(endpoint.message)
        incoming = endpoint.accept(now)
        if incoming is None and self._open:
            endpoint.forget(self._open.pop(0)[0])
            incoming = endpoint.accept(now)
        if incoming is None:
            return False
        self._open = [row for row in self._open if row[0].open]
        self._open.append((incoming, add(now, _ACK_DELAY_MS)))
        host, port = self._transport.pair_of(remote)
        path = [bytes(o.buffer) for o in packet.options if o.number == URI_PATH]
        try:
            path = b"/".join(path).decode()
        except UnicodeError:
            path = "?"  # nothing has this name
        callback = self.callbacks.get(path)
        self.log("request for " + path + ": " + packet.toString())
        if callback is not None:
            callback(packet, host, port)
        elif path == ".well-known/core" and packet.method == COAP_METHOD.COAP_GET:
            links = ",".join(["</" + known + ">" for known in sorted(self.callbacks)])
            code = COAP_RESPONSE_CODE.COAP_CONTENT
            link_format = COAP_CONTENT_FORMAT.COAP_APPLICATION_LINK_FORMAT
            self.sendResponse(host, port, packet.messageid, links, code, link_format, None)
        else:
            code = COAP_RESPONSE_CODE.COAP_NOT_FOUND
            self.sendResponse(host, port, packet.messageid, None, code, -1, None)
        return True

    def log(self, s):
        if self.debug:
            print("[microcoapy]: " + s)

    def _forget(self, exchange):
        self._requests = [r for r in self._requests if r[0] is not exchange]
