"""Observations at the relay: which one ends, whose place is taken, what is passed on.

DESIGN: an observation is named by peer and token. Requests and responses are written by hand.
"""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET, NON, OBSERVE, RST
from msgin5g.relay import Relay
from builders import SERVER, raw_get, relay_settings, ue_address
from datagrams import packet, taken

UE = ue_address(2)
UE_ID = b"urn:x-msgin5g:ue:0042"
HOUR_MS = 3600000


class Peers:
    """A relay with one linked UE, and its two sides as a test plays them."""

    def __init__(self, **settings):
        self.relay = Relay(relay_settings(**settings), xorshift(5), SERVER, 0)
        assert self.relay.link_up(UE_ID, 0, UE)
        self.now = 0
        self.mid = 100

    def up(self, datagram, remote=UE):
        """The UE sends a datagram; what the relay then sends to the server: list of Message."""
        self.relay.receive(0, datagram, remote, self.now)
        return [message for message, to in self.sent() if to == SERVER]

    def down(self, token, sequence, mtype=CON, payload=b"", ue_id=UE_ID, code=CONTENT):
        """The server sends a response; what the relay then sends to UEs: list of Message."""
        self.mid += 1
        options = [] if sequence is None else [(OBSERVE, uint_bytes(sequence))]
        if ue_id:
            options.append((65020, ue_id))
        datagram = packet(mtype, code, self.mid, token, options, payload)
        self.relay.receive(0, datagram, SERVER, self.now)
        return [message for message, to in self.sent() if to != SERVER]

    def empty(self, mtype, mid, remote=UE):
        """An empty message comes: an acknowledgement or a Reset."""
        self.relay.receive(0, bytes((0x40 | mtype << 4, 0, mid >> 8, mid & 255)), remote, self.now)

    def sent(self):
        return taken(self.relay, self.now)

    def wait(self, ms):
        """Let time pass; everything that the relay sends meanwhile: list of (Message, remote)."""
        out = []
        end = self.now + ms
        while self.now < end:
            wait_ms = self.relay.wait_ms(self.now)
            self.now = min(end, self.now + (ms if wait_ms is None else max(wait_ms, 1)))
            self.relay.step(self.now)
            out += self.sent()
        return out

    def observe(self, mid, token, document_id="d"):
        """The UE observes a document with this token (hex); gives the token at the server."""
        (request,) = self.up(raw_get(mid, token, document_id, 0))
        (answer,) = self.down(request.token(), 1)
        assert answer.mtype == ACK and answer.find(OBSERVE) >= 0
        return request.token()


def test_a_notification_older_than_the_last_one_passed_on_is_dropped_and_counted():
    for mtype in (CON, NON):
        peers = Peers()
        token = peers.observe("9001", "6e657731")
        (newer,) = peers.down(token, 12, mtype, b"newer")
        assert newer.payload() == b"newer"
        # Its copy to the UE is lost, and the one before it arrives at the relay only now.
        assert peers.down(token, 11, mtype, b"older") == []
        assert peers.relay.counters == {"old_notification": 1}
        repeated = [m.payload() for m, to in peers.wait(4000) if to == UE]
        assert repeated == ([b"newer"] if mtype == CON else [])
        (next_one,) = peers.down(token, 13, mtype, b"next")
        assert next_one.payload() == b"next"


def test_an_old_notification_is_acknowledged_all_the_same():
    peers = Peers()
    token = peers.observe("9001", "6e657731")
    peers.down(token, 12)
    peers.relay.receive(
        0, packet(CON, CONTENT, 0x1267, token, [(OBSERVE, b"\x0b"), (65020, UE_ID)]), SERVER, 0
    )
    assert [(m.mtype, m.code, m.mid, to) for m, to in peers.sent()] == [(ACK, 0, 0x1267, SERVER)]


