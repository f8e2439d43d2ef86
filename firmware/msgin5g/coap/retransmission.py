"""Our messages under way: retransmission, time-outs, NSTART, and the outbox (RFC 7252 section 4).

QUEUED --first transmission--> SENT --acknowledged--> ACKED --response--> DONE or OBSERVING
"""

from msgin5g.coap.errors import BufferTooSmall
from msgin5g.coap.message import encode
from msgin5g.coap.numbers import CON, NON
from msgin5g.coap.ticks import add, diff
from msgin5g.coap.exchange import (
    ACKED,
    CANCELLED,
    OBSERVING,
    QUEUED,
    SENT,
    TIMED_OUT,
    Exchange,
    Parameters,
)


class Transmitter:
    """Sends messages and keeps the exchanges that wait; the arguments are those of Endpoint.

    Public to read: exchanges, the list of those with a timer; by_token, {token: exchange} of those
    that expect a response; outbox, what is sent next and needs no timer.
    """

    def __init__(self, random, counters, parameters, peer_key, max_exchanges, max_size):
        self._random = random
        self.counters = counters
        self.parameters = parameters or Parameters()
        self.peer_key = peer_key
        self.max_exchanges = max_exchanges
        self.exchanges = []
        self._queued = []  # those of them that were not sent yet
        self.by_token = {}  # an exchange that observes stays here without a timer
        self._n_observing = 0
        self._alarm_at = None  # no timer ends before this moment; None: no timer runs
        self.outbox = []
        self._max_size = max_size
        self._mid = random() << 8 | random()

    def request(
        self, transport, remote, code, options, owner, confirmable=True, tail=None, token=None
    ):
        """Start an exchange and give it, or None when the table is full or it does not fit.

        options: list of (number, value), ascending; tail: see `message.encode`. token: that of
        an observation to be renewed or ended, which must not be in use any more.
        """
        random = self._random
        while token is None or token in self.by_token:
            # RFC 7252 section 5.3.1: at least 32 bits of randomness.
            token = bytes((random(), random(), random(), random()))
        exchange = self.start(
            transport, remote, code, token, options, b"", tail, owner, confirmable
        )
        if exchange:
            exchange.token = token
            self.by_token[token] = exchange
        return exchange

    def start(
        self, transport, remote, code, token, options, payload, tail, owner, confirmable=True
    ):
        """Start the exchange of a message that has no response of its own; see `request`."""
        if len(self.exchanges) + self._n_observing >= self.max_exchanges:
            self.count("exchanges_full")
            return None
        self._mid = mid = (self._mid + 1) & 0xFFFF
        mtype = CON if confirmable else NON
        datagram = self._encode(mtype, code, mid, token, options, payload, tail)
        if datagram is None:
            return None
        exchange = Exchange(transport, remote, mid, confirmable, owner)
        exchange.datagram = datagram
        self.exchanges.append(exchange)
        self._queued.append(exchange)
        return exchange

    def cancel(self, exchange):
        """Forget an exchange; what still arrives for it is unmatched."""
        if exchange.state <= OBSERVING:
            self._finish(exchange, CANCELLED)

    def _stop(self, exchange, state):
        if exchange.state == OBSERVING:
            self._n_observing -= 1
        else:
            self.exchanges.remove(exchange)
            if exchange.state == QUEUED:
                self._queued.remove(exchange)
        exchange.state = state
        exchange.datagram = None

    def _finish(self, exchange, state):
        self._stop(exchange, state)
        if exchange.token is not None:
            del self.by_token[exchange.token]

    def timed_out(self, now):
        """An exchange that has just timed out (MAX_TRANSMIT_WAIT, section 4.8.2), or None."""
        for exchange in self.exchanges:
            if SENT <= exchange.state <= ACKED and diff(now, exchange.expires_at) >= 0:
                self._finish(exchange, TIMED_OUT)
                return exchange
        return None

    def transmit(self, now):
        """The next datagram to send as (transport, datagram, remote), or None."""
        if self.outbox:
            return self.outbox.pop(0)
        if self._queued:
            out = self._send_first(now)
            if out is not None:
                return out
        if self._alarm_at is None or diff(now, self._alarm_at) < 0:
            return None
        return self._retransmit(now)

    def _send_first(self, now):
        """Send a message for the first time, if NSTART permits it."""
        for exchange in self._queued:
            if exchange.confirmable and self._held_back(exchange):
                continue
            self._queued.remove(exchange)
            parameters = self.parameters
            if exchange.expires_at is None:
                exchange.expires_at = add(now, parameters.max_transmit_wait_ms)
            alarm_at = exchange.expires_at
            exchange.n_sent = 1
            datagram = exchange.datagram
            if exchange.confirmable:
                exchange.state = SENT
                # Section 4.2: between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR.
                random = self._random
                chance = (random() << 8 | random()) >> 4  # of 4095: stays below 2**30
                spread_ms = parameters.spread_ms * chance // 4095
                exchange.timeout_ms = parameters.ack_timeout_ms + spread_ms
                exchange.retransmit_at = add(now, exchange.timeout_ms)
                if parameters.max_retransmit:
                    alarm_at = exchange.retransmit_at
            else:
                exchange.state = ACKED
                exchange.datagram = None
            if self._alarm_at is None or diff(alarm_at, self._alarm_at) < 0:
                self._alarm_at = alarm_at
            return (exchange.transport, datagram, exchange.remote)
        return None

    def _retransmit(self, now):
        """Retransmit a message that was not acknowledged in time."""
        for exchange in self.exchanges:
            if (
                exchange.state == SENT
                and exchange.n_sent <= self.parameters.max_retransmit
                and diff(now, exchange.retransmit_at) >= 0
            ):
                # Section 4.2: the same bytes again, and twice the time-out.
                exchange.n_sent += 1
                exchange.timeout_ms *= 2
                exchange.retransmit_at = add(now, exchange.timeout_ms)
                return (exchange.transport, exchange.datagram, exchange.remote)
        self._timers_ms(now)
        return None

    def wait_ms(self, now):
        """Milliseconds until `step` or `transmit` may have something; None: no timer runs."""
        if self.outbox:
            return 0
        for exchange in self._queued:
            if not exchange.confirmable or not self._held_back(exchange):
                return 0
        return self._timers_ms(now)

    def _timers_ms(self, now):
        """Milliseconds until the first timer ends, None without a timer; sets `_alarm_at`."""
        wait = None
        for exchange in self.exchanges:
            state = exchange.state
            if state == SENT or state == ACKED:
                ms = diff(exchange.expires_at, now)
                if state == SENT and exchange.n_sent <= self.parameters.max_retransmit:
                    ms = min(ms, diff(exchange.retransmit_at, now))
                if wait is None or ms < wait:
                    wait = max(ms, 0)
        self._alarm_at = None if wait is None else add(now, wait)
        return wait

    def _held_back(self, exchange):
        """Whether NSTART (section 4.7) holds this exchange back."""
        n = 0
        for other in self.exchanges:
            if other.state == SENT and other.remote == exchange.remote:
                n += 1
        return n >= self.parameters.nstart

    def same_peer(self, a, b):
        """Whether two remotes are the same endpoint."""
        if a == b:
            return True
        return self.peer_key is not None and self.peer_key(a) == self.peer_key(b)

    def count(self, name):
        """Add one to the counter `name`."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def _encode(self, mtype, code, mid, token, options, payload, tail):
        # The most that `encode` may need: no buffer of the largest size is kept.
        size = len(token) + 6
        if tail is None:
            size += len(payload) + 1
            for option in options:
                size += len(option[1]) + 5
        else:
            size += len(tail)
        buf = bytearray(min(size, self._max_size))
        try:
            size = encode(buf, mtype, code, mid, token, options, payload, tail)
        except BufferTooSmall:
            self.count("too_large")
            return None
        buf[size:] = b""
        return buf
