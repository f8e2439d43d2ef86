"""When the gateway asks the server, and for which UEs together.

Service policy (TS 24.538 6.2.2 leaves it to the gateway): requests are collected until `count`
of them wait, or as many as one message can name, or the oldest has waited for the window. Urgent
ones go alone, and at once. No request waits longer than max_wait_s: then it gets 5.04.
"""

from micropython import const

from msgin5g.coap.retransmission import ACKED, SENT
from msgin5g.coap.numbers import GATEWAY_TIMEOUT, MAX_MESSAGE_SIZE
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.gateway.bulk_transfer import BulkTransfer

_NO_BULK_MS = const(3600000)  # for so long a server without bulk is asked for each UE alone
_MAX_LEFT_OUT = const(3)  # UEs that a bulk answer left out in error: that shows such a server
_ID_OVERHEAD = const(9)  # `ue-uri=` and the head of its option
_RETRY_MS = const(200)
_PURGE_MS = const(30000)
_SILENCE = const(10)  # times ACK_TIMEOUT
# Bytes of a bulk GET without names and IDs, of its Block2 and of an Echo.
_GET_SIZE = const(74 + 4 + 43)


class Group:
    """PendingRequests with equal queries, which may go together, the oldest first.

    size: bytes that queries and IDs take in a message.
    """

    def __init__(self, queries):
        self.requests = []
        self.queries = queries
        self.size = 0
        for query in queries:
            self.size += len(query) + 2