def test_a_reset_or_time_out_of_an_old_answer_ends_no_newer_observation():
    for way in ("reset", "time-out"):
        peers = Peers()
        (request,) = peers.up(raw_get("0001", "6f6c6431"))
        peers.wait(1500)  # the UE gets an empty acknowledgement
        (old,) = peers.down(request.token(), None)
        assert old.mtype == CON
        token = peers.observe("9001", "6e657731")
        if way == "reset":
            peers.empty(RST, old.mid)
            assert peers.relay.counters == {"answer_reset": 1}
        else:
            peers.wait(100000)
            assert peers.relay.counters == {"answer_timeout": 1}
        (pushed,) = peers.down(token, 2, CON, b"changed")
        assert pushed.token() == b"new1" and pushed.payload() == b"changed", way


def test_a_deregistration_with_another_token_ends_nothing():
    peers = Peers()
    token = peers.observe("9001", "6e657731")
    (request,) = peers.up(raw_get("9002", "6f746872", "d", 1))
    assert request.uint(OBSERVE) == 1 and request.token() != token
    peers.down(request.token(), None)
    (pushed,) = peers.down(token, 2, CON, b"changed")
    assert pushed.token() == b"new1" and peers.relay.n_observing == 1
    # With its own token it ends, at the server too.
    (request,) = peers.up(raw_get("9003", "6e657731", "d", 1))
    assert request.uint(OBSERVE) == 1 and request.token() == token
    assert peers.relay.n_observing == 0


def test_a_deregistration_before_the_first_answer_ends_the_observation():
    peers = Peers()
    (request,) = peers.up(raw_get("9001", "6e657731", "d", 0))
    (ending,) = peers.up(raw_get("9002", "6e657731", "d", 1))
    assert ending.token() == request.token() and ending.uint(OBSERVE) == 1
    (answer,) = peers.down(ending.token(), None)
    assert answer.mid == 0x9002 and not peers.relay.flows()
    # A late copy of the first request does not begin it again.
    assert peers.up(raw_get("9001", "6e657731", "d", 0)) == []
    assert peers.relay.counters == {"duplicate": 1}


def test_a_deregistration_stops_a_notification_that_is_not_acknowledged():
    peers = Peers()
    token = peers.observe("9001", "6e657731")
    assert peers.down(token, 2)[0].mtype == CON
    (request,) = peers.up(raw_get("9002", "6e657731", "d", 1))
    assert len(peers.down(request.token(), None)) == 1
    assert [to for _, to in peers.wait(100000)] == [] and peers.relay.wait_ms(peers.now) is None


def test_an_observation_that_is_refused_and_held_back_is_passed_on_without_observe():
    peers = Peers(max_observations=0, max_rate=1)
    (request,) = peers.up(raw_get("9001", "6e657731", "d", 0))
    assert request.find(OBSERVE) < 0
    assert peers.up(raw_get("9002", "6e657732", "d", 0)) == []
    (request,) = [message for message, to in peers.wait(1000) if to == SERVER]
    assert request.find(OBSERVE) < 0 and request.option(15) == b"ue-uri=" + UE_ID
    assert peers.relay.counters == {"observations_full": 2}


def test_a_reset_of_a_non_confirmable_notification_ends_the_observation():
    for mtype in (CON, NON):
        peers = Peers()
        (request,) = peers.up(with_type(mtype, raw_get("9001", "6e657731", "d", 0)))
        (first,) = peers.down(request.token(), 1, NON)
        assert first.mtype == (ACK if mtype == CON else NON)
        for n in range(3):
            (pushed,) = peers.down(request.token(), 2 + n, NON)
            assert pushed.mtype == NON
        peers.empty(RST, pushed.mid ^ 0x4000)
        assert peers.relay.n_observing == 1
        peers.empty(RST, pushed.mid)
        assert not peers.relay.flows() and peers.relay.counters["answer_reset"] == 1
        # The server hears of it when it has something new.
        (reset,) = peers.up(
            packet(CON, CONTENT, 7, request.token(), [(OBSERVE, b"\x09"), (65020, UE_ID)]), SERVER
        )
        assert (reset.mtype, reset.mid) == (RST, 7)


def test_a_reset_of_the_first_non_confirmable_answer_ends_the_observation():
    peers = Peers()
    (request,) = peers.up(with_type(NON, raw_get("9001", "6e657731", "d", 0)))
    (first,) = peers.down(request.token(), 1, NON)
    peers.empty(RST, first.mid)
    assert not peers.relay.flows() and peers.relay.counters == {"answer_reset": 1}


