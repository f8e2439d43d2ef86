"""The state of the message layer (RFC 7252 sections 4.2 to 4.8).

Its parameters, the messages of peers, and our messages under way: message IDs, retransmission,
time-outs, NSTART and the outbox. A message is found by its peer and its message ID, so the cost
of one does not grow with the tables. The states of an Exchange, which is a message of ours:

QUEUED --first transmission--> SENT --acknowledged--> ACKED --response--> DONE or OBSERVING
"""

from micropython import const

from msgin5g.coap.message import datagram_of
from msgin5g.coap.numbers import CON, NON
from msgin5g.coap.ticks import add, diff

# States of an Exchange. A state that means "sent" is set when the datagram has been handed out.
QUEUED = const(0)  # not sent yet: NSTART holds it back, or `transmit` was not called
SENT = const(1)  # confirmable, sent, neither acknowledged nor answered
ACKED = const(2)  # acknowledged, or non-confirmable and sent: the response is missing
OBSERVING = const(3)  # no timer: more responses will come (RFC 7641), or a Reset at most
DONE = const(4)  # answered; acknowledged, if the message has no response
RESET = const(5)  # the peer rejected it
TIMED_OUT = const(6)  # no response within MAX_TRANSMIT_WAIT
CANCELLED = const(7)  # by its owner

_MAX_MIDS = const(32)  # peers in one of the two tables of message IDs
_MAX_LATENCY_MS = const(100000)
_REORDER_MS = const(128000)  # longer than this, the numbers may have wrapped around


class Parameters:
    """Transmission parameters, RFC 7252 section 4.8; the defaults are the RFC's.

    max_transmit_wait_ms: from the first transmission to giving up (93 s by default);
    exchange_lifetime_ms, non_lifetime_ms: how long a message ID may not be reused (247 s, 145 s).
    """

    def __init__(self, ack_timeout_ms=2000, ack_random_percent=150, max_retransmit=4, nstart=1):
        # The bounds keep every product below 2**29 ms and every span above 0.
        if not (
            1 <= ack_timeout_ms <= 60000
            and 100 <= ack_random_percent <= 300
            and 0 <= max_retransmit <= 8
            and nstart >= 1
        ):
            raise ValueError("out of range")
        self.ack_timeout_ms = ack_timeout_ms
        self.max_retransmit = max_retransmit
        self.nstart = nstart
        longest_ms = ack_timeout_ms * ack_random_percent // 100
        self.spread_ms = longest_ms - ack_timeout_ms
        span_ms = longest_ms * ((1 << max_retransmit) - 1)
        self.max_transmit_wait_ms = span_ms + (longest_ms << max_retransmit)
        self.exchange_lifetime_ms = span_ms + 2 * _MAX_LATENCY_MS + ack_timeout_ms
        self.non_lifetime_ms = span_ms + _MAX_LATENCY_MS


def set_header(datagram, mtype, mid):
    """Write type and message ID into a message that was made without them."""
    datagram[0] |= mtype << 4
    datagram[2] = mid >> 8
    datagram[3] = mid & 0xFF


class Exchange:
    """A message of ours that waits for its acknowledgement, its response, or both.

    datagram: without type and message ID until it is started. owner: the object that started it.
    token: that of the response, None for a message that has no response of its own (a separate
    response, a notification, a ping). number: see next_number.
    """

    # Attributes of the class until they change: that saves memory.
    confirmable = True
    token = None
    n_sent = 1  # how often it was sent, from its first transmission on
    expires_at = None  # from its first transmission on, as timeout_ms and retransmit_at
    binding = None  # what binds a protected request to its responses, see Transmitter.security
    newest = None  # the Observe value of the newest notification, which has come at newest_at

    def __init__(self, transport, remote, datagram, owner):
        self.transport = transport
        self.remote = remote
        self.datagram = datagram
        self.owner = owner
        self.number = None
        self.state = QUEUED  # has its memory now: a change of it cannot fail

    def mid(self):
        """Its message ID. No property: that would slow down each store into an Exchange."""
        return self.number & 0xFFFF

    def newer(self, number, now):
        """Whether the notification with the Observe value `number` is newer than all before it.

        If so, it is the newest one now (RFC 7641 section 3.4).
        """
        newest = self.newest
        if (
            newest is None
            or 0 < (number - newest) & 0xFFFFFF < 0x800000
            or diff(now, self.newest_at) > _REORDER_MS
        ):
            self.newest = number
            self.newest_at = now
            return True
        return False


