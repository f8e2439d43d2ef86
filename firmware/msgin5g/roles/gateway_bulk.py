"""The gateway's side towards the server: when to ask in bulk, and what becomes of the answer.

Service policy (TS 24.538 6.2.2.x leaves it to the gateway): requests are collected until `count`
of them wait, or as many as one message can name, or the oldest has waited for the window. Urgent
ones go alone, and at once. No request waits longer than the maximum wait: then it is 5.04.
"""

from micropython import const

from msgin5g.cbor_reader import CborError
from msgin5g.coap.errors import BlockError
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CBOR,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    GATEWAY_TIMEOUT,
    MAX_AGE,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
)
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.roles.gateway_answers import DOCUMENT_ID, QUERIES, Answers, Verdict
from msgin5g.roles.seal_c import room_for_ids
from msgin5g.seal.resources import same_uri
from msgin5g.seal.split import Document
from msgin5g.seal.transfer import CHANGED, WHOLE, Transfer

_ID_OVERHEAD = const(9)  # `ue-uri=` and the head of its option
_DEFAULT_MAX_AGE_S = const(60)  # RFC 7252 section 5.10.5
_MAX_AGE_S = const(86400)
_SILENCE = const(10)  # times ACK_TIMEOUT


class Bulk(Answers):
    """The half of a gateway that asks; seal_c: see roles/seal_c.py."""

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
        self._room = room_for_ids(settings)
        self._silence_ms = _SILENCE * self.endpoint.parameters.ack_timeout_ms
        self._collecting = []  # Waiting that may go together, the oldest first
        self._singles = []  # Waiting that go alone
        self._transfers = []
        self._look_at = None  # when to look for requests that have waited too long

    # When

    def _tend(self, now):
        """Do what is due."""
        if self._look_at is not None and diff(now, self._look_at) >= 0:
            self._expire(now)
        for transfer in list(self._transfers):
            if transfer.silent_ms(now, self._silence_ms) == 0:
                self.endpoint.cancel(transfer.exchange)
                transfer.again = True
        self._flush(now)
        self._launch(now)
        for transfer in self._transfers:
            # What was found is answered first; only then there is room for more.
            if transfer.again and self._held_size <= self._hold_size:
                transfer.ask(self.seal_c, now)

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
        waiting = [w for w in self._collecting + self._singles if w.peer is not None]
        for transfer in self._transfers:
            waiting.extend([m for m in transfer.members if m.peer is not None])
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
            self._fail(late, GATEWAY_TIMEOUT, "No answer from the server")

    def _withdraw(self, gone):
        """Take requests out of every list; a transfer for nobody ends."""
        for members in (self._collecting, self._singles, self._ready):
            for one in gone:
                if one in members:
                    members.remove(one)
        for transfer in list(self._transfers):
            transfer.members = [m for m in transfer.members if m not in gone]
            if not transfer.members:
                self._end(transfer)

    def _end(self, transfer):
        if transfer.exchange is not None:
            self.endpoint.cancel(transfer.exchange)
        self._transfers.remove(transfer)

    # What

    def _collect(self, waiting, now):
        """Have a request answered by the server."""
        (self._singles if waiting.alone else self._collecting).append(waiting)
        if self._look_at is None:
            self._look_at = add(now, self._max_wait_ms)

    def _launch(self, now):
        while len(self._transfers) < self._max_transfers:
            if self._singles:
                members = [self._singles.pop(0)]
                queries = members[0].form[QUERIES]
            else:
                n = self._batch(now)
                if not n:
                    return
                members = self._collecting[:n]
                self._collecting = self._collecting[n:]
                queries = members[0].form[QUERIES]
                # A query widens what the server gives: only one that all of them have.
                for one in members:
                    if one.form[QUERIES] is not queries:
                        queries = tuple([q for q in queries if q in one.form[QUERIES]])
            self._start(members, queries, now)

    def _start(self, members, queries, now):
        transfer = Transfer(
            members,
            [m.peer.ue_id for m in members],
            queries,
            members[0].form[DOCUMENT_ID],
            self._szx,
            self._max_document_size,
        )
        self._transfers.append(transfer)
        transfer.ask(self.seal_c, now)

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
            room -= _ID_OVERHEAD + len(one.peer.ue_id)
            if room < 0:
                return max(n, 1)  # the message is full
            n += 1
        if n >= self._count or diff(now, add(waiting[0].asked_at, self._window_ms)) >= 0:
            return n
        return 0

    # What becomes of it

    def _upstream(self, transfer, now):
        """The endpoint's message answers a transfer."""
        endpoint = self.endpoint
        message = endpoint.message
        i = message.find(self._recipient_option)
        if i >= 0:
            named = message.value(i)
            if not same_uri(named, transfer.ids[0] if len(transfer.ids) == 1 else self._ue_id):
                endpoint.count("foreign_recipient")
                return
        for i in range(message.n_options):
            number = message.numbers[i]
            if number & 1 and number != BLOCK2 and number != self._recipient_option:
                endpoint.count("critical_option")  # RFC 7252 section 5.4.1: rejected
                return
        endpoint.accept(now)
        transfer.exchange = None
        code = message.code
        if code == CONTENT:
            self._content(transfer, message, now)
        elif code == BAD_REQUEST and transfer.size:
            self._restart(transfer)  # a block past the end: the body has become shorter
        elif code == 0x81 and message.find(ECHO) >= 0 and transfer.restart():
            # RFC 9175 section 2.3: show that we are reachable at our address.
            transfer.ask(self.seal_c, now, message.option(ECHO))
        else:
            self._refused(transfer, code, message)

    def _content(self, transfer, message, now):
        try:
            if message.uint(CONTENT_FORMAT, CBOR) not in (CBOR, self._settings.content_format):
                raise BlockError("Content-Format")
            progress = transfer.take(message)
            if progress == CHANGED:
                self._restart(transfer)
                return
            if transfer.fresh_until is None:
                seconds = min(message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S), _MAX_AGE_S)
                transfer.fresh_until = add(now, seconds * 1000)
            splitter = transfer.splitter
            while splitter.next():
                self._found(transfer, splitter)
            if progress == WHOLE:
                if not splitter.done:
                    raise BlockError("cut off")
                self._complete(transfer)
                return
        except (BlockError, CborError):
            self.endpoint.count("broken_transfer")
            self._settle(transfer, SERVICE_UNAVAILABLE, "Broken answer from the server")
            return
        transfer.again = True
        if self._held_size > self._hold_size:
            # Those whose document has come give up its memory first.
            verdict = self._verdict(transfer)
            for one in [m for m in transfer.members if m.found]:
                transfer.members.remove(one)
                self._conclude(one, verdict)

    def _found(self, transfer, splitter):
        """Hand a document to those of the members whom it names; to nobody else."""
        try:
            document = Document(splitter.view, splitter.start, splitter.end)
            if document.everybody:
                transfer.common.append(document.copy())
                return
            wanted = False
            for uri in document.uris():
                for one in transfer.members:
                    if one.peer is not None and same_uri(uri, one.peer.ue_id):
                        copy = document.copy(one.peer.ue_id)
                        self._held_size += len(copy)
                        one.found = (one.found or []) + [copy]
                        wanted = True
            if not wanted:
                self.endpoint.count("document_not_asked")
        except CborError:
            self.endpoint.count("document_broken")

    def _verdict(self, transfer):
        return Verdict(CONTENT, b"", None, transfer.fresh_until, transfer.common)

    def _complete(self, transfer):
        """All documents have come: who has none by now has none."""
        verdict = self._verdict(transfer)
        without = []
        for one in transfer.members:
            if one.peer is not None:
                if one.found or transfer.common:
                    self._conclude(one, verdict)
                else:
                    without.append(one)
        self._fail(without, NOT_FOUND, "No document for this UE")
        transfer.members = []
        self._end(transfer)

    def _restart(self, transfer):
        for one in transfer.members:
            self._empty(one)
        if not transfer.restart():
            self._settle(transfer, SERVICE_UNAVAILABLE, "The documents keep changing")

    def _settle(self, transfer, code, title, max_age_s=None):
        members = [m for m in transfer.members if m.peer is not None]
        transfer.members = []
        self._end(transfer)
        self._fail(members, code, title, max_age_s)

    def _refused(self, transfer, code, message):
        """An error for all who asked together."""
        max_age_s = message.uint(MAX_AGE)
        if code == GATEWAY_TIMEOUT:
            self._settle(transfer, code, "No answer from the server")
        elif code >> 5 != 4:
            self._settle(transfer, SERVICE_UNAVAILABLE, "Error at the server", max_age_s)
        elif len(transfer.ids) == 1:
            members = [m for m in transfer.members if m.peer is not None]
            transfer.members = []
            self._end(transfer)
            verdict = Verdict(code, message.payload(), max_age_s)
            for one in members:
                self._conclude(one, verdict)
        elif code == NOT_FOUND:
            # Not with the server's own text: it may name one of them to all others.
            self._settle(transfer, code, "No document for this UE")
        elif code == TOO_MANY_REQUESTS:
            self._settle(transfer, code, "The server is busy", max_age_s)
        else:
            # One whom the server forbids must not starve the rest: each once for itself.
            self.endpoint.count("bulk_refused")
            for one in transfer.members:
                one.alone = True
                self._empty(one)
            self._singles.extend([m for m in transfer.members if m.peer is not None])
            transfer.members = []
            self._end(transfer)
