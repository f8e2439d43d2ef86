"""A CoAP endpoint without a socket, the message layer and the matching of responses; and a role.

RFC 7252 section 4 (types, retransmission, duplicates) and section 5.3 (tokens, source endpoint).

    receive(transport, datagram, remote, now) -> what arrived: NOTHING, REQUEST, RESPONSE, ...
    step(now)      -> an exchange that has just timed out, or None; call until None
    transmit(now)  -> (transport, datagram, remote) to send, or None
    wait_ms(now)   -> milliseconds until `transmit` or `step` may have something, or None

A REQUEST or RESPONSE changes nothing until `accept`: a caller that drops a message by a rule of
its own leaves no trace of it, and sends nothing. `remote` is opaque: what the transport gave.
A Role drives an endpoint by the verbs that an event loop calls, guarded against a full heap.
"""

from micropython import const

from msgin5g.coap.message import Message, MessageFormatError
from msgin5g.coap.numbers import (
    ACK,
    CON,
    EMPTY,
    MAX_MESSAGE_SIZE,
    NO_RESPONSE,
    NON,
    OBSERVE,
    RST,
)
from msgin5g.coap.ticks import add, diff
from msgin5g.coap.retransmission import (
    ACKED,
    DONE,
    OBSERVING,
    QUEUED,
    RESET,
    SENT,
    TIMED_OUT,
    Incoming,
    Transmitter,
)

NOTHING = const(0)  # handled here, or dropped and counted
REQUEST = const(1)  # `message` is a request that was not seen before
RESPONSE = const(2)  # `message` answers `exchange`
REJECTED = const(3)  # the peer sent a Reset for `exchange`
UNMATCHED = const(4)  # `message` is a response to no known request: the caller counts it

_PURGE_MS = const(30000)
_OUTBOX_SIZE = const(16)
_MAX_UNMATCHED = const(16)  # Resets between two purges, beyond which all are ignored
RESERVE_SIZE = const(1024)  # for the lists of an intermediary, while it repairs its tables


