"""The gateway, TS 24.538 6.2.2.x: it collects, asks once, splits, and answers each UE."""

from gateway_stations import (
    Hand,
    address,
    doc,
    name,
    new_bulk_server,
    new_gateway,
    new_ues,
    shared,
)
from msgin5g.cbor import loads
from msgin5g.seal.problem import parse
from world import World


def new(numbers, documents, server=None, hands=None, fate=None, **settings):
    """(world, gateway, server, hands): every UE of `numbers` is linked and worked by hand."""
    world = World(fate)
    gateway = new_gateway(world, numbers, **settings)
    a_server = new_bulk_server(world, documents, **(server or {}))
    return world, gateway, a_server, [Hand(world, n) for n in (hands or numbers)]


def answered(world, hands, limit_ms=200000):
    return world.run(lambda: all(hand.answers for hand in hands), limit_ms)


def test_three_requests_become_one_and_each_ue_gets_its_own_document():
    world, gateway, server, hands = new((1, 2, 3), [doc(n) for n in (1, 2, 3)])
    exchanges = [hand.get() for hand in hands]
    assert answered(world, hands)
    assert server.asked == [((name(1), name(2), name(3)), 0, None, None)]
    for hand, exchange in zip(hands, exchanges):
        (answer,) = hand.answers
        assert (answer.mtype, answer.code, answer.token()) == (0, 0x45, exchange.token)
        assert answer.option(65020) == name(hand.n).encode()
        assert answer.uint(12) == 65001
        assert loads(answer.payload()) == [doc(hand.n)]
        assert len(answer.option(4)) == 8
    # Each was acknowledged at once, and answered when the window of 2 s was over.
    acks = [e for e in world.log if e[3][0] >> 4 & 3 == 2 and e[1] != ("192.0.2.1", 5683)]
    assert [e[0] for e in acks[:3]] == [10, 10, 10]
    assert all(len(e[3]) == 4 for e in acks)
    assert world.elapsed_ms == 10 + 2000 + 10 + 10 + 10
    assert gateway.n_waiting == 0 and gateway.counters == {}
    world.run(None, 100000)
    assert gateway.wait_ms(world.now) is None or gateway.wait_ms(world.now) > 1000


def test_the_count_triggers_before_the_window_is_over():
    world, _, server, hands = new((1, 2, 3, 4), [doc(n) for n in (1, 2, 3, 4)], bulk_count=3)
    for hand in hands[:3]:
        hand.get()
    assert answered(world, hands[:3])
    assert world.elapsed_ms < 100 and len(server.bulks) == 1


def test_one_pending_request_becomes_an_ordinary_get():
    world, _, server, (hand,) = new((1,), [doc(1)])
    hand.get(queries=(b"ue-vendor=acme",))
    assert answered(world, [hand])
    assert server.asked == [((name(1),), 0, None, None)]
    assert server.queries == [[b"ue-vendor=acme"]]
    assert hand.documents() == [doc(1)]


def test_urgent_requests_go_alone_and_at_once():
    documents = [doc(n) for n in (1, 2, 3)]
    world, _, server, hands = new((1, 2, 3), documents, bulk_urgent=[name(2)])
    for hand in hands:
        hand.get()
    assert answered(world, [hands[1]])
    assert world.elapsed_ms < 100 and server.asked == [((name(2),), 0, None, None)]
    assert answered(world, hands)
    assert server.bulks == [(name(1), name(3))]


def test_vendor_and_type_go_up_only_when_all_share_them():
    numbers = (1, 2)
    for queries, expected in (
        (((b"ue-vendor=a", b"ue-type=35123456"), (b"ue-type=35123456",)), [b"ue-type=35123456"]),
        (((b"ue-vendor=a",), (b"ue-vendor=b",)), []),
        (((b"ue-vendor=a",), (b"ue-vendor=a",)), [b"ue-vendor=a"]),
        (((), (b"ue-vendor=a",)), []),
    ):
        world, _, server, hands = new(numbers, [doc(n) for n in numbers])
        for hand, these in zip(hands, queries):
            hand.get(queries=these)
        assert answered(world, hands)
        assert server.queries == [expected + [b"bulkConfFlag=msgin5g-bulk"]]