def test_a_reset_of_another_non_confirmable_answer_ends_no_observation():
    peers = Peers()
    (other,) = peers.up(with_type(NON, raw_get("0001", "6f6c6431")))
    (answer,) = peers.down(other.token(), None, NON)
    (request,) = peers.up(with_type(NON, raw_get("9001", "6e657731", "d", 0)))
    peers.down(request.token(), 1, NON)
    peers.down(request.token(), 2, NON)
    peers.empty(RST, answer.mid)
    assert peers.relay.n_observing == 1 and peers.relay.counters == {"unmatched_empty": 1}


def test_non_confirmable_observations_leave_nothing_behind():
    peers = Peers(max_rate=1000)
    for n in range(200):
        token = "746f%04x" % n
        (request,) = peers.up(with_type(NON, raw_get("%04x" % (0x100 + n), token, "d", 0)))
        peers.down(request.token(), 1, NON)
        peers.down(request.token(), 2, NON)
        code = CONTENT if n % 2 else 0x84
        assert len(peers.down(request.token(), None, NON, code=code)) == 1
    assert not peers.relay.flows() and peers.relay.counters == {}
    peers.observe("9001", "6e657731")


def with_type(mtype, datagram):
    return bytes((datagram[0] & 0xCF | mtype << 4,)) + datagram[1:]


def test_of_non_confirmable_notifications_one_in_twelve_hours_is_confirmable():
    peers = Peers()
    token = peers.observe("9001", "6e657731")
    mtypes = []
    for n in range(50):
        peers.wait(HOUR_MS)
        (pushed,) = peers.down(token, 2 + n, NON)
        mtypes.append(pushed.mtype)
        if pushed.mtype == CON:
            peers.empty(ACK, pushed.mid)
    assert [n for n in range(50) if mtypes[n] == CON] == [11, 23, 35, 47]
    # Longer than the clock can compare.
    for _ in range(20):
        peers.wait(12 * HOUR_MS)
    assert peers.down(token, 90, NON)[0].mtype == CON


def test_a_ue_that_is_gone_is_noticed_though_the_server_never_asks_for_an_acknowledgement():
    peers = Peers()
    token = peers.observe("9001", "6e657731")
    peers.wait(13 * HOUR_MS)
    for n in range(9):
        (pushed,) = peers.down(token, 2 + n, NON)
        assert pushed.mtype == CON  # as those after it, as long as it is not acknowledged
        peers.wait(10000)
    peers.wait(10000)
    assert not peers.relay.flows() and peers.relay.counters["answer_timeout"] == 1


def test_one_ue_with_forty_tokens_leaves_room_for_the_observation_of_the_next_one():
    other = ue_address(3)
    peers = Peers(max_rate=1000)
    relay = peers.relay
    relay.link_up(b"urn:x:2", 0, other)
    tokens = []
    for n in range(40):
        tokens.append(peers.observe("%04x" % (0x100 + n), "746f%04x" % n, "d" + str(n)))
        assert relay.n_observing == 1 == len(relay.links.of_ue(UE_ID).flows)
    options = [(OBSERVE, b""), (15, b"ue-uri=urn:x:2"), (65020, b"coap://scm.example")]
    (request,) = peers.up(packet(CON, GET, 1, b"tokn", options), other)
    assert request.uint(OBSERVE) == 0
    (answer,) = peers.down(request.token(), 1, ue_id=b"urn:x:2")
    assert answer.find(OBSERVE) >= 0 and relay.n_observing == 2
    # The newest one of the first UE is served: it may have lost the others.
    (pushed,) = peers.down(tokens[-1], 2)
    assert pushed.token() == b"to\x00\x27" and relay.counters == {}