class Endpoint(Transmitter):
    """One CoAP endpoint on one or more transports.

    random: a function that gives a random byte. counters: dict, one entry for each reason to drop
    a message. peer_key: None, or a function of a remote; remotes with equal keys are the same
    endpoint. max_exchanges: our messages that wait; beyond it `request` gives None. max_incoming:
    messages of peers that are remembered; beyond it the oldest answered one is forgotten, and its
    duplicate is then processed again (GET is idempotent, section 4.5). max_replies_size: bytes
    of replies kept for duplicates, beyond which the same happens to the oldest ones. max_size:
    of what is sent. max_options: of what is received.

    Public to read: exchanges and outbox, see Transmitter; n_incoming, how many messages of peers
    are remembered; answered, the list of those that are not open, the first response first;
    message, the last one received; transport and remote, where it came from; exchange, the one
    that it belongs to; binding, what binds a protected request to its responses.
    """

    def __init__(
        self,
        random,
        counters,
        parameters=None,
        peer_key=None,
        max_exchanges=4,
        max_incoming=8,
        max_size=MAX_MESSAGE_SIZE,
        max_options=64,
        max_replies_size=4096,
    ):
        super().__init__(random, counters, parameters, peer_key, max_exchanges, max_size)
        self.max_incoming = max_incoming
        self.max_replies_size = max_replies_size
        self.n_incoming = 0
        self._incoming = {}  # {number: Incoming}
        self.answered = []
        self._replies_size = 0
        self.message = Message(max_options)
        self.exchange = self.binding = None
        self.transport = None
        self.remote = None
        self._number = 0  # of the last message received
        self._token = None
        self._n_unmatched = 0  # Resets that matched nothing, since the last purge
        self._purge_at = None

    def receive(self, transport, datagram, remote, now):
        """Take one datagram. No bytes whatever make it raise."""
        message = self.message
        self.exchange = self.binding = None
        try:
            if len(datagram) > MAX_MESSAGE_SIZE:
                raise MessageFormatError("too large")
            message.decode(datagram)
        except MessageFormatError:
            self.count("malformed")
            # Section 4.2: a confirmable message with a format error is rejected with a Reset;
            # section 3: a version that we do not know is ignored.
            if len(datagram) > 3 and datagram[0] >> 4 == 4:
                self.send(transport, bytes((0x70, 0, datagram[2], datagram[3])), remote)
            return NOTHING
        self.transport = transport
        self.remote = remote
        # As in next_number, without a call: every datagram comes here.
        peer = remote if self.peer_key is None else self.peer_key(remote)
        self._number = number = (hash(peer) & 0x3FFF) << 16 | message.mid
        mtype = message.mtype
        code = message.code
        if code == EMPTY:
            return self._receive_empty(mtype)
        if mtype == RST or (mtype == ACK and code < 32):
            self.count("malformed")  # section 4.2, table 1: combinations that are not used
            return NOTHING
        self._token = token = bytes(datagram[message.token_start : message.token_end])
        if mtype != ACK and number in self._incoming and self._is_duplicate(now):
            return NOTHING
        if code < 32:
            if self.security is not None and not self.security.unprotect_request(self, now):
                return NOTHING
            return REQUEST
        exchange = self.by_token.get(token)
        if exchange is None or exchange.state == QUEUED:
            return UNMATCHED
        # Section 5.3.2: the response comes from where the request went to.
        if exchange.transport != transport or not (
            exchange.remote == remote or self.same_peer(exchange.remote, remote)
        ):
            self.count("wrong_source")
            self.reject()
            return NOTHING
        if mtype == ACK and exchange.number & 0xFFFF != message.mid:
            return UNMATCHED
        self.exchange = exchange
        if exchange.binding is not None and not self.security.unprotect_response(self):
            return NOTHING
        return RESPONSE

    def _receive_empty(self, mtype):
        if mtype == CON:
            self.send_reset()  # section 4.3: a ping
            return NOTHING
        exchange = self._by_number.get(self._number)
        if (
            mtype != NON
            and exchange is not None
            and exchange.state != QUEUED
            and self._is_from_peer(exchange)
        ):
            if mtype == ACK:
                self._acknowledged(exchange)
                return NOTHING
            # Anybody on the way can send a Reset: it ends nothing that is protected. A peer that
            # wants no notification acknowledges none, either.
            if exchange.binding is None and self._n_unmatched < _MAX_UNMATCHED:
                self._finish(exchange, RESET)
                self.exchange = exchange
                return REJECTED
            # Somebody guesses message IDs, perhaps with the address of the peer.
            self.count("reset_ignored")
            return NOTHING
        self._n_unmatched += mtype == RST
        self.count("unmatched_empty")
        return NOTHING

    def _is_from_peer(self, message):
        """Whether the message just received comes from the peer of an Exchange or an Incoming."""
        if message.transport != self.transport:
            return False
        remote = self.remote
        return message.remote == remote or self.same_peer(message.remote, remote)

    def _is_duplicate(self, now):
        """Whether the message was seen before: it gets the same reply again (section 4.5).

        A peer that has restarted without a source of randomness may begin with the same message
        ID: with another token it is another message.
        """
        incoming = self._incoming[self._number]
        while incoming.token != self._token or not self._is_from_peer(incoming):
            incoming = incoming.next
            if incoming is None:
                return False
        if not incoming.open and diff(now, incoming.expires_at) >= 0:
            self.forget(incoming)
            return False  # that was so long ago that this is another message
        self.count("duplicate")
        if incoming.reply is not None:
            self.send(self.transport, incoming.reply, self.remote)
        return True

    def accept(self, now, observing=False):
        """Accept the message that `receive` has just announced.

        A REQUEST gives an Incoming, to be answered with `respond`, or None when as many are
        open as are remembered. A RESPONSE is acknowledged if it is confirmable, and ends its
        exchange unless it is `observing`.
        """
        message = self.message
        exchange = self.exchange
        incoming = None
        if message.mtype == CON or message.mtype == NON:
            incoming = self._remember(now)
        if exchange is None:
            if incoming is not None:
                if message.find(NO_RESPONSE) >= 0:
                    incoming.unwanted = message.uint(NO_RESPONSE, 0)
                if self.binding is not None:
                    incoming.binding = self.binding
                    self.security.accepted_request(incoming.binding)
            return incoming
        if exchange.binding is not None:
            self.security.accepted_response(exchange)
        if message.mtype == CON:
            reply = self.send_ack()
            if incoming is not None:
                self._keep(incoming, reply)
        if incoming is not None:
            self.close(incoming)
        if not observing:
            self._finish(exchange, DONE)
        elif exchange.state != OBSERVING:
            self._stop(exchange, OBSERVING)
        return incoming

    def close(self, incoming):
        """A request needs no response any more: it may be forgotten to make room."""
        if incoming.open:
            try:
                self.answered.append(incoming)
                incoming.open = False
            except MemoryError:
                self.forget(incoming)

    def forget(self, incoming):
        """Forget a message of a peer: its duplicate is taken for another message."""
        number = incoming.number
        if number is None:
            return
        if incoming.reply is not None:
            self._replies_size -= len(incoming.reply)
            incoming.reply = None
        if incoming.open:
            incoming.open = False
        else:
            self.answered.remove(incoming)
        first = self._incoming[number]
        if first is not incoming:
            while first.next is not incoming:
                first = first.next
            first.next = incoming.next
        elif incoming.next is None:
            del self._incoming[number]
        else:
            self._incoming[number] = incoming.next
        if incoming.next is not None:
            incoming.next = None
        incoming.number = None
        self.n_incoming -= 1

    def _remember(self, now):
        """Remember the message just received, and give its Incoming; None: there is no room."""
        while self.answered and (
            self._replies_size > self.max_replies_size or self.n_incoming >= self.max_incoming
        ):
            self.forget(self.answered[0])
        if self.n_incoming >= self.max_incoming:
            return None
        number = self._number
        incoming = Incoming(self.transport, self.remote, number, self._token)
        if self.message.mtype == CON:
            incoming.expires_at = add(now, self.parameters.exchange_lifetime_ms)
        else:
            incoming.confirmable = False
            incoming.expires_at = add(now, self.parameters.non_lifetime_ms)
        same = self._incoming.get(number)
        if same is not None:
            incoming.next = same
        self._incoming[number] = incoming
        self.n_incoming += 1
        return incoming

    def step(self, now):
        """Let time pass: an exchange that has just timed out, or None.

        It has waited MAX_TRANSMIT_WAIT (section 4.8.2).
        """
        if self._purge_at is None or diff(now, self._purge_at) >= 0:
            self._purge(now)
        if self._alarm_at is None or diff(now, self._alarm_at) < 0:
            return None
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

    def _purge(self, now):
        """Forget the incoming messages that have expired, before their moments wrap around."""
        self._purge_at = add(now, _PURGE_MS)
        answered = self.answered
        for i in range(len(answered) - 1, -1, -1):
            if diff(now, answered[i].expires_at) >= 0:
                self.forget(answered[i])
        self._n_unmatched = 0

    def drop_half_done(self, pending=()):
        """Drop what is in some of the tables only, after a MemoryError.

        pending: objects whose `incoming` is still to be answered; all others are forgotten, so
        that what the peer repeats is a new message.
        """
        self.drop_half_started()
        while self._drop_abandoned(pending):
            pass

    def _drop_abandoned(self, pending):
        """Forget one open message that nothing is to answer; takes no heap."""
        for number in self._incoming:
            incoming = self._incoming[number]
            while incoming is not None:
                if incoming.open:
                    for one in pending:
                        if one.incoming is incoming:
                            break
                    else:
                        self.forget(incoming)
                        return True
                incoming = incoming.next
        return False

    def _keep(self, incoming, reply):
        """Keep the reply to a message for its duplicates; None: no longer."""
        if incoming.number is None:
            return  # it was forgotten meanwhile
        if incoming.reply is not None:
            self._replies_size -= len(incoming.reply)
        if reply is not None:
            self._replies_size += len(reply)
        incoming.reply = reply

    def reject(self, silent=False):
        """Reject the message just received: it cannot be processed.

        A confirmable one gets a Reset (section 4.2), unless `silent`. A notification always gets
        one: nothing else ends it (RFC 7641 section 3.6).
        """
        message = self.message
        mtype = message.mtype
        if (mtype == CON and not silent) or (mtype != ACK and message.find(OBSERVE) >= 0):
            self.send_reset()

    def send_reset(self):
        """Send a Reset for the message just received."""
        mid = self.message.mid
        self.send(self.transport, bytes((0x70, 0, mid >> 8, mid & 0xFF)), self.remote)

    def send_ack(self):
        """Send an empty acknowledgement of the message just received; give its bytes."""
        mid = self.message.mid
        datagram = bytes((0x60, 0, mid >> 8, mid & 0xFF))
        self.send(self.transport, datagram, self.remote)
        return datagram

    def send(self, transport, datagram, remote):
        """Send a datagram that needs no timer; it is dropped when the outbox is full."""
        if len(self.outbox) >= _OUTBOX_SIZE:
            self.count("outbox_full")
            return
        self.outbox.append((transport, datagram, remote))