def test_nobody_learns_who_else_is_named():
    both = shared([name(1), name(2), name(9)])
    other = shared([name(8)], "other")
    world, gateway, server, hands = new((1, 2, 3), [both, doc(2), doc(3), other])
    server._of = lambda what: server.documents  # it gives more than it was asked for
    for hand in hands:
        hand.get()
    assert answered(world, hands)
    one = dict(both, valUeIds={"uris": [name(1)]})
    two = dict(both, valUeIds={"uris": [name(2)]})
    assert [hand.documents() for hand in hands] == [[one], [two, doc(2)], [doc(3)]]
    for hand in hands:
        for n in (1, 2, 3, 8, 9):
            own = n == hand.n
            assert (name(n).encode() in hand.answers[0].payload()) == own, (hand.n, n)
    assert gateway.counters == {"document_not_asked": 1}


def test_a_document_for_everybody_goes_to_everybody():
    common = shared(None)
    world, _, _, hands = new((1, 2), [common, doc(2)])
    for hand in hands:
        hand.get()
    assert answered(world, hands)
    assert hands[0].documents() == [common]
    assert sorted(d["ueConfigDocId"] for d in hands[1].documents()) == ["doc-2", "shared"]


def test_equal_content_has_an_equal_etag_and_a_known_one_is_not_sent_again():
    world, _, server, (hand, other) = new((1, 2), [doc(1), doc(2)], server={"max_age_s": 10})
    hand.get()
    assert answered(world, [hand])
    etag = hand.answers[0].option(4)
    world.run(None, 20000)
    hand.get(etag=etag)
    other.get(etag=etag)
    assert world.run(lambda: len(hand.answers) == 2 and other.answers)
    assert (hand.answers[1].code, hand.answers[1].option(4)) == (0x43, etag)
    assert hand.answers[1].option(65020) == name(1).encode() and not hand.answers[1].payload()
    assert other.answers[0].code == 0x45 and other.answers[0].option(4) != etag
    assert len(server.bulks) == 1  # the first request was alone


def test_a_ue_without_a_document_gets_its_own_404():
    world, _, server, hands = new((1, 2, 3), [doc(1), doc(3)])
    for hand in hands:
        hand.get()
    assert answered(world, hands)
    assert [hand.answers[0].code for hand in hands] == [0x45, 0x84, 0x45]
    missing = hands[1].answers[0]
    assert missing.uint(12) == 257 and parse(missing.payload())[0]
    assert missing.option(65020) == name(2).encode()
    assert len(server.asked) == 1


def test_a_refused_bulk_is_repeated_singly_once_and_one_denied_ue_starves_nobody():
    numbers = (1, 2, 3, 4)
    for options in ({"denied": (name(3),)}, {"entitled": False, "denied": (name(3),)}):
        world, gateway, server, hands = new(numbers, [doc(n) for n in numbers], options)
        for hand in hands:
            hand.get()
        assert answered(world, hands)
        assert [hand.answers[0].code for hand in hands] == [0x45, 0x45, 0x83, 0x45]
        assert parse(hands[2].answers[0].payload()) == ("Forbidden", name(3) + " is not allowed")
        assert len(server.asked) == 5 and len(server.bulks) == 1
        assert gateway.counters == {"bulk_refused": 1}