def test_nothing_that_is_about_one_ue_goes_through_the_flows_of_all():
    peers = Peers(max_rate=1000, max_links=300, max_observations=300)
    relay = peers.relay
    tokens = []
    for n in range(1000, 1060):
        remote = ue_address(n)
        relay.link_up(b"urn:x:%d" % n, 0, remote)
        options = [(OBSERVE, b""), (15, b"ue-uri=urn:x:%d" % n), (65020, b"coap://scm.example")]
        (request,) = peers.up(packet(CON, GET, 1, b"tokn", options), remote)
        assert len(peers.down(request.token(), 1, ue_id=b"urn:x:%d" % n)) == 1
        tokens.append(request.token())
    assert relay.n_observing == 60
    others = [relay.links.of_ue(b"urn:x:%d" % n) for n in range(1002, 1059)]
    kept = [ue.flows for ue in others]
    for ue in others:
        ue.flows = None  # who looks at these fails
    # A renewal, a notification, a deregistration, a Reset, and the end of a link.
    (request,) = peers.up(packet(CON, GET, 2, b"tokn", options), remote)
    assert request.token() == tokens[-1]
    peers.down(request.token(), 2, ue_id=b"urn:x:%d" % n)
    (pushed,) = peers.down(request.token(), 3, ue_id=b"urn:x:%d" % n)
    peers.empty(RST, pushed.mid, remote)
    assert relay.n_observing == 59
    relay.link_down(b"urn:x:1000")
    options = [(OBSERVE, b"\x01"), (15, b"ue-uri=urn:x:1001"), (65020, b"coap://scm.example")]
    (request,) = peers.up(packet(CON, GET, 2, b"tokn", options), ue_address(1001))
    assert request.token() == tokens[1] and relay.n_observing == 57
    for ue, flows in zip(others, kept):
        ue.flows = flows
    assert len(relay.flows()) == 57 + 1  # with the deregistration


def test_the_share_of_a_ue_is_equal_and_at_most_four():
    for max_observations, max_links, share in ((32, 32, 1), (3, 32, 1), (64, 32, 2), (300, 2, 4)):
        peers = Peers(
            max_rate=1000, max_flows=64, max_observations=max_observations, max_links=max_links
        )
        for n in range(6):
            peers.observe("%04x" % (0x100 + n), "746f%04x" % n)
        assert peers.relay.n_observing == share, (max_observations, max_links)
        # The oldest ones have ended.
        tokens = [flow.incoming.token for flow in peers.relay.flows()]
        assert tokens == [b"to\0" + bytes((n,)) for n in range(6 - share, 6)]
        peers.relay.link_down(UE_ID)
        assert peers.relay.n_observing == 0 and not peers.relay.flows()


def test_a_late_copy_of_a_former_registration_that_is_refused_ends_no_observation():
    """Found by host/test_fleet_machine.py: the UE would not get changes until its next fetch."""
    peers = Peers()
    kept = peers.observe("9001", "6e657731")
    (late,) = peers.up(raw_get("9000", "6f6c6431", "gone", 0))
    assert len(peers.relay.flows()) == 2
    (refusal,) = peers.down(late.token(), None, code=0x84)
    assert (refusal.mtype, refusal.code, refusal.token()) == (ACK, 0x84, b"old1")
    (pushed,) = peers.down(kept, 2)
    assert (pushed.mtype, pushed.token(), pushed.uint(OBSERVE)) == (CON, b"new1", 2)
    assert peers.relay.n_observing == 1


def test_a_ue_that_has_begun_anew_keeps_one_observation_while_it_asks_for_many():
    peers = Peers(max_rate=1000)
    peers.observe("9001", "6e657731")
    asked = []
    for n in range(40):
        asked += peers.up(raw_get("%04x" % n, "746f%04x" % n, "d", 0))
        assert len(peers.relay.flows()) == 2 and peers.relay.n_observing == 1
    (answer,) = peers.down(asked[-1].token(), 1)
    assert answer.token() == b"to\0\x27" and answer.uint(OBSERVE) == 1
    (flow,) = peers.relay.flows()
    assert flow.observing and flow.incoming.token == b"to\0\x27"