class Role:
    """Interface: what works with an Endpoint and is driven by its verbs.

    receive, step and transmit raise nothing for want of memory: what they were doing is lost, and
    counted under `no_memory`. A subclass does the work in `handle_message`, `handle_timeout` and
    `run_due`, and `drop_half_done` repairs its tables, of which one may have an entry that another
    one lacks.
    reserve_size: bytes of heap that are kept for that. own: a Role on the same endpoint, for the
    configuration of the node itself, or None.
    """

    def __init__(self, endpoint, reserve_size=0):
        self.endpoint = endpoint
        self.own = None
        self.counters = endpoint.counters
        self._n_lost = 0  # not counted yet: that takes memory, too
        self._reserve_size = reserve_size
        self._reserve = bytearray(reserve_size)

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        try:
            kind = self.endpoint.receive(transport, datagram, remote, now)
            if kind != NOTHING:
                self.handle_message(kind, now)
        except MemoryError:
            self.lose(now)

    def step(self, now):
        """The clock has moved."""
        try:
            self._run(now)
        except MemoryError:
            self.lose(now)
        if self._reserve is None:
            self._recover(now)

    def _run(self, now):
        """Handle time-outs first: what ends now gives its memory back."""
        exchange = self.endpoint.step(now)
        while exchange is not None:
            self.handle_timeout(exchange, now)
            exchange = self.endpoint.step(now)
        self.run_due(now)
        if self.own is not None:
            self.own.run_due(now)

    def transmit(self, now):
        """(transport, datagram, remote) to send, or None."""
        try:
            return self.endpoint.transmit(now)
        except MemoryError:
            self.lose(now)
            return None

    def lose(self, now):
        """There was no memory for something: count it, and drop what is half done."""
        self._n_lost += 1
        self._recover(now)

    def _recover(self, now):
        """Repair the tables, and take the reserve again."""
        self._reserve = None
        try:
            if self._n_lost:
                self.drop_half_done(now)
                counters = self.counters
                counters["no_memory"] = counters.get("no_memory", 0) + self._n_lost
                self._n_lost = 0
            self._reserve = bytearray(self._reserve_size)
        except MemoryError:
            pass  # the next step tries again

    def handle_message(self, kind, now):
        """The endpoint has received what `kind` says; it is not NOTHING."""

    def handle_timeout(self, exchange, now):
        """An exchange has timed out."""

    def run_due(self, now):
        """Do what is due at this moment, apart from the endpoint's timers."""

    def drop_half_done(self, now):
        """The heap was full in the middle of something: drop it, and leave no half entries."""
