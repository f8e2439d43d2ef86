"""A configuration client apart: its own answers, how long it waits, how many requests it takes."""

from msgin5g_testkit.checks import xorshift
from gateway_builders import SEAL_C, SERVER, gateway_settings, name, packet
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import ACK, CON, CONTENT, NON, OBSERVE, RST
from msgin5g.coap.ticks import add
from msgin5g.gateway.scm_client_node import ScmClientNode
from msgin5g.gateway.scm_remote import decode_arguments, encode_arguments
from msgin5g.intermediary.numbers import FETCH
from msgin5g.scm.client import problem_of

GATEWAY = SEAL_C[0]
START = 0x3FFFFFFF - 5000  # the clock wraps meanwhile
BODY = dumps([b"d", None, None, [name(1).encode()], []])


class Node:
    """A ScmClientNode, and both of its sides as a test plays them."""

    def __init__(self, **settings):
        self.now = START
        self.node = ScmClientNode(gateway_settings(**settings), xorshift(5), SERVER, GATEWAY)
        self.mid = 0

    def fetch(self, token=b"t", observe=None, body=BODY, mtype=CON, code=FETCH, more=(),
              source=GATEWAY, transport=1):  # fmt: skip
        """What a request of the gateway leads to, see `sent`."""
        self.mid += 1
        options = [] if observe is None else [(OBSERVE, bytes([observe]) if observe else b"")]
        options += [(11, b"seal-c")] + list(more)
        datagram = packet(mtype, code, self.mid, token, options, body)
        self.node.receive(transport, datagram, source, self.now)
        return self.sent()

    def answer(self, asked, sequence=None, code=CONTENT, mtype=NON, more=()):
        """What a response of the server to a request leads to, see `sent`."""
        self.mid += 1
        options = [] if sequence is None else [(OBSERVE, bytes([sequence]))]
        options += list(more)
        mid = asked.mid if mtype == ACK else self.mid + 1000
        self.node.receive(
            0, packet(mtype, code, mid, asked.token(), options, b"body"), SERVER, self.now
        )
        return self.sent()

    def empty(self, mtype, mid, to_gateway):
        """What an acknowledgement or Reset leads to, see `sent`."""
        datagram = bytes((0x40 | mtype << 4, 0, mid >> 8, mid & 255))
        self.node.receive(
            1 if to_gateway else 0, datagram, GATEWAY if to_gateway else SERVER, self.now
        )
        return self.sent()

    def sent(self):
        """([Message to the server], [Message to the gateway])."""
        out = ([], [])
        while True:
            item = self.node.transmit(self.now)
            if item is None:
                return out
            assert item[2] == (GATEWAY if item[0] else SERVER)
            out[item[0]].append(Message(32).decode(bytes(item[1])))

    def wait(self, ms):
        """Everything that is sent meanwhile, as (ms, Message), to the server and the gateway."""
        out = ([], [])
        passed = 0
        while passed < ms:
            wait_ms = self.node.wait_ms(self.now)
            wait_ms = ms - passed if wait_ms is None else max(min(wait_ms, ms - passed), 1)
            passed += wait_ms
            self.now = add(self.now, wait_ms)
            self.node.step(self.now)
            for i, messages in enumerate(self.sent()):
                out[i].extend([(passed, message) for message in messages])
        return out


def test_a_request_is_acknowledged_at_once_and_asked_for_and_its_answer_comes_as_it_is():
    peers = Node()
    (asked,), (ack,) = peers.fetch(observe=0)
    assert (ack.mtype, ack.code) == (ACK, 0) and asked.uint(OBSERVE) == 0
    _, (answer,) = peers.answer(asked, 5, more=[(14, b"\7"), (65020, name(1).encode())])
    assert (answer.mtype, answer.code, answer.token()) == (CON, CONTENT, b"t")
    assert (answer.uint(OBSERVE), answer.uint(14), answer.payload()) == (5, 7, b"body")
    # A non-confirmable request gets no acknowledgement, and its answer is none either.
    peers = Node()
    (asked,), acks = peers.fetch(mtype=NON)
    assert acks == [] and asked.mtype == CON
    _, (answer,) = peers.answer(asked)
    assert answer.mtype == NON and peers.node.pending_requests == []


