"""A CoAP endpoint without a socket: the message layer and the matching of responses.

RFC 7252 section 4 (types, retransmission, duplicates) and section 5.3 (tokens, source endpoint).

    receive(link, datagram, remote, now) -> what arrived: NOTHING, REQUEST, RESPONSE, ...
    step(now)      -> an exchange that has just timed out, or None; call until None
    transmit(now)  -> (link, datagram, remote) to send, or None
    wait_ms(now)   -> milliseconds until `transmit` or `step` may have something, or None

A REQUEST or RESPONSE changes nothing until `accept`: a caller that drops a message by a rule of
its own leaves no trace of it, and sends nothing. `remote` is opaque: what the link gave.
"""

from micropython import const

from msgin5g.coap.errors import BufferTooSmall, MessageFormatError
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import ACK, CON, EMPTY, MAX_MESSAGE_SIZE, NON, OBSERVE, RST
from msgin5g.coap.ticks import add, diff
from msgin5g.coap.transmission import (
    ACKED,
    CANCELLED,
    DONE,
    OBSERVING,
    QUEUED,
    RESET,
    SENT,
    TIMED_OUT,
    Exchange,
    Incoming,
    Parameters,
)

NOTHING = const(0)  # dealt with, or dropped and counted
REQUEST = const(1)  # `message` is a request that was not seen before
RESPONSE = const(2)  # `message` answers `exchange`
REJECTED = const(3)  # the peer sent a Reset for `exchange`
UNMATCHED = const(4)  # `message` is a response to nothing that is known: for the caller to count

_TOKEN_SIZE = const(4)  # RFC 7252 section 5.3.1: at least 32 bits of randomness
_OUTBOX_SIZE = const(16)
_PURGE_MS = const(30000)


