"""When the gateway asks the server, and for whom together.

Service policy (TS 24.538 6.2.2.x leaves it to the gateway): requests are collected until `count`
of them wait, or as many as one message can name, or the oldest has waited for the window. Urgent
ones go alone, and at once. No request waits longer than the maximum wait: then it is 5.04.
"""

from micropython import const

from msgin5g.coap.numbers import GATEWAY_TIMEOUT
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.gateway.responder import DOCUMENT_ID, QUERIES, Answers
from msgin5g.gateway.transfer import Transfer

_ID_OVERHEAD = const(9)  # `ue-uri=` and the head of its option
_SILENCE = const(10)  # times ACK_TIMEOUT
_HURRY_MS = const(200)
# A datagram of 1152 bytes less a bulk GET without names and IDs, Block2 and an Echo.
_ROOM = const(1152 - 74 - 4 - 43)


class Collector(Answers):
    """The part of a gateway that collects and asks; seal_c: see roles/seal_c.py."""

    def __init__(self, settings, random):
        super().__init__(settings, random)
        self.seal_c = None
        self._ue_id = settings.ue_id.encode()
        self._max_transfers = settings.max_transfers
        self._max_document_size = settings.max_document_size
        self._hold_size = settings.hold_size
        self._count = settings.bulk_count
        self._window_ms = settings.bulk_window_s * 1000
        self._max_wait_ms = settings.max_wait_s * 1000
        size = len(settings.service_id.encode()) + len(settings.bulk_id.encode())
        self._room = _ROOM - size - len(self._server_recipient)
        self._silence_ms = _SILENCE * self.endpoint.parameters.ack_timeout_ms
        self._collecting = []  # Places whose requests may go together, the oldest first
        self._singles = []  # those that go alone
        self._transfers = []
        self._queued = []  # transfers of individual documents that are to begin
        self._look_at = None  # when to look for requests that have waited too long

    # When

    def _tend(self, now):
        """Do what is due."""
        if self._look_at is not None and diff(now, self._look_at) >= 0:
            self._expire(now)
        for transfer in self._transfers:
            if transfer.silent_ms(now, self._silence_ms) == 0:
                self.endpoint.cancel(transfer.exchange)
                transfer.again = True
        self._flush(now)
        self._launch(now)
        for transfer in self._transfers:
            # What was found is answered first; only then there is room for more.
            if transfer.again and self._held_size <= self._hold_size:
                self._ask(transfer, now)

    def _ask(self, transfer, now, echo=None):
        """Send the request for what comes next of a transfer; without memory for it, later."""
        entry = None if transfer.size else self._kept_for(transfer)
        try:
            transfer.ask(self.seal_c, now, echo, entry and entry.upstream)
        except MemoryError:
            transfer.again = True
            self._hurry(now)

    def _kept_for(self, transfer):
        """The Entry of what one UE alone has got before; None when several ask, or without."""
        if len(transfer.ids) > 1 or transfer.document_id is not None:
            return None
        return self.cache.find((transfer.ids[0], transfer.queries))

    def _tend_ms(self, now):
        """Milliseconds until something is due, None when nothing is."""
        wait = None
        if self._look_at is not None:
            wait = max(diff(self._look_at, now), 0)
        for transfer in self._transfers:
            wait = shorter(wait, transfer.silent_ms(now, self._silence_ms))
        if self._collecting and len(self._transfers) < self._max_transfers:
            due_at = add(self._collecting[0].asked_at, self._window_ms)
            wait = shorter(wait, max(diff(due_at, now), 0))
        return wait

    def _expire(self, now):
        """5.04 to every request that has waited too long."""
        waiting = self._collecting + self._singles
        for transfer in self._transfers + self._queued:
            waiting.extend(transfer.members)
        late = []
        self._look_at = None
        for one in waiting:
            ms = diff(add(one.asked_at, self._max_wait_ms), now)
            if ms <= 0:
                late.append(one)
            elif self._look_at is None or diff(add(now, ms), self._look_at) < 0:
                self._look_at = add(now, ms)
        if late:
            self._withdraw(late)
            self.endpoint.count("server_timeout")
            self._fail(late, GATEWAY_TIMEOUT, "No answer")

    def _withdraw(self, gone):
        """Take requests out of every list; a transfer for nobody ends."""
        for members in (self._collecting, self._singles, self._ready):
            for one in gone:
                if one in members:
                    members.remove(one)
        for one in gone:
            one.verdict = None
        for transfer in self._transfers + self._queued:
            transfer.members = [m for m in transfer.members if m not in gone]
            if not transfer.members and not transfer.observers:
                self._end(transfer)

    def _end(self, transfer):
        if transfer.exchange is not None:
            self.endpoint.cancel(transfer.exchange)
            transfer.exchange = None
        for transfers in (self._transfers, self._queued):
            if transfer in transfers:
                transfers.remove(transfer)

    # What

    def _collect(self, one, alone, now):
        """Have a request answered by the server; alone: not together with others."""
        (self._singles if alone else self._collecting).append(one)
        self._look_by(add(now, self._max_wait_ms))

    def _look_by(self, moment):
        if self._look_at is None:
            self._look_at = moment

    def _launch(self, now):
        while len(self._transfers) < self._max_transfers:
            if self._queued:
                transfer = self._queued.pop(0)
                self._transfers.append(transfer)
                self._ask(transfer, now)
                continue
            waiting = self._singles or self._collecting
            n = 1 if self._singles else self._batch(now)
            if not n:
                return
            transfer = self._together(waiting[:n])
            self._transfers.append(transfer)
            for _ in range(n):
                waiting.pop(0)
            self._ask(transfer, now)

    def _together(self, members):
        """A transfer for these."""
        # Apart from _launch: what a comprehension reaches is in the heap before anything is done.
        queries = members[0].form[QUERIES]
        # A query widens what the server gives: only one that all of them have.
        for one in members:
            if one.form[QUERIES] is not queries:
                queries = tuple([q for q in queries if q in one.form[QUERIES]])
        return Transfer(
            members,
            [one.ue_id for one in members],
            queries,
            members[0].form[DOCUMENT_ID],
            self._szx,
            self._max_document_size,
        )

    def _hurry(self, now):
        """There was no memory: look again when some of it may have been given back."""
        self.endpoint.count("no_memory")
        self._look_at = add(now, _HURRY_MS)

    def _batch(self, now):
        """How many of those that wait are to go now."""
        waiting = self._collecting
        if not waiting:
            return 0
        room = self._room
        for query in waiting[0].form[QUERIES]:
            room -= len(query) + 2
        n = 0
        for one in waiting:
            room -= _ID_OVERHEAD + len(one.ue_id)
            if room < 0:
                return max(n, 1)  # the message is full
            n += 1
        if n >= self._count or diff(now, add(waiting[0].asked_at, self._window_ms)) >= 0:
            return n
        return 0
