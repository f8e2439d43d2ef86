"""The constrained UE with MSGin5G Client (TS 24.538 6.2.2.2).

It asks for its configuration through its next hop, offers what it receives to the configuration
manager, and asks again: before the configuration gets too old if all is well (with its ETag, or
as an observer that receives notifications), and after a growing delay if not (see Backoff).
"""

from binascii import hexlify

from micropython import const

from msgin5g.coap import numbers
from msgin5g.coap.endpoint import (
    NOTHING,
    REJECTED,
    REQUEST,
    RESPONSE,
    UNMATCHED,
    Endpoint,
    Role,
)
from msgin5g.coap.text import code_text
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.config.schema import redact
from msgin5g.scm.client import ScmClient
from msgin5g.scm.request import scm_request_of

_MAX_EVENTS = const(16)
_OUT_OF_MEMORY_MS = const(60000)  # until the next fetch
_FULL_MS = const(1000)  # until the next attempt on a shared endpoint that has no room


class ConstrainedUe(Role):
    """A UE that keeps itself configured.

    settings: Settings. random: a function that gives a random byte. configuration: the
    ConfigurationManager. transport, remote: the next hop; None while its address is not known, and
    then nothing is asked. endpoint: one that is shared with another role, which then passes its
    exchanges to `handle_exchange`. events: those not polled yet, the oldest first. observe,
    refresh_min_s, refresh_max_s, probing_rate: as in settings. report: a RefusalReport, or None.
    """

    def __init__(self, settings, random, configuration, remote, now, transport=0, endpoint=None):
        if endpoint is None:
            endpoint = Endpoint(
                random,
                {},
                settings.parameters,
                settings.peer_key,
                3,
                4,
                numbers.MAX_MESSAGE_SIZE,
                32,
            )
        super().__init__(endpoint)
        ue_id = settings.ue_id.encode()
        queries = []
        if settings.ue_vendor:
            queries.append(b"ue-vendor=" + settings.ue_vendor.encode())
        if settings.ue_type:
            queries.append(b"ue-type=" + settings.ue_type.encode())
        if settings.ue_snr:
            queries.append(b"ue-snr=" + settings.ue_snr.encode())
        request = scm_request_of(settings, [ue_id], queries)
        self.client = ScmClient(endpoint, transport, remote, request, ue_id, settings)
        if configuration.etag and not settings.observe:
            # What is stored may be the newest still: 2.03 says so in a few bytes. Who observes
            # needs the document itself, whose ID is in no ETag.
            self.client.etag = configuration.etag
        self.report = None
        if settings.report_refused:
            from msgin5g.scm.refusal_report import RefusalReport

            self.report = RefusalReport(self.client)
        self.configuration = configuration
        self.events = []
        self.n_timeouts = 0  # fetches that the next hop has not answered
        self.observe = settings.observe
        self.refresh_min_s = settings.refresh_min_s
        self.refresh_max_s = settings.refresh_max_s
        self.probing_rate = settings.probing_rate
        self._backoff = Backoff(settings, random)
        # A thousand boards that one switch powers on do not ask in the same second.
        chance = (random() << 8 | random()) >> 6
        self._fetch_at = add(now, settings.start_delay_s * 125 * chance >> 7)  # None: stopped
        self._collection_at = now  # when the collection is to be asked for again

    # The verbs, see Role, and the events

    def handle_message(self, kind, now):
        if kind == REQUEST:
            self.endpoint.count("request_to_ue")  # a UE serves nothing
            self.endpoint.reject()
        elif kind == UNMATCHED:
            self.endpoint.count("unmatched_response")
            self.endpoint.reject(not self.client.is_recipient(self.endpoint.message))
        else:
            self.handle_exchange(kind, self.endpoint.exchange, now)

    def handle_timeout(self, exchange, now):
        self.handle_exchange(NOTHING, exchange, now)

    def run_due(self, now):
        event = self.configuration.step(now)
        if event is not None:
            self._emit_of(event, self.configuration.etag)
            if event[0] == "refused" and self.configuration.try_again:
                self._fail(None, now)
        fetch_at = self._fetch_at
        client = self.client
        if client.remote is None:
            return
        if fetch_at is not None and not client.busy and diff(now, fetch_at) >= 0:
            # Conditional only if the ETag is that of the configuration that runs: not of one
            # that was refused or rolled back.
            observe = self.observe
            if not client.is_named and diff(now, self._collection_at) >= 0:
                observe = False  # a document may name this UE now
            if self.report is not None and self.report.attach():
                observe = False
            if not client.fetch(observe, client.etag == self.configuration.etag):
                self._fetch_at = add(now, _FULL_MS)

    def drop_half_done(self, now):
        # Only time is lost: a message that was not accepted is repeated by the peer, and
        # everything else is asked for again.
        self.endpoint.drop_half_done()
        self.drop_half_fetched(now)

    def drop_half_fetched(self, now):
        """As `drop_half_done`, apart from the endpoint."""
        self.client.drop_half_done()
        fetch_at = self._fetch_at
        if fetch_at is not None and not self.client.busy and diff(now, fetch_at) >= 0:
            self._fetch_in(_OUT_OF_MEMORY_MS, now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        return shorter(self.endpoint.wait_ms(now), self.own_wait_ms(now))

    def own_wait_ms(self, now):
        """As `wait_ms`, apart from the endpoint's timers."""
        wait = self.configuration.wait_ms(now)
        if self.events:
            return 0
        client = self.client
        if client.busy or client.remote is None or self._fetch_at is None:
            return wait
        return shorter(wait, max(diff(self._fetch_at, now), 0))

    def poll(self):
        """The oldest event not polled yet, as a dict with the key "event", or None."""
        return self.events.pop(0) if self.events else None

    # Requests of the application or of a person

    def set_next_hop(self, remote, now):
        """The next hop has this address; whatever is asked from now on goes there.

        An observation at another address gets no notifications any more: ask again.
        """
        client = self.client
        if client.remote is not None and self._fetch_at is not None:
            self._fetch_at = now
        client.remote = remote

    def fetch(self, now):
        """Ask for the configuration now, whatever the schedule says."""
        self._fetch_at = now

    def stop(self):
        """Deregister before the node goes to sleep or away; what is queued is to be sent.

        After that nothing is asked until `fetch`.
        """
        self._fetch_at = None
        self.client.stop()

    # Outcomes

    def handle_exchange(self, kind, exchange, now):
        """The endpoint has a RESPONSE or a Reset (REJECTED) for an exchange, or it has timed out
        (NOTHING). Exchanges of others are left alone."""
        client = self.client
        if exchange.owner is not client:
            return
        if kind == RESPONSE:
            outcome = client.response(now)
        else:
            outcome = client.no_response(exchange, kind == REJECTED)
        if outcome is not None:
            self._conclude(outcome, now)

    def _conclude(self, outcome, now):
        """Offer a configuration, emit an event, and schedule the next fetch."""
        client = self.client
        kind = outcome.kind
        code = outcome.code
        report = self.report
        if report is not None and report.ended(outcome):
            self._fetch_in(0, now)
            return
        if kind == "configuration":
            event = self.configuration.offer(outcome.texts, outcome.etag or b"", now)
            if event[0] == "postponed":
                self.endpoint.count("postponed")
            else:
                self._emit_of(event, outcome.etag)
            if report is None:
                pass
            elif event[0] == "refused":
                report.refused(outcome.texts, outcome.etag, event[1])
            else:
                report.accepted(event[0] == "unchanged")
            if event[0] == "refused" and self.configuration.try_again:
                self._fail(None, now)
            else:
                self._succeed(outcome, now)
        elif kind == "unchanged":
            self._emit({"event": "unchanged", "etag": _hex(outcome.etag)})
            self._succeed(outcome, now)
        elif kind == "paused":
            self._fetch_in(self._backoff.delay_ms(outcome.max_age_s), now)
        elif kind == "refused":
            self._emit({"event": "refused", "reasons": [outcome.detail]})
            if report is not None:
                report.refused((), None, (outcome.detail,))
            self._fail(None, now)
        elif kind == "timeout" or code == numbers.GATEWAY_TIMEOUT:
            # 5.04: the next hop has waited as long as this UE would have waited itself.
            self.n_timeouts += kind == "timeout"
            self._emit({"event": "timeout"})
            self._fail(None, now)
        else:
            self._emit(
                {
                    "event": "rejected",
                    "code": code_text(code),
                    "title": outcome.title,
                    "detail": outcome.detail,
                }
            )
            if code == numbers.NOT_FOUND:
                # Another document may have taken the place of an individual one: only a 4.04 for
                # the collection means that there is none for this UE.
                event = None if client.individual else self.configuration.document_deleted(now)
                if event is not None:
                    self._emit_of(event, None)
                client.forget()
            # 4.29 (RFC 8516) and 5.03 say with Max-Age when the server wants to be asked again.
            busy = code == numbers.TOO_MANY_REQUESTS or code == numbers.SERVICE_UNAVAILABLE
            self._fail(outcome.max_age_s if busy else None, now)

    def _succeed(self, outcome, now):
        """The server has answered: ask again before the configuration gets too old."""
        self._backoff.reset()
        client = self.client
        if not client.individual:
            self._collection_at = add(now, self.refresh_max_s * 1000)
            if self.observe and client.document_id and not client.observing:
                self._fetch_in(0, now)  # the document is known now: register for notifications
                return
        seconds = min(max(outcome.max_age_s, self.refresh_min_s), self.refresh_max_s)
        # A tenth before Max-Age ends; that also satisfies RFC 7641 section 3.3.1.
        self._fetch_in(seconds * 900, now)

    def _fail(self, max_age_s, now):
        """Ask again after the back-off, or after the seconds that the server asks for."""
        if self._fetch_at is None:
            return
        delay_ms = self._backoff.delay_ms(max_age_s)
        # PROBING_RATE, RFC 7252 section 4.7: the bytes a second to a peer that does not answer.
        probing_ms = self.client.unanswered_size * 1000 // self.probing_rate
        delay_ms = max(delay_ms, probing_ms - self.endpoint.parameters.max_transmit_wait_ms)
        self._fetch_in(delay_ms, now)
        self._emit({"event": "backing_off", "seconds": (delay_ms + 500) // 1000})

    def _fetch_in(self, delay_ms, now):
        """Schedule the next fetch, unless `stop` was called."""
        if self._fetch_at is not None:
            self._fetch_at = add(now, delay_ms)

    def _emit_of(self, event, etag):
        """Emit an event of the configuration manager."""
        name, reasons = event
        event = {"event": name}
        if name in ("applied", "unchanged", "refused"):
            event["etag"] = _hex(etag)
        if name == "applied":
            event["configuration"] = redact(self.configuration.configuration)
        elif name != "unchanged":
            event["reasons"] = list(reasons)
        self._emit(event)

    def _emit(self, event):
        """Keep an event, a dict, until it is polled."""
        if len(self.events) >= _MAX_EVENTS:
            self.events.pop(0)
            self.endpoint.count("events_lost")
        self.events.append(event)


class Backoff:
    """When to ask again after a failure, above CoAP's own retransmission.

    The delay is retry_first_s, and twice as long after every failure, up to retry_max_s. It is
    spread by retry_jitter_percent, but never beyond retry_max_s; the three are settings.
    """

    def __init__(self, settings, random):
        self.random = random
        self.retry_first_s = settings.retry_first_s
        self.retry_max_s = settings.retry_max_s
        self.retry_jitter_percent = settings.retry_jitter_percent
        self._n_failures = 0  # since the last success

    def reset(self):
        """A fetch has succeeded: the next delay is the first one again."""
        self._n_failures = 0

    def delay_ms(self, max_age_s=None):
        """How long to wait after a failure.

        max_age_s: the time that the server asks for, Max-Age of 4.29 (RFC 8516) or of 5.03 (RFC
        7252 section 5.9.3.4), or None. It is kept and only ever lengthened, up to a day; it does
        not count as a failure.
        """
        if max_age_s is not None:
            # The jitter separates UEs that were given the same number of seconds.
            seconds = min(max(max_age_s, 1), 86400)
            return seconds * 1000 + self._within_ms(min(seconds * 250, 30000))
        seconds = self.retry_first_s
        max_s = self.retry_max_s
        n = self._n_failures
        self._n_failures += 1
        while n and seconds < max_s:
            n -= 1
            seconds *= 2
        seconds = min(seconds, max_s)
        half_ms = seconds * 5 * self.retry_jitter_percent
        wait_ms = seconds * 1000 - half_ms + self._within_ms(2 * half_ms)
        return min(wait_ms, 2000 * max_s - wait_ms)  # mirror what is beyond the longest delay

    def _within_ms(self, ms):
        """A random time from 0 to ms."""
        # In steps of 1/4096: the product stays below 2**30 for spans of up to 4 minutes, and
        # longer ones are divided first.
        chance = (self.random() << 8 | self.random()) >> 4
        if ms < 262144:
            return ms * chance >> 12
        return (ms >> 12) * chance


def _hex(data):
    """Bytes as a hex string, None as None."""
    return None if data is None else hexlify(data).decode()
