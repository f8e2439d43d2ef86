"""The constrained UE with MSGin5G Client (TS 24.538 6.2.2.2).

It asks for its configuration through its next hop, offers what it gets to the configuration
store, and asks again: after a while when all is well (with the ETag of what it holds, or as an
observer who is told), later and later when it is not.
"""

import sys

from micropython import const

from msgin5g.coap.endpoint import NOTHING, REQUEST, UNMATCHED, Endpoint
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.coap.exchange import OBSERVING
from msgin5g.scm.request import ScmRequest
from msgin5g.scm.client import ScmClient
from msgin5g.unload import unload

_MAX_EVENTS = const(16)
_MAX_SIZE = const(900)  # of a request: the longest settings, ETag and Echo take less
_NO_MEMORY_MS = const(60000)


class ConstrainedUe:
    """A UE that keeps itself configured.

    settings: Settings. random: a function that gives a random byte. configuration: what a
    document is offered to (see configuration/lifecycle.py). link, remote: the next hop.
    endpoint: one that is shared with another role, which then passes its events to `conclude`.
    """

    def __init__(self, settings, random, configuration, remote, now, transport=0, endpoint=None):
        if endpoint is None:
            endpoint = Endpoint(
                random, {}, settings.parameters, settings.peer_key, 3, 4, _MAX_SIZE, 32
            )
        self.endpoint = endpoint
        self.counters = endpoint.counters
        self.transmit = endpoint.transmit
        ue_id = settings.ue_id.encode()
        queries = []
        for name, value in (("ue-vendor=", settings.ue_vendor), ("ue-type=", settings.ue_type)):
            if value:
                queries.append((name + value).encode())
        resource = ScmRequest(
            settings.service_id,
            [ue_id],
            settings.server_recipient.encode(),
            settings.recipient_option,
            settings.content_format,
            queries,
        )
        self.client = ScmClient(endpoint, transport, remote, resource, ue_id, settings)
        self.configuration = configuration
        self.observe = settings.observe
        self.refresh_s = (settings.refresh_min_s, settings.refresh_max_s)
        self.retry = (
            settings.retry_first_s, settings.retry_max_s, settings.retry_jitter_percent
        )  # fmt: skip
        self.probing_rate = settings.probing_rate
        self.random = random
        self.n_failures = 0  # since the last success
        self._events = []
        self._loaded = False  # what reads answers, by us: a transfer goes on
        # A thousand boards that one switch powers on do not ask in the same second.
        chance = (random() << 8 | random()) >> 6
        self.fetch_at = add(now, settings.start_delay_s * 125 * chance >> 7)

    # The four verbs, and what there is to tell

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        kind = self.endpoint.receive(transport, datagram, remote, now)
        if kind == REQUEST:
            self.endpoint.count("request_to_ue")  # a UE serves nothing
        elif kind == UNMATCHED:
            self.endpoint.count("unmatched_response")
        elif kind:
            self.conclude(kind, self.endpoint.exchange, now)

    def step(self, now):
        """The clock has moved."""
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            self.conclude(NOTHING, exchange, now)
        self.tick(now)

    def tick(self, now):
        """Do what is due, apart from the endpoint's timers."""
        event = self.configuration.step(now)
        if event is not None:
            self.tell({"event": event[0], "reasons": list(event[1])})
        fetch_at = self.fetch_at
        client = self.client
        if fetch_at is not None and not client.busy and diff(now, fetch_at) >= 0:
            # With the ETag only of what runs, not of what was refused or rolled back.
            if not client.fetch(self.observe, client.etag == self.configuration.etag):
                self.fetch_at = add(now, 1000)  # a shared endpoint is full for the moment

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        return shorter(self.endpoint.wait_ms(now), self.own_wait_ms(now))

    def own_wait_ms(self, now):
        """As `wait_ms`, apart from the endpoint's timers."""
        wait = self.configuration.wait_ms(now)
        if self._events:
            return 0
        if self.client.busy or self.fetch_at is None:
            return wait
        return shorter(wait, max(diff(self.fetch_at, now), 0))

    def poll(self):
        """The oldest event not yet told, as a dict with the key "event", or None."""
        return self._events.pop(0) if self._events else None

    # What the application or a person may ask for

    def fetch(self, now):
        """Ask for the configuration now, whatever the schedule says."""
        self.fetch_at = now

    def stop(self):
        """Deregister before the node goes to sleep or away; what is queued is to be sent.

        After that nothing is asked until `fetch`.
        """
        self.fetch_at = None
        self.client.stop()

    # What becomes of an exchange

    def conclude(self, kind, exchange, now):
        """An exchange has a response or a Reset, or NOTHING and is over; others' are left alone.

        What reads an answer and draws the conclusions is loaded for as long as it takes.
        """
        client = self.client
        if exchange.owner is not client:
            return
        ours = self._loaded or "msgin5g.ue.conclusion" not in sys.modules
        try:
            from msgin5g.ue.conclusion import conclude

            conclude(self, kind, exchange, now)
            del conclude
        except MemoryError:
            # Nothing is lost but time: what was not accepted is repeated, all else asked for anew.
            self.endpoint.count("no_memory")
            if exchange.state >= OBSERVING:
                client.exchange = client.assembly = None
                if exchange.state != OBSERVING and exchange is client.observation:
                    client.observation = None
                if self.fetch_at is not None:
                    self.fetch_at = add(now, _NO_MEMORY_MS)
        self._loaded = ours and client.assembly is not None
        if ours and client.assembly is None:
            unload("roles.conclusion", "roles.retry", "seal.answer", "coap.blockwise",
                   "seal.documents", "seal.problem", "cbor_reader")  # fmt: skip

    def tell(self, event):
        """Keep an event, a dict, until `poll` gives it."""
        if len(self._events) >= _MAX_EVENTS:
            self._events.pop(0)
            self.endpoint.count("events_lost")
        self._events.append(event)