def test_what_ends_a_bulk_reaches_everybody_in_it():
    named = ("for " + name(1)).encode()
    for fault, code, age in (
        ((0x84, [], named), 0x84, None),
        ((0x9D, [(14, b"\x07")], named), 0x9D, 7),
        ((0xA0, [], named), 0xA3, None),
        ((0xA3, [(14, b"\x09")], named), 0xA3, 9),
        ((0xA4, [], named), 0xA4, None),
        ((0x45, [(12, b"\x00")], b"text"), 0xA3, None),
        ((0x45, [], b"\x82\xa0"), 0xA3, None),
        ((0x45, [], b"not CBOR"), 0xA3, None),
        ((0x45, [], b"\x80\x80"), 0xA3, None),
        ((0x45, [(23, b"\x1e")], 1024 * b"\x80"), 0xA3, None),
        ((0x45, [(23, b"\x0f")], 1024 * b"\x80"), 0xA3, None),
        ((0x45, [(23, b"\x0e")], 1000 * b"\x80"), 0xA3, None),
    ):
        world, gateway, server, hands = new((1, 2), [doc(1), doc(2)], {"faults": {0: fault}})
        for hand in hands:
            hand.get()
        assert answered(world, hands)
        for hand in hands:
            answer = hand.answers[0]
            assert (answer.code, answer.uint(14)) == (code, age), (fault, answer.code)
            assert answer.option(65020) == name(hand.n).encode()
            assert answer.uint(12) == 257 and b"ue:" not in answer.payload()
        assert gateway.n_waiting == 0 and len(server.asked) == 1


def test_a_server_that_is_gone_is_504_in_the_time_that_a_ue_waits():
    world, gateway, _, hands = new((1, 2, 3), [])
    world.remove(("192.0.2.1", 5683))
    for hand in hands:
        hand.get()
    assert answered(world, hands)
    assert 80000 <= world.elapsed_ms < 93000
    assert [hand.answers[0].code for hand in hands] == [0xA4, 0xA4, 0xA4]
    assert gateway.n_waiting == 0
    world.run(None, 200000)
    assert gateway.wait_ms(world.now) is None


def test_a_duplicate_while_waiting_repeats_the_acknowledgement_and_adds_nothing():
    world, gateway, server, hands = new((1, 2), [doc(1), doc(2)])
    for hand in hands:
        hand.get()
    world.run(None, 100)
    request = next(d for _, s, _, d in world.log if s == address(1))
    for n in range(30):
        # Long after the endpoint has forgotten the message it is still known.
        if n == 10:
            for i in range(20):
                world.send(("10.0.0.1", 1), address(0), b"")
        world.send(address(1), ("192.168.4.1", 65401), request, 10 + n)
    world.run(None, 200)
    acks = [d for _, _, to, d in world.log if to == address(1)]
    assert len(acks) == 31 and all(a == acks[0] and len(a) == 4 for a in acks)
    assert answered(world, hands)
    assert server.asked == [((name(1), name(2)), 0, None, None)]
    assert gateway.counters["duplicate"] == 30
    # Late, after the answer: acknowledged, not asked for again.
    world.send(address(1), ("192.168.4.1", 65401), request, 10)
    world.run(None, 5000)
    assert len(server.asked) == 1 and len(hands[0].answers) == 1


def test_a_newer_request_takes_the_place_of_the_former():
    world, gateway, server, hands = new((1, 2), [doc(1), doc(2)])
    first = hands[0].get()
    hands[1].get()
    world.run(None, 100)
    hands[0].endpoint.cancel(first)
    second = hands[0].get()
    assert answered(world, hands)
    assert hands[0].answers[0].token() == second.token
    assert server.bulks == [(name(1), name(2))] and gateway.n_waiting == 0
    world.run(None, 100000)
    assert len(hands[0].answers) == 1


def test_a_full_gateway_says_busy_with_a_time_for_everybody():
    numbers = tuple(range(1, 7))
    world, gateway, _, hands = new(numbers, [doc(n) for n in numbers], max_waiting=2)
    for hand in hands:
        hand.get()
    assert answered(world, hands)
    codes = [hand.answers[0].code for hand in hands]
    assert codes.count(0x45) == 2 and codes.count(0xA3) == 4
    for hand in hands:
        answer = hand.answers[0]
        assert answer.option(65020) == name(hand.n).encode()
        assert answer.code == 0x45 or answer.uint(14) >= 1
    assert gateway.counters["busy"] == 4


