"""port/event_loop.py: what a node does at one moment, and at its last one."""

from msgin5g_testkit.checks import no_alloc
from msgin5g.port.event_loop import Inbox, act, collect
from msgin5g.port.resolver import bind
from msgin5g.port.trace import Trace
from msgin5g.port.udp import UdpTransport


class Node:
    """A node with an outcome to print, and the acknowledgement of its message to send."""

    def __init__(self):
        self.events = [{"event": "applied"}, {"event": "later"}]
        self.out = [(0, b"acknowledgement", "gateway")]
        self.stepped = []

    def poll(self):
        return self.events.pop(0) if self.events else None

    def step(self, now):
        self.stepped.append(now)

    def transmit(self, now):
        return self.out.pop(0) if self.out else None


class Transport:
    def __init__(self):
        self.sent = []

    def send(self, datagram, remote):
        self.sent.append((datagram, remote))


def nothing(ms):
    return ()


class Board:
    """A transport whose network stack keeps four datagrams and drops the next one.

    While the node does something, `pass_time` lets one or two more of the burst arrive.
    """

    def __init__(self, n):
        self.left = [bytes((i,)) for i in range(n)]
        self.kept = []
        self.n_dropped = 0
        self.n_passes = 0

    def pass_time(self):
        self.n_passes += 1
        for _ in range(1 + self.n_passes % 2):
            if self.left:
                datagram = self.left.pop(0)
                if len(self.kept) < 4:
                    self.kept.append(datagram)
                else:
                    self.n_dropped += 1

    def poll(self, ms):
        return self.kept

    def receive(self):
        return (self.kept.pop(0), "ue") if self.kept else None

    def send(self, datagram, remote):
        self.pass_time()


class Worker:
    """A node that answers each datagram; all its work takes time on a Board."""

    def __init__(self, board):
        self.board = board
        self.taken = []
        self.out = []

    def receive(self, transport, datagram, remote, now):
        self.taken.append(datagram)
        self.out.append((0, datagram, remote))
        self.board.pass_time()

    def poll(self):
        return None

    def step(self, now):
        self.board.pass_time()

    def transmit(self, now):
        return self.out.pop(0) if self.out else None


def test_a_burst_that_comes_while_the_node_works_is_not_lost_at_a_socket_for_four():
    board = Board(12)
    worker = Worker(board)
    inbox = Inbox([board], board.poll)
    board.pass_time()
    for _ in range(8):
        collect(worker, inbox, lambda: 0, None)
        act(worker, [board], 0, None, None, inbox)
    assert board.n_dropped == 0
    assert worker.taken == [bytes((i,)) for i in range(12)], "each once, in order"


def test_a_burst_that_comes_while_events_are_printed_is_not_lost():
    board = Board(12)
    worker = Worker(board)
    events = [{"event": str(i)} for i in range(6)]
    worker.poll = lambda: events.pop(0) if events else None
    inbox = Inbox([board], board.poll)
    act(worker, [board], 0, lambda event: board.pass_time(), None, inbox)
    assert board.n_dropped == 0 and events == []


def test_each_datagram_is_traced_with_its_direction_and_remote():
    board = Board(0)
    board.kept = [b"in"]
    worker, traced = Worker(board), []
    inbox = Inbox([board], board.poll)

    def trace(out, datagram, remote):
        traced.append((out, datagram, remote))

    collect(worker, inbox, lambda: 0, trace)
    act(worker, [board], 0, None, trace, inbox)
    assert traced == [(False, b"in", "ue"), (True, b"in", "ue")]


def test_an_inbox_has_a_limit_and_leaves_the_rest_at_the_sockets():
    for size, n in ((1, 16), (1152, 3)):
        board = Board(0)
        board.kept = [bytes(size)] * 20
        inbox = Inbox([board], board.poll)
        inbox.drain()
        inbox.drain()
        assert inbox.n_waiting == n and len(board.kept) == 20 - n, size
        while inbox.n_waiting:
            inbox.take()
        inbox.drain()
        assert inbox.n_waiting == min(n, 20 - n), size


def test_an_inbox_takes_one_more_while_it_holds_less_than_3072_bytes():
    for last, n in ((1023, 4), (1024, 3)):
        board = Board(0)
        board.kept = [bytes(1024), bytes(1024), bytes(last), b"more", b"and more"]
        inbox = Inbox([board], board.poll)
        inbox.drain()
        assert inbox.n_waiting == n, last


def test_what_comes_on_several_transports_is_taken_from_each_in_turn():
    a, b = Board(0), Board(0)
    a.kept = [b"a1", b"a2", b"a3"]
    b.kept = [b"b1"]
    inbox = Inbox([a, b], lambda ms: a.kept + b.kept)
    inbox.drain()
    taken = []
    while inbox.n_waiting:
        datagram, _ = inbox.take()
        taken.append((inbox.transport, datagram))
    assert taken == [(0, b"a1"), (1, b"b1"), (0, b"a2"), (0, b"a3")]


def test_an_error_at_a_socket_does_not_hold_the_loop():
    board = Board(0)
    inbox = Inbox([board], lambda ms: ["error"])
    inbox.drain()
    assert inbox.n_waiting == 0


def test_polling_a_quiet_socket_takes_no_heap():
    transport = UdpTransport(bind("127.0.0.1", 0))
    inbox = Inbox([transport])
    no_alloc(inbox.drain)
    assert inbox.n_waiting == 0
    transport.close()


def test_all_events_are_printed_before_the_node_acts_and_sends():
    node, transport, printed = Node(), Transport(), []
    assert not act(node, [transport], 7, printed.append, None, Inbox([], nothing))
    assert [event["event"] for event in printed] == ["applied", "later"]
    assert node.stepped == [7] and transport.sent == [(b"acknowledgement", "gateway")]


def test_the_last_acknowledgement_is_sent_when_the_outcome_ends_the_run():
    node, transport, traced = Node(), Transport(), []

    def trace(out, datagram, remote):
        traced.append(out)

    def emit(event):
        return event["event"] == "applied"

    assert act(node, [transport], 7, emit, trace, Inbox([], nothing))
    assert node.stepped == [] and node.events == [{"event": "later"}]
    assert transport.sent == [(b"acknowledgement", "gateway")] and traced == [True]


def test_a_datagram_that_memory_is_too_short_to_trace_goes_on():
    traced = []

    def emit(event):
        traced.append(event)
        if len(traced) == 2:
            raise MemoryError

    trace = Trace(emit)
    for out in (True, False, False):
        trace(out, b"\x40\0", ("192.0.2.1", 5))
    assert traced[0] == {
        "event": "datagram", "direction": "out", "remote": "192.0.2.1:5", "hex": "4000",
    }  # fmt: skip
    assert [event["direction"] for event in traced] == ["out", "in", "in"]
