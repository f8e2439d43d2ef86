"""What goes out and what comes in: the endpoint, its link and its clock behind a Coap.

There is no thread: what is to be sent again is sent while the program is in `poll` or `loop`, or
makes its next call.
"""

from msgin5g.coap.endpoint import REJECTED, REQUEST, RESPONSE
from msgin5g.coap.numbers import LINK_FORMAT, OBSERVE, URI_PATH
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.coap.exchange import Parameters
from msgin5g.port.system import random_byte, ticks_ms

from microcoapy.coap_macros import COAP_METHOD, COAP_RESPONSE_CODE
from microcoapy.coap_packet import packet_of

MAX_REQUESTS = 4  # under way at once; the oldest is given up for a fifth
_MAX_INCOMING = 8  # remembered requests of others; the oldest unanswered one is given up
_ACK_DELAY_MS = 1000  # an answer that takes longer goes separately
_LONGEST_MS = 60000


class Traffic:
    """The moving parts of a Coap; what it calls back to is described there."""

    def __init__(self):
        self.debug = True
        self.callbacks = {}
        self.responseCallback = None
        self.resposeCallback = None
        self.counters = {}
        self._link = None
        self._requests = []  # (exchange, whether it has an Observe option)
        self._open = []  # (Incoming, when it is to be acknowledged)
        # All requests may be under way at once, to one server too: a program that has called
        # `get` twice expects both to be out.
        self._endpoint = ServerEndpoint(
            random_byte,
            self.counters,
            Parameters(nstart=MAX_REQUESTS),
            None,
            2 * MAX_REQUESTS,  # separate answers, too
            _MAX_INCOMING,
        )

    def log(self, s):
        if self.debug:
            print("[microcoapy]: " + s)

    def _forget(self, exchange):
        self._requests = [r for r in self._requests if r[0] is not exchange]

    def loop(self, blocking=True):
        """Take one datagram, waiting for it if blocking; true when the program was told of one."""
        while self._link is not None:
            self._step(ticks_ms())
            arrived = self._link.receive()
            if arrived is not None:
                told = self._take(arrived[0], arrived[1])
                if self._link is not None:  # a callback may have called `stop`
                    self._transmit(ticks_ms())
                if told or not blocking:
                    return told
            elif not blocking:
                return False
            else:
                self._wait(_LONGEST_MS)
        return False

    def poll(self, timeoutMs=-1, pollPeriodMs=500):
        """Take datagrams until the program was told of one, at most timeoutMs; true if it was.

        pollPeriodMs: the longest pause between two looks at the socket.
        """
        until = add(ticks_ms(), max(timeoutMs, 0))
        while self._link is not None:
            if self.loop(False):
                return True
            left = diff(until, ticks_ms())
            if left <= 0 or self._link is None:
                break
            self._wait(max(min(left, pollPeriodMs), 1))
        return False

    def _wait(self, ms):
        now = ticks_ms()
        ms = shorter(ms, self._endpoint.wait_ms(now))
        for _, acknowledge_at in self._open:
            ms = min(ms, max(diff(acknowledge_at, now), 0))
        self._link.wait(ms)

    def _step(self, now):
        while True:
            exchange = self._endpoint.step(now)
            if exchange is None:
                break
            self._forget(exchange)
            self.log("no answer to messageid " + str(exchange.mid))
        for row in self._open:
            if diff(now, row[1]) >= 0 and not row[0].acknowledged:
                self._endpoint.acknowledge(row[0])
        if self._link is not None:
            self._transmit(now)

    def _transmit(self, now):
        """Send what is due; false when the network did not take all of it."""
        failed = self._link.n_failed
        while True:
            out = self._endpoint.transmit(now)
            if out is None:
                return self._link.n_failed == failed
            self._link.send(out[1], out[2])

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
                callback(packet, self._link.pair_of(remote))
            return True
        if kind == REJECTED:
            self._forget(endpoint.exchange)
            self.log("rejected: messageid " + str(endpoint.exchange.mid))
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
        host, port = self._link.pair_of(remote)
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
            self.sendResponse(host, port, packet.messageid, links, code, LINK_FORMAT, None)
        else:
            code = COAP_RESPONSE_CODE.COAP_NOT_FOUND
            self.sendResponse(host, port, packet.messageid, None, code, -1, None)
        return True
