"""What one check has sent and what came: the evidence of its row."""

import secrets

from msgin5g_tools.conform.check import Failure
from msgin5g_tools.conform.wire import (
    ACK,
    CON,
    EMPTY,
    GET,
    RST,
    URI_PATH,
    URI_QUERY,
    Message,
    code_text,
    in_words,
)

_MAX_EVIDENCE = 40  # messages of a row that are kept


class Case:
    """The base of each role's case. bench: what all checks of a run share."""

    def __init__(self, bench):
        self.bench = bench
        self.profile = bench.profile
        self.sent = []
        self.came = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    def new_token(self):
        return secrets.token_bytes(6)

    def new_mid(self):
        return self.bench.new_mid()

    def send(self, station, message, remote):
        """Send a Message, or bytes that are none, and keep it as evidence."""
        if isinstance(message, bytes):
            self._keep(self.sent, "bytes " + message.hex())
            station.send(message, remote)
            return
        self._keep(self.sent, in_words(message, self.profile.recipient_option))
        station.send(message.encode(), remote)

    def take(self, arrival):
        """Keep an Arrival, or None, as evidence; its Message."""
        if arrival is None:
            self._keep(self.came, "nothing")
            return None
        if arrival.message is None:
            self._keep(self.came, f"bytes {arrival.datagram.hex()}")
            raise Failure(f"what came is no CoAP message: {arrival.fault}")
        self._keep(self.came, in_words(arrival.message, self.profile.recipient_option))
        return arrival.message

    def say(self, text):
        """Evidence in words, for what did not come."""
        self._keep(self.came, text)

    def get(self, path, queries=(), options=(), **how):
        """A GET of the configuration management API."""
        values = {"type": CON, "code": GET, "mid": self.new_mid(), "token": self.new_token()}
        made = [(URI_PATH, part.encode()) for part in path]
        made += [(URI_QUERY, item.encode() if isinstance(item, str) else item) for item in queries]
        return Message(**{**values, **how}, options=[*made, *options])

    @staticmethod
    def _keep(evidence, text):
        if len(evidence) < _MAX_EVIDENCE:
            evidence.append(text)


def empty(kind, mid):
    """An empty message: ACK, RST, or CON for a ping."""
    return Message(kind, EMPTY, mid)


def require(condition, text):
    """Failure unless this holds."""
    if not condition:
        raise Failure(text)


def require_code(message, *codes):
    """Failure unless the message has one of these codes."""
    if message.code not in codes:
        wanted = " or ".join(map(code_text, codes))
        raise Failure(f"{code_text(message.code)} in place of {wanted}")


def is_ack_of(mid):
    """For Station.next: an ACK of this message ID, with or without a response."""
    return lambda arrival: _is_of(arrival, ACK, mid)


def is_reset_of(mid):
    """For Station.next: a Reset of this message ID."""
    return lambda arrival: _is_of(arrival, RST, mid)


def _is_of(arrival, kind, mid):
    message = arrival.message
    return message is not None and (message.type, message.mid) == (kind, mid)


def is_reply_to(mid, token):
    """For Station.next: anything that answers this message: same message ID, or same token."""

    def wanted(arrival):
        message = arrival.message
        if message is None:
            return len(arrival.datagram) > 3 and arrival.datagram[2:4] == mid.to_bytes(2, "big")
        if message.type in (ACK, RST) and message.mid == mid:
            return True
        return message.is_response and message.token == token

    return wanted


def is_response_with(token):
    """For Station.next: a response with this token, whatever its type."""
    return lambda arrival: (
        arrival.message is not None
        and arrival.message.is_response
        and arrival.message.token == token
    )
