"""The side of an endpoint that answers: piggybacked and separate responses, notifications, blocks.

RFC 7252 sections 5.2.1 to 5.2.3, RFC 7641 section 4.
"""

from micropython import const

from msgin5g.coap.endpoint import Endpoint
from msgin5g.coap.message import datagram_of
from msgin5g.coap.numbers import ACK, NON
from msgin5g.coap.retransmission import CANCELLED, Exchange, set_header
from msgin5g.coap.ticks import diff

_RESERVED_SZX = const(7)  # RFC 7959 section 2.2
_CONFIRM_MS = const(43200000)


class ServerEndpoint(Endpoint):
    """An endpoint that answers requests too: those that `accept` gave an Incoming for."""

    def acknowledge(self, incoming):
        """Acknowledge a request now; its response will be a separate one (section 5.2.2)."""
        if incoming.confirmable and not incoming.acknowledged:
            incoming.acknowledged = True
            mid = incoming.number & 0xFFFF
            reply = bytes((0x60, 0, mid >> 8, mid & 0xFF))
            self._keep(incoming, reply)
            self.send(incoming.transport, reply, incoming.remote)

    def overhead(self):
        """How many bytes protection adds to a message, at most.

        No property: with one, MicroPython looks up each store into an endpoint in its classes.
        """
        return 0 if self.security is None else self.security.overhead

    def take(self):
        """Take the request that `receive` has just announced: a replay of it is not announced.

        For a caller that remembers requests itself, in place of `accept`. Gives what binds the
        request to its responses, None when it is not protected.
        """
        if self.binding is not None:
            self.security.accepted_request(self.binding)
        return self.binding

    def respond(self, incoming, code, options, payload, owner=None, observing=False):
        """Answer a request: on its acknowledgement, separately, or non-confirmably.

        Gives what send_response gives.
        """
        datagram = self._response(incoming, code, options, payload)
        return self.send_response(incoming, code, datagram, owner, observing)

    def send_response(self, incoming, code, datagram, owner, observing):
        """Answer a request with a message that has no type and message ID yet.

        A separate response to a confirmable request is an exchange of its own (section 5.2.2),
        which is given, and so is a non-confirmable one after which more will come (observing):
        its Reset ends them, but where they are protected. Otherwise None. code: of the response,
        which may be protected in the datagram; that is None where it cannot be sent.
        """
        exchange = None
        if incoming.unwanted >> ((code >> 5) - 1) & 1:
            self.acknowledge(incoming)  # RFC 7967 section 2.1: the message, not the request
        elif datagram is None:
            pass
        elif incoming.acknowledged:
            exchange = self._start(incoming, datagram, owner, True)
        elif incoming.confirmable:
            self._keep(incoming, datagram)
            self._send(incoming, datagram, ACK, incoming.number)
        elif observing and not incoming.unwanted:
            exchange = self._start(incoming, datagram, owner, False)
        else:
            self._keep(incoming, datagram)
            self._send(incoming, datagram, NON, self.next_number(incoming.remote))
        self.close(incoming)  # now that there was memory for it
        return exchange

    def notify(
        self,
        incoming,
        code,
        options,
        payload,
        owner,
        confirmable=True,
        former=None,
        observing=False,
    ):
        """Send a further response to a request (RFC 7641 section 4.2); an exchange or None."""
        datagram = self._response(incoming, code, options, payload)
        return self.send_notification(incoming, datagram, owner, confirmable, former, observing)

    def send_notification(self, incoming, datagram, owner, confirmable, former, observing):
        """Send a further response to a request; an exchange or None. See `send_response`.

        former: the exchange of the previous response, or None. While that is not acknowledged
        only the new one is retransmitted, but the time for an acknowledgement runs on (section
        4.5.2), and the new one is confirmable, too: a peer that has gone is noticed even if
        notifications are frequent. The owner cancels the exchange.
        """
        if datagram is None:
            return None
        is_pending = False
        if former is not None:
            self.cancel(former)
            is_pending = former.confirmable and former.state == CANCELLED
        if is_pending:
            confirmable = True
        if confirmable or observing:
            exchange = self._start(incoming, datagram, owner, confirmable)
            if exchange and is_pending:
                exchange.expires_at = former.expires_at
            return exchange
        self._send(incoming, datagram, NON, self.next_number(incoming.remote))
        return None

    def _response(self, incoming, code, options, payload):
        """A response to a request as it is sent; None when that is not possible."""
        if incoming.binding is not None:
            protected = self.security.protect_response(
                self, incoming.binding, code, options, payload
            )
            if protected is None:
                return None
            code, options, payload = protected
        datagram = datagram_of(self.max_size, code, incoming.token, options, payload)
        if datagram is None:
            self.count("too_large")
        return datagram

    def _start(self, incoming, datagram, owner, confirmable):
        """Start the exchange of a response."""
        exchange = Exchange(incoming.transport, incoming.remote, datagram, owner)
        if not confirmable:
            exchange.confirmable = False
        if incoming.binding is not None:
            exchange.binding = incoming.binding
        return self.start(exchange)

    def _send(self, incoming, datagram, mtype, number):
        """Send a response that needs no timer."""
        set_header(datagram, mtype, number & 0xFFFF)
        self.send(incoming.transport, datagram, incoming.remote)

    def forget_peer(self, transport, remote):
        """Forget the messages under way with a peer that has gone.

        Observations of ours at the peer are their owners' to cancel.
        """
        for exchange in self.exchanges[:]:
            if exchange.transport == transport and self.same_peer(exchange.remote, remote):
                self.cancel(exchange)
        for message in list(self._incoming.values()):
            while message is not None:
                following = message.next
                if message.transport == transport and self.same_peer(message.remote, remote):
                    self.forget(message)
                message = following
        self.outbox = [
            o for o in self.outbox if o[0] != transport or not self.same_peer(o[2], remote)
        ]


def must_confirm(confirmed_at, now):
    """Whether the next notification must be confirmable, whatever the others are.

    RFC 7641 section 4.5: at least one in 24 hours is, so that a peer that has gone is noticed.
    confirmed_at: when the last one was sent, or the observation began.
    """
    return not 0 <= diff(now, confirmed_at) < _CONFIRM_MS


def cut(block2, body_size, max_szx):
    """(start, end, Block2 value) of the block that a request asks for (RFC 7959).

    block2: the value in the request, or None. max_szx: of the largest block to give. The value
    is None when the block is the whole body. None in place of the tuple when the block lies
    past the end, or its size is the reserved one (RFC 7959 section 2.4: 4.00).
    """
    start = 0
    szx = max_szx
    if block2 is not None:
        szx = block2 & 7
        if szx == _RESERVED_SZX:
            return None
        start = (block2 >> 4) << (szx + 4)
        if start and start >= body_size:
            return None
        szx = min(szx, max_szx)
    end = min(start + (16 << szx), body_size)
    if not start and end == body_size:
        return start, end, None
    more = 8 if end < body_size else 0
    return start, end, start >> (szx + 4) << 4 | more | szx