class Scheduler:
    """The requests that are not asked for yet.

    collecting: Groups; those that are full are first, then the one with the oldest request.
    does_bulk: one answer of the server has named several UEs.
    singles: PendingRequests that go alone. queued: transfers of individual documents.
    """

    def __init__(self, settings, endpoint, pending_requests, responder, transfers, links, now):
        self._endpoint = endpoint
        self._pending_requests = pending_requests
        self._responder = responder
        self._transfers = transfers
        self._links = links
        self._purge_at = add(now, _PURGE_MS)
        self.shared_documents = None  # set before the first request
        self._urgent = [ue_id.encode() for ue_id in settings.bulk_urgent]
        self._max_transfers = settings.max_transfers
        self._hold_size = settings.hold_size
        self._silence_ms = _SILENCE * endpoint.parameters.ack_timeout_ms
        self._is_bulk_enabled = settings.bulk_enabled
        self._count = settings.bulk_count
        self._window_ms = settings.bulk_window_s * 1000
        self._max_wait_ms = settings.max_wait_s * 1000
        self._room = MAX_MESSAGE_SIZE - _GET_SIZE - endpoint.overhead()
        for name in (
            settings.service_id,
            settings.bulk_id,
            settings.server_recipient,
            settings.server_host or "",
            settings.server_path_prefix or "",
        ):
            self._room -= len(name.encode())
        # The heads of their options.
        if settings.server_host:
            self._room -= 2
        if settings.server_path_prefix:
            self._room -= 2 * (settings.server_path_prefix.count("/") + 1)
        self.collecting = []
        self._groups = {}  # the same by their queries
        self.does_bulk = False
        self._n_left_out = 0  # since a bulk answer was whole
        self._bulk_again_at = None  # the server does no bulk: not before this moment
        self.singles = []
        self.queued = []
        self._next_expiry_at = None  # not before this moment a request has waited too long

    def take(self, request, now):
        """Have a new request answered: with a document, alone, or together with others."""
        parameters = request.parameters
        if parameters.document_id is not None and not parameters.is_special:
            self.shared_documents.take(request)
        elif (
            parameters.document_id is not None
            or parameters.is_special
            or parameters.is_of_one
            or not self._is_bulk_enabled
            or self._bulk_again_at is not None
            or request.ue.ue_id in self._urgent
        ):
            self.singles.append(request)
        else:
            self._collect(request)
        if self._next_expiry_at is None:
            self._next_expiry_at = add(now, self._max_wait_ms)

    def _collect(self, request):
        queries = request.parameters.queries
        group = self._groups.get(queries)
        if group is None:
            group = Group(queries)
            self._groups[queries] = group
            self.collecting.append(group)
        group.requests.append(request)
        group.size += _ID_OVERHEAD + len(request.ue.ue_id)
        if self._is_full(group):
            self._place(group)

    def _is_full(self, group):
        """Whether there are enough requests, or as many as one message can name."""
        return len(group.requests) >= self._count or group.size > self._room

    def _place(self, group):
        """Put a Group, which has changed, where it belongs in `collecting`."""
        groups = self.collecting
        groups.remove(group)
        if not group.requests:
            del self._groups[group.queries]
            return
        i = 0
        if not self._is_full(group):
            asked_at = group.requests[0].ue.asked_at
            i = len(groups)
            while (
                i
                and not self._is_full(groups[i - 1])
                and diff(groups[i - 1].requests[0].ue.asked_at, asked_at) > 0
            ):
                i -= 1
        groups.insert(i, group)

    def ask_alone(self, requests, is_left_out):
        """Ask for each of these alone, after a bulk request.

        is_left_out: not because the server forbids one of them something.
        """
        for request in requests:
            request.is_left_out = is_left_out
        self.singles.extend(requests)

    def left_out(self, now):
        """A UE that a bulk answer had left out has got its document alone."""
        self._endpoint.count("left_out")
        self._n_left_out += 1
        if self._n_left_out >= _MAX_LEFT_OUT and self._bulk_again_at is None:
            self._endpoint.count("bulk_paused")
            self.does_bulk = False
            self._bulk_again_at = add(now, _NO_BULK_MS)
            while self.collecting:
                group = self.collecting[0]
                self.singles.extend(group.requests)
                del self._groups[group.queries]
                self.collecting.pop(0)

    def left_nobody_out(self):
        """A bulk answer had a document for every UE."""
        self._n_left_out = 0

    def _purge(self, now):
        """Forget what has expired, before the clock wraps and it looks new; do bulk again."""
        self._purge_at = add(now, _PURGE_MS)
        self._transfers.cache.purge(self._links, now)
        self._pending_requests.purge(self._links, now)
        if self._bulk_again_at is not None and diff(now, self._bulk_again_at) >= 0:
            self._bulk_again_at = None
            self._n_left_out = 0

    def enqueue(self, transfer):
        """Begin a transfer of an individual document as soon as there is room for it."""
        self.queued.append(transfer)
        transfer.is_queued = True

    def dequeue(self, transfer):
        """Do not begin a transfer of an individual document."""
        if transfer.is_queued:
            transfer.is_queued = False
            self.queued.remove(transfer)

    def withdraw(self, request):
        """Forget a request; a transfer for nobody ends."""
        group = self._groups.get(request.parameters.queries)
        if group is not None and request in group.requests:
            group.requests.remove(request)
            group.size -= _ID_OVERHEAD + len(request.ue.ue_id)
            self._place(group)
        if request in self.singles:
            self.singles.remove(request)
        self._responder.withdraw(request)
        for transfer in self._transfers.under_way + self.queued:
            if not transfer.remove(request):
                self._transfers.end(transfer)

    def run_due(self, now):
        """Do everything that is due."""
        if self._next_expiry_at is not None and diff(now, self._next_expiry_at) >= 0:
            self._expire(now)
        transfers = self._transfers
        responder = self._responder
        pending_requests = self._pending_requests
        for transfer in transfers.under_way:
            if self._silent_ms(transfer, now) == 0:
                self._endpoint.cancel(transfer.download.exchange)
                transfer.download.wants_next = True
        if responder.ready or responder.unacknowledged or responder.has_more:
            responder.flush(now)
        if self.collecting or self.singles or self.queued:
            self._launch(now)
        for transfer in transfers.under_way:
            # Documents that have come are sent first; only then there is room for more.
            if transfer.download.wants_next and pending_requests.held_size <= self._hold_size:
                transfers.ask(transfer, now)
        if diff(now, self._purge_at) >= 0:
            self._purge(now)

    def retry_after_out_of_memory(self, now):
        """There was no memory: try again when some of it may have been freed."""
        self._endpoint.count("no_memory")
        self._next_expiry_at = add(now, _RETRY_MS)

    def drop_half_done(self, now):
        """Begin transfers again that wait for nothing, after a MemoryError.

        Gives the requests that are collected or asked for.
        """
        self._next_expiry_at = add(now, _RETRY_MS)
        transfers = self._transfers
        for transfer in list(transfers.under_way):
            exchange = transfer.download.exchange
            if not transfer.download.wants_next and (exchange is None or exchange.state > ACKED):
                transfer.download.exchange = None
                transfers.restart(transfer)
        groups = list(self._groups.values())
        self._groups = {}
        self.collecting = []
        for group in groups:
            for request in group.requests:
                if request not in self.singles:
                    self._collect(request)
        waiting = self._waiting()
        for transfer in transfers.under_way + self.queued:
            waiting.extend(transfer.requests)
        return waiting

    def wait_ms(self, now):
        """Milliseconds until something is due, None when nothing is."""
        if self._responder.has_more:
            return 0
        transfers = self._transfers
        wait = None
        if self._next_expiry_at is not None:
            wait = max(diff(self._next_expiry_at, now), 0)
        for transfer in transfers.under_way:
            wait = shorter(wait, self._silent_ms(transfer, now))
        if self.collecting and len(transfers.under_way) < self._max_transfers:
            due_at = add(self.collecting[0].requests[0].ue.asked_at, self._window_ms)
            wait = shorter(wait, max(diff(due_at, now), 0))
        return wait

    def _silent_ms(self, transfer, now):
        """Milliseconds until the server has been silent for too long; None: nothing is asked.

        To ask again is then better than to wait: four transmissions were lost, or, after an
        acknowledgement and twice the time, the server has forgotten the request.
        """
        exchange = transfer.download.exchange
        if exchange is None:
            return None
        patience_ms = self._silence_ms if exchange.state == SENT else 2 * self._silence_ms
        return max(patience_ms - diff(now, transfer.download.asked_at), 0)

    def _waiting(self):
        """The PendingRequests that are neither asked for nor wait for a SharedDocument."""
        waiting = list(self.singles)
        for group in self.collecting:
            waiting.extend(group.requests)
        return waiting

    def _expire(self, now):
        """5.04 to every request that has waited too long."""
        waiting = self._waiting()
        for transfer in self._transfers.under_way + self.queued:
            waiting.extend(transfer.requests)
        late = []
        self._next_expiry_at = None
        for request in waiting:
            ms = diff(add(request.ue.asked_at, self._max_wait_ms), now)
            if ms <= 0:
                late.append(request)
            elif self._next_expiry_at is None or diff(add(now, ms), self._next_expiry_at) < 0:
                self._next_expiry_at = add(now, ms)
        if late:
            for request in late:
                self.withdraw(request)
            self._endpoint.count("server_timeout")
            self._responder.fail(late, GATEWAY_TIMEOUT, "No answer")

    def _launch(self, now):
        transfers = self._transfers
        while len(transfers.under_way) < self._max_transfers:
            group = None
            n = 1
            if self.queued:
                waiting = self.queued
                transfer = waiting[0]
                transfer.prepare()
            elif self.singles:
                waiting = self.singles
                transfer = BulkTransfer(transfers, waiting[:1])
            else:
                n = self._batch_size(now)
                if not n:
                    return
                group = self.collecting[0]
                waiting = group.requests
                transfer = BulkTransfer(transfers, waiting[:n])
            transfers.under_way.append(transfer)
            # There was memory for all that: only now they leave the queue.
            for _ in range(n):
                one = waiting.pop(0)
                if group is not None:
                    group.size -= _ID_OVERHEAD + len(one.ue.ue_id)
                elif waiting is self.queued:
                    one.is_queued = False
            if group is not None:
                self._place(group)
            transfers.ask(transfer, now)

    def _batch_size(self, now):
        """How many requests of the first Group are to go now."""
        if not self.collecting:
            return 0
        group = self.collecting[0]
        waiting = group.requests
        if not self._is_full(group):
            due_at = add(waiting[0].ue.asked_at, self._window_ms)
            return len(waiting) if diff(now, due_at) >= 0 else 0
        room = self._room
        for query in group.queries:
            room -= len(query) + 2
        n = 0
        for request in waiting:  # a crowd may wait: only those that have room are looked at
            room -= _ID_OVERHEAD + len(request.ue.ue_id)
            if n and room < 0:
                break
            n += 1
        return n
