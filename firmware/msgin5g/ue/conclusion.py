"""What a constrained UE does about an answer, or about there being none.

Apart from `ue`, whose other half it is, because it is needed for a moment only.
"""

from binascii import hexlify

from msgin5g.coap.endpoint import REJECTED as RESET_RECEIVED
from msgin5g.coap.endpoint import RESPONSE
from msgin5g.coap.message import code_text
from msgin5g.coap.numbers import (
    GATEWAY_TIMEOUT,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
)
from msgin5g.coap.ticks import add
from msgin5g.config.redact import redact
from msgin5g.ue.backoff import failure_ms
from msgin5g.scm.answer import (
    CONFIGURATION,
    PAUSED,
    REFUSED,
    REJECTED,
    TIMEOUT,
    UNCHANGED,
    forget,
    no_response,
    response,
)


def conclude(ue, kind, exchange, now):
    """An exchange of a ConstrainedUe has a response or a Reset, or neither and is over.

    kind: what the endpoint has made of the message; NOTHING when there is none.
    """
    client = ue.client
    if kind == RESPONSE:
        outcome = response(client, now)
    else:
        outcome = no_response(client, exchange, kind == RESET_RECEIVED)
    if outcome is None:
        return
    kind = outcome.kind
    if kind == CONFIGURATION:
        _offer(ue, outcome, now)
    elif kind == PAUSED:
        if ue.fetch_at is not None:
            ue.fetch_at = add(now, failure_ms(ue, outcome.max_age_s))
    elif kind == UNCHANGED:
        ue.tell({"event": "unchanged", "etag": hexadecimal(outcome.etag)})
        _succeed(ue, outcome, now)
    elif kind == REFUSED:
        ue.tell({"event": "refused", "reasons": [outcome.detail]})
        _fail(ue, None, now)
    elif kind == TIMEOUT or outcome.code == GATEWAY_TIMEOUT:
        # 5.04: the hop has waited for us as long as we would have waited ourselves.
        ue.tell({"event": "timeout"})
        _fail(ue, None, now)
    elif kind == REJECTED:
        if outcome.code == NOT_FOUND:
            forget(client)  # the individual document may be gone, another be there
        ue.tell(
            {
                "event": "rejected",
                "code": code_text(outcome.code),
                "title": outcome.title,
                "detail": outcome.detail,
            }
        )
        asked = outcome.code in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE)
        _fail(ue, outcome.max_age_s if asked else None, now)


def _offer(ue, outcome, now):
    name, reasons = ue.configuration.offer(outcome.data, outcome.etag or b"", now)
    event = {"event": name, "etag": hexadecimal(outcome.etag)}
    if reasons:
        event["reasons"] = list(reasons)
    elif name == "applied":
        event["configuration"] = redact(ue.configuration.configuration)
    ue.tell(event)
    _succeed(ue, outcome, now)


def _succeed(ue, outcome, now):
    """The server has answered: ask again before the answer is too old."""
    client = ue.client
    ue.n_failures = 0
    if ue.fetch_at is None:
        return
    if ue.observe and client.document_id and not (client.observing or client.observe_asked):
        ue.fetch_at = now
        return
    seconds = min(max(outcome.max_age_s, ue.refresh_s[0]), ue.refresh_s[1])
    # A tenth before the age runs out, RFC 7641 section 3.3.1 being satisfied as well.
    ue.fetch_at = add(now, seconds * 900)


def _fail(ue, asked_s, now):
    if ue.fetch_at is None:
        return
    delay_ms = failure_ms(ue, asked_s)
    # PROBING_RATE, RFC 7252 section 4.7: the bytes a second to a peer that does not answer.
    probing_ms = ue.client.unanswered_size * 1000 // ue.probing_rate
    delay_ms = max(delay_ms, probing_ms - ue.endpoint.parameters.max_transmit_wait_ms)
    ue.fetch_at = add(now, delay_ms)
    ue.tell({"event": "backing_off", "seconds": (delay_ms + 500) // 1000})


def hexadecimal(data):
    """Bytes as a hex string, None as None."""
    return None if data is None else hexlify(data).decode()