def test_link_down_forgets_the_request():
    world, gateway, server, hands = new((1, 2, 3), [doc(n) for n in (1, 2, 3)])
    for hand in hands:
        hand.get()
    world.run(None, 100)
    gateway.link_down(name(2).encode())
    assert gateway.n_waiting == 2
    assert answered(world, [hands[0], hands[2]])
    assert server.bulks == [(name(1), name(3))]
    world.run(None, 100000)
    assert not hands[1].answers and gateway.n_waiting == 0
    # And while its answer is on its way, or repeated.
    hands[0].deaf = True
    for hand in (hands[0], hands[2]):
        hand.get()
    world.run(lambda: len(hands[2].answers) == 2)
    gateway.link_down(name(1).encode())
    gateway.link_down(name(3).encode())
    n_sent = world.n_sent
    world.run(None, 60000)
    assert all(to != address(1) for _, _, to, _ in world.log[n_sent:])


def test_the_last_one_gone_ends_the_question_itself():
    world, gateway, _, hands = new((1, 2), [doc(1), doc(2)], {"slow_ms": 30000})
    for hand in hands:
        hand.get()
    world.run(None, 5000)
    gateway.link_down(name(1).encode())
    gateway.link_down(name(2).encode())
    assert gateway.n_waiting == 0 and gateway._transfers == []
    world.run(None, 100000)
    assert not hands[0].answers and gateway.counters["unmatched_response"] >= 1


def test_more_ues_than_a_message_names_are_asked_for_in_several():
    numbers = tuple(range(1, 101))
    documents = [doc(n) for n in numbers]
    world, _, server, hands = new(numbers, documents, bulk_count=1000, cache_size=0)
    for hand in hands:
        hand.get()
    assert answered(world, hands)
    for hand in hands:
        assert hand.documents() == [doc(hand.n)]
    assert server.largest <= 1152 and world.largest <= 1152
    sizes = [len(ids) for ids in server.bulks]
    assert sizes == [33, 33, 33]  # and the one that is left has a request of its own
    assert len({i for asked in server.asked for i in asked[0]}) == 100
    assert server.largest > 1152 - 42 - 4 - 32


def test_only_so_much_is_held_and_all_get_theirs_from_small_blocks_too():
    numbers = tuple(range(1, 31))
    for block_size, hold_size in ((1024, 0), (64, 500), (16, 2000)):
        peaks = []
        world, gateway, server, hands = new(
            numbers, [doc(n) for n in numbers], bulk_count=30, hold_size=hold_size,
            block_size=block_size, max_answers=2,
        )  # fmt: skip
        for hand in hands:
            hand.get(block2=6)

        def done():
            peaks.append(gateway._held_size)
            return all(hand.answers for hand in hands)

        assert world.run(done, 80000), block_size
        # A document that comes in the block that fills the room is the last one.
        assert max(peaks) <= hold_size + block_size + 200, (block_size, max(peaks))
        assert gateway._held_size == 0 and len(server.bulks) == 1
        for hand in hands:
            assert hand.answers[0].option(65020) == name(hand.n).encode()


def test_a_large_answer_goes_block_by_block():
    big = doc(1, text=3000 * "x")
    for szx, mine in ((None, 1024), (6, 1024), (4, 256)):
        world, _, server, (hand, other) = new((1, 2), [big, doc(2)])
        hand.get(block2=szx)
        other.get()
        assert answered(world, (hand, other))
        body = b""
        while True:
            answer = hand.answers[-1]
            assert answer.code == 0x45 and answer.option(65020) == name(1).encode()
            block = answer.uint(23)
            assert 16 << (block & 7) == mine and answer.option(4) == hand.answers[0].option(4)
            body += answer.payload()
            if not block & 8:
                break
            n = len(hand.answers)
            hand.get(block2=(block >> 4) + 1 << 4 | block & 7)
            assert world.run(lambda: len(hand.answers) > n)
        assert loads(body) == [big] and hand.answers[0].uint(28) == len(body)
        assert len(server.bulks) == 1 and all(len(a[0]) == 2 for a in server.asked)
        n = len(hand.answers)
        hand.get(block2=500 << 4 | 6)
        assert world.run(lambda: len(hand.answers) > n)
        assert hand.answers[-1].code == 0x80