class Endpoint:
    """One CoAP endpoint; it may speak on several links.

    random: a function that gives a random byte. counters: dict, one entry a reason to drop.
    peer_key: None, or a function of a remote; remotes with equal keys are the same endpoint.
    max_exchanges: our messages that wait; beyond it `request` gives None. max_incoming:
    messages of peers that are remembered; beyond it the oldest answered one is forgotten, whose
    repetition would then be worked again (GET is idempotent, section 4.5).
    """

    def __init__(
        self,
        random,
        counters,
        parameters=None,
        peer_key=None,
        max_exchanges=4,
        max_incoming=8,
    ):
        self._random = random
        self.counters = counters
        self.parameters = parameters or Parameters()
        self.peer_key = peer_key
        self.max_exchanges = max_exchanges
        self._max_incoming = max_incoming
        self.message = Message()
        self.exchange = None
        self._link = None
        self._remote = None
        self._exchanges = []
        self._by_token = {}
        self._incoming = []
        self._outbox = []
        self._buf = bytearray(MAX_MESSAGE_SIZE)
        self._mid = random() << 8 | random()
        self._purge_at = None

    # What arrives

    def receive(self, link, datagram, remote, now):
        """Take one datagram. No bytes whatever make it raise."""
        message = self.message
        self.exchange = None
        try:
            if len(datagram) > MAX_MESSAGE_SIZE:
                raise MessageFormatError("too large")
            message.decode(datagram)
        except MessageFormatError:
            self.count("malformed")
            # Section 4.2: a confirmable message with a format error is rejected with a Reset;
            # section 3: a version that we do not know is ignored.
            if len(datagram) > 3 and datagram[0] >> 4 == 4:
                self._send(link, bytes((0x70, 0, datagram[2], datagram[3])), remote)
            return NOTHING
        self._link = link
        self._remote = remote
        mtype = message.mtype
        code = message.code
        if code == EMPTY:
            return self._receive_empty(mtype)
        if mtype == RST or (mtype == ACK and code < 32):
            self.count("malformed")  # section 4.2, table 1: combinations that are not used
            return NOTHING
        if mtype != ACK and self._repeated(now):
            return NOTHING
        if code < 32:
            return REQUEST
        exchange = self._by_token.get(message.token())
        if exchange is None or exchange.state == QUEUED:
            if mtype != ACK and message.find(OBSERVE) >= 0:
                # RFC 7641 section 3.6: only a Reset ends a forgotten observation.
                self._send_empty(RST)
            return UNMATCHED
        # Section 5.3.2: the response comes from where the request went to.
        if exchange.link != link or not self.same_peer(exchange.remote, remote):
            self.count("wrong_source")
            return NOTHING
        if mtype == ACK and message.mid != exchange.mid:
            return UNMATCHED
        self.exchange = exchange
        return RESPONSE

    def _receive_empty(self, mtype):
        if mtype == CON:
            self._send_empty(RST)  # section 4.3: a ping
            return NOTHING
        mid = self.message.mid
        if mtype != NON:
            for exchange in self._exchanges:
                if (
                    exchange.mid == mid
                    and exchange.state != QUEUED
                    and exchange.link == self._link
                    and self.same_peer(exchange.remote, self._remote)
                ):
                    if mtype == RST:
                        self._finish(exchange, RESET)
                        self.exchange = exchange
                        return REJECTED
                    if exchange.state == SENT:
                        if exchange.token is None:
                            self._finish(exchange, DONE)
                        else:
                            exchange.state = ACKED
                            exchange.datagram = None
                    return NOTHING
        self.count("unmatched_empty")
        return NOTHING

    def _repeated(self, now):
        """Answer a message that was seen before as it was answered then (section 4.5)."""
        mid = self.message.mid
        for incoming in self._incoming:
            if (
                incoming.mid == mid
                and incoming.link == self._link
                and self.same_peer(incoming.remote, self._remote)
            ):
                if not incoming.open and diff(now, incoming.expires_at) >= 0:
                    self._incoming.remove(incoming)
                    return False  # so long ago that it is another message
                self.count("duplicate")
                if incoming.reply is not None:
                    self._send(self._link, incoming.reply, self._remote)
                return True
        return False

    def accept(self, now, observing=False):
        """Take the message that `receive` has just announced.

        A REQUEST gives an Incoming, to be answered with `respond`, or None when as many are
        open as are remembered. A RESPONSE is acknowledged if it asks for it, and ends its
        exchange unless it is `observing`.
        """
        message = self.message
        exchange = self.exchange
        incoming = None
        if message.mtype == CON or message.mtype == NON:
            incoming = self._remember(message, now)
        if exchange is None:
            return incoming
        if message.mtype == CON:
            reply = self._send_empty(ACK)
            if incoming:
                incoming.reply = reply
        if incoming:
            incoming.open = False
        if observing:
            exchange.state = OBSERVING
            exchange.datagram = None
        else:
            self._finish(exchange, DONE)
        return incoming

    def _remember(self, message, now):
        known = self._incoming
        if len(known) >= self._max_incoming:
            for i in range(len(known)):
                if not known[i].open:
                    known.pop(i)
                    break
            else:
                return None
        confirmable = message.mtype == CON
        lifetime_ms = (
            self.parameters.exchange_lifetime_ms()
            if confirmable
            else self.parameters.non_lifetime_ms()
        )
        incoming = Incoming(
            self._link,
            self._remote,
            message.mid,
            message.token(),
            confirmable,
            add(now, lifetime_ms),
        )
        known.append(incoming)
        return incoming

    # What is sent

    def request(self, link, remote, code, options, owner, confirmable=True, tail=None, token=None):
        """Start an exchange and give it, or None when the table is full or it does not fit.

        options: list of (number, value), ascending; tail: see `message.encode`. token: that of
        an observation to be renewed or ended, which must not be in use any more.
        """
        if len(self._exchanges) >= self.max_exchanges:
            self.count("exchanges_full")
            return None
        if token is None:
            token = self._new_token()
        exchange = Exchange(link, remote, self._new_mid(), token, confirmable, owner)
        mtype = CON if confirmable else NON
        exchange.datagram = self._encode(mtype, code, exchange.mid, token, options, b"", tail)
        if exchange.datagram is None:
            return None
        self._exchanges.append(exchange)
        self._by_token[token] = exchange
        return exchange

    def ping(self, link, remote, owner):
        """Start a CoAP ping (section 4.3): a Reset ends it. None when the table is full."""
        return self._confirm(link, remote, EMPTY, b"", (), b"", None, owner)

    def acknowledge(self, incoming):
        """Acknowledge a request now; its response will be a separate one (section 5.2.2)."""
        if incoming.confirmable and not incoming.acknowledged:
            incoming.acknowledged = True
            incoming.reply = bytes((0x60, 0, incoming.mid >> 8, incoming.mid & 0xFF))
            self._send(incoming.link, incoming.reply, incoming.remote)

    def respond(self, incoming, code, options, payload, owner=None, tail=None):
        """Answer a request: on its acknowledgement, separately, or non-confirmably.

        A separate response to a confirmable request is an exchange of its own (section 5.2.2),
        which is given. Otherwise None.
        """
        incoming.open = False
        if incoming.acknowledged:
            return self._confirm(
                incoming.link, incoming.remote, code, incoming.token, options, payload, tail, owner
            )
        incoming.acknowledged = True
        mid = incoming.mid if incoming.confirmable else self._new_mid()
        mtype = ACK if incoming.confirmable else NON
        incoming.reply = self._encode(mtype, code, mid, incoming.token, options, payload, tail)
        if incoming.reply is not None:
            self._send(incoming.link, incoming.reply, incoming.remote)
        return None

    def notify(self, incoming, code, options, payload, owner, tail=None, confirmable=True):
        """Send a further response to a request (RFC 7641 section 4.2); an exchange or None."""
        if confirmable:
            return self._confirm(
                incoming.link, incoming.remote, code, incoming.token, options, payload, tail, owner
            )
        datagram = self._encode(NON, code, self._new_mid(), incoming.token, options, payload, tail)
        if datagram is not None:
            self._send(incoming.link, datagram, incoming.remote)
        return None

    def _confirm(self, link, remote, code, token, options, payload, tail, owner):
        if len(self._exchanges) >= self.max_exchanges:
            self.count("exchanges_full")
            return None
        exchange = Exchange(link, remote, self._new_mid(), None, True, owner)
        exchange.datagram = self._encode(CON, code, exchange.mid, token, options, payload, tail)
        if exchange.datagram is None:
            return None
        self._exchanges.append(exchange)
        return exchange

    def cancel(self, exchange):
        """Forget an exchange; what still arrives for it is unmatched."""
        if exchange in self._exchanges:
            self._finish(exchange, CANCELLED)

    def forget(self, incoming):
        """Forget a request that will not be answered."""
        if incoming in self._incoming:
            self._incoming.remove(incoming)

    def forget_peer(self, link, remote):
        """Forget everything about a peer that has gone."""
        for exchange in [e for e in self._exchanges if e.link == link]:
            if self.same_peer(exchange.remote, remote):
                self._finish(exchange, CANCELLED)
        self._incoming = [
            i for i in self._incoming if i.link != link or not self.same_peer(i.remote, remote)
        ]
        self._outbox = [
            o for o in self._outbox if o[0] != link or not self.same_peer(o[2], remote)
        ]

    def _finish(self, exchange, state):
        exchange.state = state
        exchange.datagram = None
        self._exchanges.remove(exchange)
        if exchange.token is not None:
            del self._by_token[exchange.token]

    # Time

    def step(self, now):
        """Let time pass: an exchange that has just timed out, or None."""
        if self._purge_at is None or diff(now, self._purge_at) >= 0:
            self._purge(now)
        for exchange in self._exchanges:
            state = exchange.state
            if (state == SENT or state == ACKED) and diff(now, exchange.expires_at) >= 0:
                self._finish(exchange, TIMED_OUT)
                return exchange
        return None

    def _purge(self, now):
        """Forget what need not be remembered any more, before its moments wrap around."""
        self._purge_at = add(now, _PURGE_MS)
        for i in range(len(self._incoming) - 1, -1, -1):
            incoming = self._incoming[i]
            if not incoming.open and diff(now, incoming.expires_at) >= 0:
                self._incoming.pop(i)

    def transmit(self, now):
        """The next datagram to send as (link, datagram, remote), or None."""
        if self._outbox:
            return self._outbox.pop(0)
        for exchange in self._exchanges:
            state = exchange.state
            if state == QUEUED:
                if exchange.confirmable and self._crowded(exchange):
                    continue
                exchange.expires_at = add(now, self.parameters.max_transmit_wait_ms())
                exchange.timeout_ms = self._first_timeout_ms()
                exchange.retransmit_at = add(now, exchange.timeout_ms)
                exchange.n_sent = 1
                datagram = exchange.datagram
                if exchange.confirmable:
                    exchange.state = SENT
                else:
                    exchange.state = ACKED
                    exchange.datagram = None
                return (exchange.link, datagram, exchange.remote)
            if (
                state == SENT
                and exchange.n_sent <= self.parameters.max_retransmit
                and diff(now, exchange.retransmit_at) >= 0
            ):
                # Section 4.2: the same bytes again, and twice the patience.
                exchange.n_sent += 1
                exchange.timeout_ms *= 2
                exchange.retransmit_at = add(now, exchange.timeout_ms)
                return (exchange.link, exchange.datagram, exchange.remote)
        return None

    def wait_ms(self, now):
        """Milliseconds until `step` or `transmit` may have something; None: no timer runs."""
        if self._outbox:
            return 0
        wait = None
        for exchange in self._exchanges:
            state = exchange.state
            if state == QUEUED:
                if not exchange.confirmable or not self._crowded(exchange):
                    return 0
                continue
            if state == SENT or state == ACKED:
                ms = diff(exchange.expires_at, now)
                if state == SENT and exchange.n_sent <= self.parameters.max_retransmit:
                    ms = min(ms, diff(exchange.retransmit_at, now))
                if ms <= 0:
                    return 0
                if wait is None or ms < wait:
                    wait = ms
        return wait

    def _crowded(self, exchange):
        """Whether NSTART (section 4.7) holds this exchange back."""
        n = 0
        for other in self._exchanges:
            if other.state == SENT and other.remote == exchange.remote:
                n += 1
        return n >= self.parameters.nstart

    def _first_timeout_ms(self):
        """Between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR, section 4.2."""
        parameters = self.parameters
        spread = parameters.ack_timeout_ms * (parameters.ack_random_percent - 100) // 100
        return parameters.ack_timeout_ms + spread * (self._random() << 8 | self._random()) // 65535

    # Small things

    def same_peer(self, a, b):
        """Whether two remotes are the same endpoint."""
        if a == b:
            return True
        return self.peer_key is not None and self.peer_key(a) == self.peer_key(b)

    def count(self, name):
        """Add one to the counter `name`."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def _new_mid(self):
        self._mid = mid = (self._mid + 1) & 0xFFFF
        return mid

    def _new_token(self):
        while True:
            token = bytes([self._random() for _ in range(_TOKEN_SIZE)])
            if token not in self._by_token:
                return token

    def _encode(self, mtype, code, mid, token, options, payload, tail):
        try:
            size = encode(self._buf, mtype, code, mid, token, options, payload, tail)
        except BufferTooSmall:
            self.count("too_large")
            return None
        return self._buf[:size]

    def _send_empty(self, mtype):
        mid = self.message.mid
        datagram = bytes((0x40 | mtype << 4, 0, mid >> 8, mid & 0xFF))
        self._send(self._link, datagram, self._remote)
        return datagram

    def _send(self, link, datagram, remote):
        if len(self._outbox) >= _OUTBOX_SIZE:
            self.count("outbox_full")
            return
        self._outbox.append((link, datagram, remote))