def test_refused_requests_of_one_ue_do_not_push_the_time_to_retry_of_others_away():
    peers = Peers(max_flows=1, max_rate=20)
    relay = peers.relay
    for n in (2, 3):
        relay.link_up(b"urn:x:%d" % n, 0, ue_address(n + 1))
    queries = [(15, b"ue-uri=urn:x:2"), (65020, b"coap://scm.example")]
    peers.up(packet(CON, GET, 1, b"tokn", queries), ue_address(3))  # the relay is full now
    ages = set()
    for n in range(20000):
        relay.receive(0, raw_get("%04x" % n, "%08x" % n), UE, peers.now)
        for message, to in peers.sent():
            if to == UE:
                assert message.code == 0xA3
                ages.add(message.uint(14))
    assert ages == {1}
    queries = [(15, b"ue-uri=urn:x:3"), (65020, b"coap://scm.example")]
    relay.receive(0, packet(CON, GET, 1, b"tokn", queries), ue_address(4), peers.now)
    (refused,) = [message for message, to in peers.sent() if to == ue_address(4)]
    assert refused.code == 0xA3 and refused.uint(14) == 2
    # Its own time comes nearer, and is not put off.
    peers.now += 600
    relay.receive(0, packet(CON, GET, 2, b"tokm", queries), ue_address(4), peers.now)
    (refused,) = [message for message, to in peers.sent() if to == ue_address(4)]
    assert refused.uint(14) == 1


def test_times_to_retry_are_as_far_apart_as_the_requests_may_be():
    # (max_rate, Max-Age of each UE in its turn)
    for max_rate, expected in (
        (2, [1, 2, 2, 3, 3]),
        (1000, [1, 2, 2, 2, 2]),
        (1, [1, 2, 3, 4, 5]),
    ):
        for start in (0, 0x3FFFFFFF - 300):  # the clock wraps in between
            peers = Peers(max_flows=1, max_rate=max_rate)
            peers.now = start
            peers.up(raw_get("0001", "6f6c6431"))
            ages = []
            for n in range(5):
                peers.relay.link_up(b"urn:x:%d" % n, 0, ue_address(3 + n))
                queries = [(15, b"ue-uri=urn:x:%d" % n), (65020, b"coap://scm.example")]
                request = packet(CON, GET, 1, b"tokn", queries)
                peers.relay.receive(0, request, ue_address(3 + n), peers.now)
                ages += [message.uint(14) for message, to in peers.sent()]
            assert ages == expected, (max_rate, start)
            # Once its time is there, a UE that is refused again gets another one.
            peers.now = (start + 60000) & 0x3FFFFFFF
            request = packet(CON, GET, 2, b"tokn", queries)
            peers.relay.receive(0, request, ue_address(7), peers.now)
            ages = [message.uint(14) for message, to in peers.sent() if to == ue_address(7)]
            assert ages == [1], (max_rate, start)


def test_a_setting_lets_the_relay_add_the_recipient_that_the_server_does_not_know():
    for more in ([], [(12, b"\xfd\xe9")], [(65000, b"a"), (65300, b"b")]):
        peers = Peers(add_recipient=True)
        (request,) = peers.up(raw_get("0001", "6f6c6431"))
        datagram = packet(ACK, CONTENT, request.mid, request.token(), more, b"body")
        peers.relay.receive(0, datagram, SERVER, 0)
        ((answer, to),) = peers.sent()
        assert to == UE and (answer.mtype, answer.mid, answer.token()) == (ACK, 1, b"old1")
        options = [(answer.numbers[i], answer.value(i)) for i in range(answer.n_options)]
        expected = [o for o in more if o[0] < 65020] + [(65020, UE_ID)]
        assert options == expected + [o for o in more if o[0] > 65020]
        assert answer.payload() == b"body" and peers.relay.counters == {}


def test_with_that_setting_a_foreign_recipient_source_or_token_is_dropped_as_without():
    peers = Peers(add_recipient=True)
    peers.relay.link_up(b"urn:x:2", 0, ue_address(3))
    (request,) = peers.up(raw_get("0001", "6f6c6431"))
    token = request.token()
    assert peers.down(token, None, ue_id=b"urn:x:2") == []
    assert peers.down(b"evil", None, ue_id=None) == []
    datagram = packet(ACK, CONTENT, request.mid, token, [], b"body")
    peers.relay.receive(0, datagram, ("192.0.2.2", 5683), 0)
    peers.relay.receive(0, packet(ACK, CONTENT, request.mid ^ 1, token, []), SERVER, 0)
    assert peers.sent() == []
    counters = {"recipient_mismatch": 1, "unmatched_response": 2, "wrong_source": 1}
    assert {k: peers.relay.counters[k] for k in counters} == counters
    (answer,) = peers.down(token, None, ue_id=None)
    assert answer.option(65020) == UE_ID


