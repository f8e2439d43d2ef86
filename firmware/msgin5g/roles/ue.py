"""The constrained UE with MSGin5G Client (TS 24.538 6.2.2.2).

It asks for its configuration through its next hop, offers what it gets to the configuration
store, and asks again: after a while when all is well (with the ETag of what it holds, or as an
observer who is told), later and later when it is not.
"""

from binascii import hexlify

from micropython import const

from msgin5g.seal.scm_client import (  # first: from source it takes the most heap to compile
    CONFIGURATION,
    PAUSED,
    REFUSED,
    REJECTED,
    TIMEOUT,
    UNCHANGED,
    ScmClient,
)

from msgin5g.coap.endpoint import REJECTED as RESET_RECEIVED
from msgin5g.coap.endpoint import REQUEST, RESPONSE, UNMATCHED, Endpoint
from msgin5g.coap.message import code_text
from msgin5g.coap.numbers import (
    GATEWAY_TIMEOUT,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
)
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.roles.retry import Backoff
from msgin5g.seal.resources import ConfigurationResource
from msgin5g.unload import unload

_MAX_EVENTS = const(16)
_MAX_SIZE = const(900)  # of a request: the longest settings, ETag and Echo take less


class ConstrainedUe:
    """A UE that keeps itself configured.

    settings: Settings. random: a function that gives a random byte. configuration: what a
    document is offered to (see configuration/lifecycle.py). link, remote: the next hop.
    endpoint: one that is shared with another role, which then passes its events to `handle`.
    """

    def __init__(self, settings, random, configuration, remote, now, link=0, endpoint=None):
        self.counters = {} if endpoint is None else endpoint.counters
        self.endpoint = endpoint or Endpoint(
            random, self.counters, settings.parameters, settings.peer_key, 3, 4, _MAX_SIZE, 32
        )
        ue_id = settings.ue_id.encode()
        queries = []
        if settings.ue_vendor:
            queries.append(b"ue-vendor=" + settings.ue_vendor.encode())
        if settings.ue_type:
            queries.append(b"ue-type=" + settings.ue_type.encode())
        resource = ConfigurationResource(
            settings.service_id,
            [ue_id],
            settings.server_recipient.encode(),
            settings.recipient_option,
            settings.content_format,
            queries,
        )
        self.client = ScmClient(self.endpoint, link, remote, resource, ue_id, settings)
        self.configuration = configuration
        self._observe = settings.observe
        self._refresh_min_s = settings.refresh_min_s
        self._refresh_max_s = settings.refresh_max_s
        self._probing_rate = settings.probing_rate
        self._backoff = Backoff(
            random, settings.retry_first_s, settings.retry_max_s, settings.retry_jitter_percent
        )
        self._events = []
        # A thousand boards that one switch powers on do not ask in the same second.
        self._fetch_at = add(now, self._backoff.within_ms(settings.start_delay_s * 1000))

    # The four verbs, and what there is to tell

    def receive(self, link, datagram, remote, now):
        """One datagram has arrived."""
        kind = self.endpoint.receive(link, datagram, remote, now)
        if kind == REQUEST:
            self.endpoint.count("request_to_ue")  # a UE serves nothing
        elif kind == UNMATCHED:
            self.endpoint.count("unmatched_response")
        elif kind:
            self.handle(kind, now)

    def handle(self, kind, now):
        """The endpoint reports something about an exchange of ours."""
        exchange = self.endpoint.exchange
        if exchange.owner is not self.client:
            return
        if kind == RESPONSE:
            self._conclude(self.client.response(now), now)
        elif kind == RESET_RECEIVED:
            self._conclude(self.client.rejected(exchange), now)

    def step(self, now):
        """The clock has moved."""
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            self.timed_out(exchange, now)
        self.tick(now)

    def timed_out(self, exchange, now):
        """An exchange has timed out; others than ours are left alone."""
        if exchange.owner is self.client:
            self._conclude(self.client.timed_out(exchange), now)

    def tick(self, now):
        """Do what is due, apart from the endpoint's timers."""
        event = self.configuration.step(now)
        if event is not None:
            self._tell({"event": event[0], "reasons": list(event[1])})
        fetch_at = self._fetch_at
        client = self.client
        if fetch_at is not None and not client.busy and diff(now, fetch_at) >= 0:
            # With the ETag only of what runs, not of what was refused or rolled back.
            if not client.fetch(self._observe, client.etag == self.configuration.etag):
                self._fetch_at = add(now, 1000)  # a shared endpoint is full for the moment

    def transmit(self, now):
        """(link, datagram, remote) to send, or None."""
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        return shorter(self.endpoint.wait_ms(now), self.own_wait_ms(now))

    def own_wait_ms(self, now):
        """As `wait_ms`, apart from the endpoint's timers."""
        wait = self.configuration.wait_ms(now)
        if self._events:
            return 0
        if self.client.busy or self._fetch_at is None:
            return wait
        return shorter(wait, max(diff(self._fetch_at, now), 0))

    def poll(self):
        """The oldest event not yet told, as a dict with the key "event", or None."""
        return self._events.pop(0) if self._events else None

    # What the application or a person may ask for

    def fetch(self, now):
        """Ask for the configuration now, whatever the schedule says."""
        self._fetch_at = now

    def stop(self):
        """Deregister before the node goes to sleep or away; what is queued is to be sent.

        After that nothing is asked until `fetch`.
        """
        self._fetch_at = None
        self.client.stop()

    # What becomes of an outcome

    def _conclude(self, outcome, now):
        if outcome is None:
            return
        kind = outcome.kind
        if kind == CONFIGURATION:
            self._offer(outcome, now)
        elif kind == PAUSED:
            if self._fetch_at is not None:
                self._fetch_at = add(now, self._backoff.failure_ms(outcome.max_age_s))
        elif kind == UNCHANGED:
            self._tell({"event": "unchanged", "etag": hexadecimal(outcome.etag)})
            self._succeed(outcome, now)
        elif kind == REFUSED:
            self._tell({"event": "refused", "reasons": [outcome.detail]})
            self._fail(None, now)
        elif kind == TIMEOUT or outcome.code == GATEWAY_TIMEOUT:
            # 5.04: the hop has waited for us as long as we would have waited ourselves.
            self._tell({"event": "timeout"})
            self._fail(None, now)
        elif kind == REJECTED:
            if outcome.code == NOT_FOUND:
                self.client.forget()  # the individual document may be gone, another be there
            self._tell(
                {
                    "event": "rejected",
                    "code": code_text(outcome.code),
                    "title": outcome.title,
                    "detail": outcome.detail,
                }
            )
            asked = outcome.code in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE)
            self._fail(outcome.max_age_s if asked else None, now)

    def _offer(self, outcome, now):
        name, reasons = self.configuration.offer(outcome.data, outcome.etag or b"", now)
        event = {"event": name, "etag": hexadecimal(outcome.etag)}
        if reasons:
            event["reasons"] = list(reasons)
        elif name == "applied":
            from msgin5g.configuration.public import public

            event["configuration"] = public(self.configuration.configuration)
            unload("configuration.public")
        self._tell(event)
        self._succeed(outcome, now)

    def _succeed(self, outcome, now):
        """The server has answered: ask again before the answer is too old."""
        client = self.client
        self._backoff.success()
        if self._fetch_at is None:
            return
        if self._observe and client.document_id and not (client.observing or client.observe_asked):
            self._fetch_at = now
            return
        seconds = min(max(outcome.max_age_s, self._refresh_min_s), self._refresh_max_s)
        # A tenth before the age runs out, RFC 7641 section 3.3.1 being satisfied as well.
        self._fetch_at = add(now, seconds * 900)

    def _fail(self, asked_s, now):
        if self._fetch_at is None:
            return
        delay_ms = self._backoff.failure_ms(asked_s)
        # PROBING_RATE, RFC 7252 section 4.7: the bytes a second to a peer that does not answer.
        probing_ms = self.client.unanswered_size * 1000 // self._probing_rate
        delay_ms = max(delay_ms, probing_ms - self.endpoint.parameters.max_transmit_wait_ms)
        self._fetch_at = add(now, delay_ms)
        self._tell({"event": "backing_off", "seconds": (delay_ms + 500) // 1000})

    def _tell(self, event):
        if len(self._events) >= _MAX_EVENTS:
            self._events.pop(0)
            self.endpoint.count("events_lost")
        self._events.append(event)


def hexadecimal(data):
    """Bytes as a hex string, None as None."""
    return None if data is None else hexlify(data).decode()