def test_the_body_changes_under_the_transfer_and_all_get_the_new_one():
    numbers = (1, 2, 3, 4, 5)
    world, _, server, hands = new(numbers, [doc(n, text=400 * "x") for n in numbers])
    for hand in hands:
        hand.get()
    assert world.run(lambda: len(server.asked) == 2)
    server.documents = [doc(n, text=500 * "y") for n in numbers]
    assert answered(world, hands)
    for hand in hands:
        assert hand.documents() == [doc(hand.n, text=500 * "y")]
    assert len(server.bulks) == 2


def test_max_age_is_less_the_time_that_the_answer_has_waited():
    numbers = (1, 2)
    world, _, _, hands = new(numbers, [doc(n) for n in numbers], {"max_age_s": 100},
                                   max_answers=1)  # fmt: skip
    hands[0].deaf = True
    hands[0].get()
    world.run(None, 20)
    hands[1].get()
    assert world.run(lambda: hands[1].answers)
    # The first one did not acknowledge: the second one had to wait until it was hopeless.
    waited_ms = world.elapsed_ms - 2040
    assert waited_ms > 4000
    assert hands[1].answers[0].uint(14) == 100 - (waited_ms + 999) // 1000


def test_an_individual_document_is_fetched_for_the_ue_that_it_names():
    both = shared([name(1), name(2)])
    world, _, server, (hand, other) = new((1, 2, 3), [both, doc(3)], hands=(1, 3))
    hand.get(b"shared")
    assert answered(world, [hand])
    assert world.elapsed_ms < 100
    assert hand.documents() == dict(both, valUeIds={"uris": [name(1)]})
    other.get(b"shared")
    assert answered(world, [other])
    assert other.answers[0].code == 0x84
    assert [a[2] for a in server.asked] == ["shared", "shared"]


def test_what_may_not_come_is_discarded_as_at_a_relay():
    world, gateway, server, (hand,) = new((1,), [doc(1), doc(2)])
    hand.get(ue_ids=[name(2).encode()])
    hand.get(ue_ids=[name(1).encode(), name(2).encode()])
    stranger = Hand(world, 7)
    stranger.get()
    world.run(None, 1000)
    assert gateway.counters["wrong_ue_uri"] == 2 and gateway.counters["not_linked"] >= 1
    assert not server.asked and not hand.answers and not stranger.answers


def test_requests_that_make_no_sense_are_refused_with_a_reason():
    for more, code in (
        ([(11, b"a"), (11, b"b")], 0x84),
        ([(27, b"\x06")], 0x82),
        ([(23, b"\x07")], 0x80),
        ([(35, b"coap://x")], 0xA5),
    ):
        world, gateway, server, (hand,) = new((1,), [doc(1)])
        hand.get(more=more)
        assert answered(world, [hand], 1000), more
        assert hand.answers[0].code == code and parse(hand.answers[0].payload())[0]
        assert not server.asked and gateway.n_waiting == 0


def test_a_non_confirmable_request_gets_a_non_confirmable_answer():
    world, _, _, (hand, other) = new((1, 2), [doc(1), doc(2)])
    hand.get(confirmable=False)
    other.get()
    assert answered(world, [hand, other])
    assert hand.answers[0].mtype == 1 and other.answers[0].mtype == 0
    assert len([1 for _, _, to, _ in world.log if to == address(1)]) == 1


def test_the_shipped_ue_is_configured_through_the_gateway():
    numbers = (1, 2, 3)
    world = World()
    new_gateway(world, numbers)
    server = new_bulk_server(world, [doc(n) for n in numbers])
    ues = new_ues(world, numbers)
    assert world.run(lambda: all(ue.configuration.n_applied for ue in ues))
    for ue, n in zip(ues, numbers):
        assert ('"' + str(n) + '"').encode() in ue.configuration.data
    assert server.bulks == [tuple(name(n) for n in numbers)]


def test_what_a_server_gives_to_another_is_dropped():
    world, gateway, _, (hand,) = new((1,), [doc(1)], {"faults": {
        0: (0x45, [(65020, name(9).encode())], b"\x80")}})  # fmt: skip
    hand.get()
    world.run(None, 15000)
    assert gateway.counters["foreign_recipient"] >= 1 and not hand.answers
    # After a while it asks anew.
    assert answered(world, [hand], 20000) and hand.documents() == [doc(1)]
