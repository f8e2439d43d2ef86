"""The state of the message layer: its parameters, our exchanges, and the messages of peers.

RFC 7252 sections 4.2 to 4.8.
"""

from micropython import const

# States of an Exchange. A state that means "sent" is set when the datagram has been handed out.
QUEUED = const(0)  # not sent yet: NSTART holds it back, or `transmit` was not called
SENT = const(1)  # confirmable, sent, neither acknowledged nor answered
ACKED = const(2)  # acknowledged, or non-confirmable and sent: the response is missing
OBSERVING = const(3)  # answered; more responses will come (RFC 7641)
DONE = const(4)  # answered; acknowledged, if the message has no response
RESET = const(5)  # the peer rejected it
TIMED_OUT = const(6)  # no response within MAX_TRANSMIT_WAIT
CANCELLED = const(7)  # by its owner

_MAX_LATENCY_MS = const(100000)


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


class Exchange:
    """A message of ours that waits for its acknowledgement, its response, or both.

    owner: the object that started it. token: None for a message that has no response of its own
    (a separate response, a notification, a ping).
    """

    # Attributes of the class until they change: that saves memory.
    token = None
    state = QUEUED
    datagram = None
    n_sent = 0
    expires_at = None  # from its first transmission on, as timeout_ms and retransmit_at

    def __init__(self, transport, remote, mid, confirmable, owner):
        self.transport = transport
        self.remote = remote
        self.mid = mid
        self.confirmable = confirmable
        self.owner = owner


class Incoming:
    """A confirmable or non-confirmable message of a peer that was accepted.

    reply: the datagram that its duplicates are answered with, None before the first reply.
    acknowledged: the response can no longer be piggybacked. unwanted: the classes of response
    that its sender does not want, the bits of No-Response (RFC 7967).
    """

    acknowledged = False
    unwanted = 0
    reply = None
    open = True  # no response was sent yet: it is not forgotten to make room

    def __init__(self, transport, remote, mid, token, confirmable, expires_at):
        self.transport = transport
        self.remote = remote
        self.mid = mid
        self.token = token
        self.confirmable = confirmable
        self.expires_at = expires_at