def test_a_server_that_is_silent_for_ten_timeouts_is_asked_anew():
    peers = Node()
    (asked,), _ = peers.fetch()
    again, told = peers.wait(45000)
    new = []
    for ms, message in again:
        if message.mid != asked.mid and message.mid not in [m.mid for _, m in new]:
            new.append((ms, message))
    assert [ms for ms, _ in new] == [20000, 40000] and told == []
    assert {bytes(message.tail()) for _, message in again} == {bytes(asked.tail())}


def test_a_server_that_has_acknowledged_has_the_longest_time_and_then_it_is_5_04():
    peers = Node()
    (asked,), _ = peers.fetch()
    peers.empty(ACK, asked.mid, False)
    again, ((ms, answer),) = peers.wait(94000)
    assert again == [] and ms == 93000 and answer.code == 0xA4
    assert answer.uint(12) == 257
    assert problem_of(answer.payload())[0] == "No answer from the server"
    assert peers.node.counters == {"server_timeout": 1} and peers.node.pending_requests == []


def test_a_server_that_acknowledges_nothing_is_asked_for_the_longest_time_then_it_is_5_04():
    for n_requests in (1, 4):  # with NSTART 1 three of the four have not been sent before
        for observe in (None, 0):
            peers = Node(max_flows=1)
            for n in range(n_requests):
                peers.fetch(b"t%d" % n, observe)
            asked, told = peers.wait(93000 + n_requests)  # one is given up in each step
            assert {message.code for _, message in asked} == {1}
            assert [(ms, m.code) for ms, m in told[:1]] == [(93000, 0xA4)]
            assert peers.node.pending_requests == [] == list(peers.node.endpoint.by_token)
            assert peers.node.counters == {"server_timeout": n_requests}
            # The gateway has gone: it acknowledges nothing, and sends no Reset.
            asked, told = peers.wait(1000000)
            assert asked == [] and {message.code for _, message in told} == {0xA4}
            assert {m.token() for _, m in told} <= {b"t%d" % n for n in range(n_requests)}
            assert peers.node.wait_ms(peers.now) is None


def test_what_the_server_rejects_is_5_02_and_what_cannot_be_asked_5_03():
    peers = Node()
    (asked,), _ = peers.fetch()
    _, (answer,) = peers.empty(RST, asked.mid, False)
    assert answer.code == 0xA2 and problem_of(answer.payload())[0] == "Reset by the server"
    assert peers.node.pending_requests == [] and peers.node.endpoint.by_token == {}
    peers.node.set_server(None, peers.now)
    asked, (ack, answer) = peers.fetch(b"u")
    assert (asked, ack.code, answer.code) == ([], 0, 0xA3)
    assert problem_of(answer.payload())[0] == "Cannot ask the server now"
    peers.node.set_server(SERVER, peers.now)
    (asked,), _ = peers.fetch(b"v")
    assert asked.code == 1


def test_a_reset_of_the_gateway_ends_an_observation_at_once_and_a_time_out_does_later():
    for is_reset in (True, False):
        peers = Node()
        (asked,), _ = peers.fetch(observe=0)
        _, (answer,) = peers.answer(asked, 1)
        assert len(peers.node.pending_requests) == 1
        if is_reset:
            peers.empty(RST, answer.mid, True)
        else:
            peers.wait(92999)
            assert len(peers.node.pending_requests) == 1
            peers.wait(1)
        assert peers.node.pending_requests == [] == peers.node.endpoint.exchanges
        (reset,), told = peers.answer(asked, 2)  # the server hears that nobody wants it
        assert reset.mtype == RST and told == []
        assert peers.node.counters == {"unmatched_response": 1}