def test_with_that_setting_a_recipient_that_is_malformed_or_hidden_is_not_replaced():
    for number, more in (
        (65020, [(65020, b"")]),
        (65020, [(65020, bytes(256))]),
        (65020, [(65020, b""), (65020, b"urn:x:2")]),
        (2048, [(2044, b"")] * 70 + [(2048, b"urn:x:2")]),
    ):
        peers = Peers(add_recipient=True, recipient_option=number)
        options = [(15, b"ue-uri=" + UE_ID), (number, b"coap://scm.example")]
        (request,) = peers.up(packet(CON, GET, 1, b"tokn", options))
        datagram = packet(ACK, CONTENT, request.mid, request.token(), more, b"body")
        peers.relay.receive(0, datagram, SERVER, 0)
        assert peers.sent() == [] and peers.relay.counters == {"missing_recipient": 1}, more[-1]


def test_with_that_setting_what_is_then_too_large_is_5_02():
    # Of 1,152 bytes header and token take 8, the Recipient 25, the payload's marker 1.
    for size, code in ((1118, CONTENT), (1119, 0xA2), (1143, 0xA2)):
        peers = Peers(add_recipient=True)
        (request,) = peers.up(raw_get("0001", "6f6c6431"))
        datagram = packet(ACK, CONTENT, request.mid, request.token(), [], bytes(size))
        peers.relay.receive(0, datagram, SERVER, 0)
        ((answer, _),) = peers.sent()
        assert answer.code == code and answer.option(65020) == UE_ID, size
        assert peers.relay.counters == ({} if code == CONTENT else {"too_large": 1})


def test_with_that_setting_observations_pass_too():
    peers = Peers(add_recipient=True)
    (request,) = peers.up(raw_get("9001", "6e657731", "d", 0))
    for sequence, mtype in ((1, ACK), (2, CON), (3, CON)):
        (message,) = peers.down(request.token(), sequence, CON, b"x", ue_id=None)
        assert message.option(65020) == UE_ID and message.uint(OBSERVE) == sequence
        assert message.mtype == mtype


def out_of_memory(*_, **__):
    raise MemoryError


def test_want_of_memory_drops_nothing_that_is_whole():
    peers = Peers(max_rate=2, max_observations=64, max_links=16)
    relay = peers.relay
    token = peers.observe("9001", "6e657731")
    (waiting,) = peers.up(raw_get("9002", "6f6c6431"))
    assert peers.up(raw_get("9003", "6f6c6432")) == []  # held back
    relay.lose(peers.now)
    assert relay.counters == {"no_memory": 1}
    assert (relay.n_requests, relay.n_observing, len(relay.flows())) == (2, 1, 3)
    assert relay.links.of_ue(UE_ID).n_requests == 2
    (answer,) = peers.down(waiting.token(), None)
    assert answer.token() == b"old1"
    (request,) = [message for message, to in peers.wait(1000) if to == SERVER]
    (answer,) = peers.down(request.token(), None)
    assert answer.token() == b"old2"
    (pushed,) = peers.down(token, 2)
    assert pushed.token() == b"new1"
    peers.empty(RST, pushed.mid)
    assert (relay.n_requests, relay.n_observing, relay.flows()) == (0, 0, [])


def test_a_request_that_there_was_no_memory_for_goes_up_when_it_is_repeated():
    peers = Peers(max_flows=1)
    endpoint = peers.relay.endpoint
    start = endpoint.start
    endpoint.start = out_of_memory
    for document_id in ("d", "e"):
        assert peers.up(raw_get("9001", "6e657731", document_id, 0)) == []
        assert peers.relay.flows() == [] and peers.relay.n_requests == 0
    endpoint.start = start
    peers.observe("9001", "6e657731")
    assert peers.relay.counters == {"no_memory": 2} and peers.relay.n_observing == 1