class Incoming:
    """A confirmable or non-confirmable message of a peer that was accepted.

    number: see next_number; None when it is forgotten. reply: the datagram that its
    duplicates are answered with, None before the first reply. acknowledged: the response can no
    longer be piggybacked. unwanted: the classes of response that its sender does not want, the
    bits of No-Response (RFC 7967).
    """

    # Attributes of the class until they change: that saves memory.
    confirmable = True
    acknowledged = False
    unwanted = 0
    reply = None
    binding = None  # what binds a protected request to its responses, see Transmitter.security
    next = None  # another one with the same number

    expires_at = 0

    def __init__(self, transport, remote, number, token):
        self.transport = transport
        self.remote = remote
        self.number = number
        self.token = token
        self.open = True  # no response was sent yet: it is not forgotten to make room


class Transmitter:
    """Sends messages and keeps the exchanges that wait; the arguments are those of Endpoint.

    Public to read: exchanges, the list of those with a timer; by_token, {token: exchange} of those
    that expect a response; outbox, what is sent next and needs no timer. security: None, or the
    layer that protects and unprotects messages, oscore.security.Security; set by the builder.
    """

    def __init__(self, random, counters, parameters, peer_key, max_exchanges, max_size):
        self.security = None
        self.random = random
        self.counters = counters
        self.parameters = parameters or Parameters()
        self.peer_key = peer_key
        self.max_exchanges = max_exchanges
        self.exchanges = []
        self._queued = []  # those of them that were not sent yet
        self.by_token = {}  # an exchange that observes stays here without a timer
        self._by_number = {}  # {number: exchange} of those with a timer
        self._n_sent = {}  # {remote: how many exchanges with it are SENT}
        self._mids = {}  # {peer: message ID of the last message to it}
        self._old_mids = {}  # those before, when there were too many
        self._n_observing = 0
        self._alarm_at = None  # no timer ends before this moment; None: no timer runs
        self.outbox = []
        self.max_size = max_size

    def next_number(self, remote):
        """The number of a new message to a peer, under which it is found.

        Its lower 16 bits are the message ID, the others a hash of the peer: few messages of
        different peers have the same number, and it is a small integer on a board.
        Each peer has message IDs of its own, which begin at random: it cannot tell from them what
        those of another peer are. A peer that was forgotten begins anew.
        """
        peer = remote if self.peer_key is None else self.peer_key(remote)
        mids = self._mids
        mid = mids.get(peer)
        if mid is None:
            if len(mids) >= _MAX_MIDS:
                self._old_mids = mids
                self._mids = mids = {}
            mid = self._old_mids.get(peer)
            if mid is None:
                mid = self.random() << 8 | self.random()
        base = (hash(peer) & 0x3FFF) << 16
        mid = (mid + 1) & 0xFFFF
        while base | mid in self._by_number:
            mid = (mid + 1) & 0xFFFF
        mids[peer] = mid
        return base | mid

    def request(
        self,
        transport,
        remote,
        code,
        options,
        owner,
        confirmable=True,
        token=None,
        payload=b"",
    ):
        """Start an exchange and give it, or None when the table is full or it does not fit.

        options: list of (number, value), ascending. token: that of an observation to be renewed
        or ended, which must not be in use any more.
        """
        binding = None
        if self.security is not None and self.security.protects(owner):
            if self._is_full():
                return None
            protected = self.security.protect_request(self, code, options, payload)
            if protected is None:
                return None
            code, options, payload, binding = protected
        if token is None or token in self.by_token:
            token = self.new_token()
        datagram = datagram_of(self.max_size, code, token, options, payload)
        exchange = Exchange(transport, remote, datagram, owner)
        exchange.token = token
        if not confirmable:
            exchange.confirmable = False
        if binding is not None:
            exchange.binding = binding
        return self.start(exchange)

    def reply(self, transport, remote, code, token, options, payload, owner):
        """Start the exchange of a confirmable response without OSCORE. See `start`."""
        datagram = datagram_of(self.max_size, code, token, options, payload)
        return self.start(Exchange(transport, remote, datagram, owner))

    def new_token(self):
        """A token for a request, which no other one has.

        RFC 7252 section 5.3.1: at least 32 bits of randomness.
        """
        random = self.random
        token = bytes((random(), random(), random(), random()))
        return self.new_token() if token in self.by_token else token

    def start(self, exchange):
        """Start a new Exchange and give it; None when the table is full.

        The same when it has no datagram, which was too large then.
        """
        if self._is_full():
            return None
        datagram = exchange.datagram
        if datagram is None:
            self.count("too_large")
            return None
        number = self.next_number(exchange.remote)
        set_header(datagram, CON if exchange.confirmable else NON, number & 0xFFFF)
        exchange.number = number
        if exchange.token is not None:
            self.by_token[exchange.token] = exchange
        self._by_number[number] = exchange
        self.exchanges.append(exchange)
        self._queued.append(exchange)
        return exchange

    def _is_full(self):
        """Whether there is no room for another exchange, which is counted then."""
        is_full = len(self.exchanges) + self._n_observing >= self.max_exchanges
        if is_full:
            self.count("exchanges_full")
        return is_full

    def cancel(self, exchange):
        """Forget an exchange; what still arrives for it is unmatched."""
        if exchange.state <= OBSERVING:
            self._finish(exchange, CANCELLED)

    def _stop(self, exchange, state):
        if exchange.state == OBSERVING:
            self._n_observing -= 1
            if exchange.token is None:
                del self._by_number[exchange.number]
        else:
            self.exchanges.remove(exchange)
            if state == OBSERVING:
                self._n_observing += 1
            if state != OBSERVING or exchange.token is not None:
                del self._by_number[exchange.number]
            if exchange.state == SENT:
                self._was_sent(exchange)
            elif exchange.state == QUEUED:
                self._queued.remove(exchange)
        exchange.state = state
        exchange.datagram = None

    def _was_sent(self, exchange):
        """An exchange is not SENT any more."""
        remote = exchange.remote
        n = self._n_sent[remote] - 1
        if n:
            self._n_sent[remote] = n
        else:
            del self._n_sent[remote]

    def _acknowledged(self, exchange):
        """The peer has the message: it is not sent again."""
        if exchange.state == SENT:
            if exchange.token is None:
                self._finish(exchange, DONE)
            else:
                self._was_sent(exchange)
                exchange.state = ACKED
                exchange.datagram = None

    def _finish(self, exchange, state):
        self._stop(exchange, state)
        if exchange.token is not None:
            del self.by_token[exchange.token]

    def drop_half_started(self):
        """Drop each exchange that is in some of the tables only, after a MemoryError."""
        exchanges = self.exchanges
        queued = self._queued
        for i in range(len(exchanges) - 1, -1, -1):
            if exchanges[i].state == QUEUED and exchanges[i] not in queued:
                exchanges.pop(i)
        for i in range(len(queued) - 1, -1, -1):
            if queued[i] not in exchanges:
                queued.pop(i)
        while self._drop_stale(self._by_number) or self._drop_stale(self.by_token):
            pass

    def _drop_stale(self, table):
        """Drop one exchange that is not under way from a table; takes no heap."""
        for key in table:
            exchange = table[key]
            if exchange.state != OBSERVING and exchange not in self.exchanges:
                del table[key]
                return True
        return False

    def _first_to_send(self):
        """The first exchange that waits and that NSTART (section 4.7) permits to send, or None."""
        nstart = self.parameters.nstart
        for exchange in self._queued:
            if not exchange.confirmable or self._n_sent.get(exchange.remote, 0) < nstart:
                return exchange
        return None

    def _send_first(self, now):
        """The datagram of an exchange that is sent for the first time now, or None."""
        exchange = self._first_to_send()
        if exchange is None:
            return None
        parameters = self.parameters
        out = (exchange.transport, exchange.datagram, exchange.remote)
        if exchange.expires_at is None:
            exchange.expires_at = add(now, parameters.max_transmit_wait_ms)
        alarm_at = exchange.expires_at
        if exchange.confirmable:
            # Section 4.2: between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR.
            timeout_ms = parameters.ack_timeout_ms + parameters.spread_ms * self.random() // 255
            exchange.timeout_ms = timeout_ms
            exchange.retransmit_at = add(now, timeout_ms)
            if parameters.max_retransmit:
                alarm_at = exchange.retransmit_at
            self._n_sent[exchange.remote] = self._n_sent.get(exchange.remote, 0) + 1
            exchange.state = SENT
        elif exchange.token is None:
            self._stop(exchange, OBSERVING)  # nothing comes for it but a Reset
            return out
        else:
            exchange.state = ACKED
            exchange.datagram = None
        self._queued.remove(exchange)  # now that there was memory for all that
        if self._alarm_at is None or diff(alarm_at, self._alarm_at) < 0:
            self._alarm_at = alarm_at
        return out

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
        self._set_alarm(now)
        return None

    def wait_ms(self, now):
        """Milliseconds until `step` or `transmit` may have something; None: no timer runs."""
        if self.outbox:
            return 0
        if self._queued and self._first_to_send() is not None:
            return 0
        if not self.exchanges:
            self._alarm_at = None
        if self._alarm_at is None:
            return None
        return max(diff(self._alarm_at, now), 0)

    def _set_alarm(self, now):
        """Set `_alarm_at` to when the first timer ends."""
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

    def same_peer(self, a, b):
        """Whether two remotes are the same endpoint."""
        if a == b:
            return True
        return self.peer_key is not None and self.peer_key(a) == self.peer_key(b)

    def count(self, name):
        """Add one to the counter `name`."""
        self.counters[name] = self.counters.get(name, 0) + 1