def test_a_token_that_comes_again_renews_or_ends_its_observation_only():
    for first, second, is_same in ((0, 0, True), (0, 1, True), (0, None, False), (None, 0, False)):
        peers = Node()
        (asked,), _ = peers.fetch(b"t", first)
        (other,), _ = peers.fetch(b"u", 0)
        (again,), _ = peers.fetch(b"t", second)
        assert (again.token() == asked.token()) == is_same, (first, second)
        assert again.uint(OBSERVE) == second and other.token() != asked.token()
        assert len(peers.node.pending_requests) == (2 if is_same else 3)
        # What the gateway has not acknowledged of the former one is not repeated.
        if is_same:
            _, (answer,) = peers.answer(again, 1 if second == 0 else None)
            assert answer.token() == b"t"


def test_of_notifications_only_the_newest_is_repeated_until_it_is_acknowledged():
    peers = Node()
    (asked,), _ = peers.fetch(observe=0)
    mids = [peers.answer(asked, n)[1][0].mid for n in (1, 2, 3)]
    assert len(set(mids)) == 3 and peers.answer(asked, 2) == ([], [])
    assert peers.node.counters == {"old_notification": 1}
    _, told = peers.wait(10000)
    assert len(told) == 2 and {message.mid for _, message in told} == {mids[2]}
    peers.empty(ACK, mids[2], True)
    assert peers.wait(100000) == ([], []) and len(peers.node.pending_requests) == 1
    # An error ends it.
    _, (answer,) = peers.answer(asked, None, 0x84)
    assert answer.code == 0x84 and peers.node.pending_requests == []


def test_observations_of_a_gateway_that_began_anew_leave_room_for_the_new_ones():
    """The server has begun anew as well: it will not notify, so no Reset ends them."""
    peers = Node(max_transfers=1, max_observations=2)
    for n in range(30):
        token = bytes((n,)) if n % 3 else b"kept"  # this one is renewed
        (asked,), _ = peers.fetch(token, 0)
        assert asked.uint(OBSERVE) == 0, n
        _, (answer,) = peers.answer(asked, 1)
        peers.empty(ACK, answer.mid, True)
        assert len(peers.node.pending_requests) <= 4, n
        if n % 3 == 0:
            watched = asked
    (asked,), _ = peers.fetch(b"plain")
    assert asked.find(OBSERVE) < 0
    _, (answer,) = peers.answer(watched, 2)
    assert answer.token() == b"kept" and answer.find(OBSERVE) >= 0
    assert peers.node.counters == {}


def test_as_many_requests_as_the_gateway_can_make_are_taken_and_no_more():
    peers = Node(max_transfers=1, max_observations=1)
    for n in range(5):
        asked, said = peers.fetch(b"t%d" % n)
        assert (len(asked), len(said)) == ((1, 1) if n < 4 else (0, 0)), n
    assert peers.node.counters == {"busy": 1}
    # The next one that is answered makes room.
    request = peers.node.pending_requests[0].exchange
    peers.node.receive(0, packet(NON, CONTENT, 9, request.token, ()), SERVER, peers.now)
    peers.sent()
    assert len(peers.fetch(b"u")[0]) == 1


def test_who_is_not_the_gateway_gets_a_reset_unless_its_address_is_not_known_yet():
    for source, transport, gateway, is_taken, n_resets in (
        (GATEWAY, 1, GATEWAY, True, 0),
        (GATEWAY, 0, GATEWAY, False, 1),
        (SEAL_C[1], 1, GATEWAY, False, 1),
        (GATEWAY, 1, None, False, 0),
    ):
        peers = Node()
        peers.node.set_gateway(gateway, peers.now)
        peers.mid += 1
        datagram = packet(CON, FETCH, 1, b"t", [(11, b"seal-c")], BODY)
        peers.node.receive(transport, datagram, source, peers.now)
        out = []
        while True:
            item = peers.node.transmit(peers.now)
            if item is None:
                break
            out.append(item[1][0] >> 4 & 3)
        case = (source, transport, gateway)
        assert (len(out) == 2) == is_taken and out.count(RST) == n_resets, case
        assert peers.node.counters == ({} if is_taken else {"not_linked": 1}), case


def test_an_echo_is_given_back_once_and_an_empty_one_never():
    for echo, n_asked in ((b"e", 2), (b"e" * 40, 2), (b"", 1), (b"e" * 41, 1)):
        peers = Node()
        (asked,), _ = peers.fetch()
        again, told = peers.answer(asked, None, 0x81, more=[(252, echo)])
        assert 1 + len(again) == n_asked and len(told) == 2 - n_asked, echo
        if again:
            assert again[0].option(252) == echo and again[0].token() != asked.token()
            _, (answer,) = peers.answer(again[0])
            assert answer.code == CONTENT


def test_want_of_memory_ends_what_is_half_done_and_nothing_else():
    peers = Node()
    (waiting,), _ = peers.fetch(b"a")
    (observed,), _ = peers.fetch(b"b", 0)
    _, (answer,) = peers.answer(observed, 1)
    peers.empty(ACK, answer.mid, True)
    (half,), _ = peers.fetch(b"c", 0)
    (gone,), _ = peers.fetch(b"d")
    requests = {r.incoming.token: r for r in peers.node.pending_requests}
    # It was answered, and the answer was lost; and its request was never made.
    peers.node.endpoint.receive(0, packet(NON, CONTENT, 77, half.token(), [(6, b"\1")]), SERVER, 0)
    peers.node.endpoint.accept(peers.now, True)
    requests[b"d"].exchange = None
    peers.node.lose(peers.now)
    left = sorted([r.incoming.token for r in peers.node.pending_requests])
    assert left == [b"a", b"b"] and peers.node.counters == {"no_memory": 1}
    _, (answer,) = peers.answer(waiting)
    assert answer.token() == b"a"
    _, (answer,) = peers.answer(observed, 2)
    assert answer.token() == b"b"
    assert gone.code == 1


def test_arguments_have_their_bounds():
    ids = [b"u"]
    for arguments, is_right in (
        ((None, None, None, ids, []), True),
        ((b"d" * 248, 0xFFFFFF, b"e" * 8, [b"u" * 248], [b"q" * 248]), True),
        ((b"d" * 249, None, None, ids, []), False),
        ((None, None, b"e" * 249, ids, []), False),
        ((None, None, None, [b"u" * 249], []), False),
        ((None, None, None, ids, [b"q" * 249]), False),
        ((None, 0, None, ids, []), True),
        ((None, -1, None, ids, []), False),
        ((None, 0x1000000, None, ids, []), False),
        ((None, True, None, ids, []), False),
        ((None, None, None, [], []), False),
        (("d", None, None, ids, []), False),
        ((None, None, 1, ids, []), False),
        ((None, None, None, ids, [1]), False),
    ):
        made = encode_arguments(*arguments)
        assert (decode_arguments(made) is not None) == is_right, arguments
        if is_right:
            assert decode_arguments(made) == list(arguments) == loads(made)
    for body in (b"", b"\x80", dumps({}), dumps([None, None, None, ids]),
                 dumps([None, None, None, ids, [], []]), dumps([None, None, None, None, []]),
                 dumps([None, None, None, ids, None])):  # fmt: skip
        assert decode_arguments(body) is None, body


def test_a_request_that_there_was_no_memory_to_keep_is_taken_when_it_comes_again():
    class Full(list):
        def append(self, request):
            raise MemoryError

    peers = Node()
    peers.node.pending_requests = Full()
    assert peers.fetch() == ([], []) and peers.node.counters == {"no_memory": 1}
    peers.node.pending_requests = []
    peers.mid -= 1  # the gateway repeats its message
    (asked,), (ack,) = peers.fetch()
    assert ack.mtype == ACK and asked.code == 1
