"""Individual documents at the gateway: shared, kept while fresh, observed once for all."""

from checks import no_alloc
from gateway_builders import (
    address,
    answered,
    doc,
    name,
    new,
    new_bulk_server,
    new_gateway,
    new_ues,
    shared,
)
from msgin5g.cbor.decoder import loads
from network_sim import NetworkSim


def more(sim, hand, limit_ms=30000):
    """Wait for one more answer to a UE; gives it."""
    n = len(hand.answers)
    assert sim.run(lambda: len(hand.answers) > n, limit_ms)
    return hand.answers[-1]


def for_one(document, n):
    return dict(document, valUeIds={"uris": [name(n)]})


def test_one_question_serves_all_whom_the_document_names_while_it_is_fresh():
    both = shared([name(1), name(2)])
    sim, gateway, server, hands = new((1, 2, 3), [both, doc(3)], {"max_age_s": 100})
    hands[0].get(b"shared")
    hands[1].get(b"shared")
    assert answered(sim, hands[:2])
    assert [hand.documents() for hand in hands[:2]] == [for_one(both, 1), for_one(both, 2)]
    assert hands[0].answers[0].option(4) != hands[1].answers[0].option(4)
    sim.run(None, 40000)
    hands[0].get(b"shared")
    answer = more(sim, hands[0])
    assert answer.uint(14) == 59 and answer.mtype == 2
    assert len(server.asked) == 1 and gateway.counters == {"cached": 1}
    # Who is not named is the server's to refuse.
    hands[2].get(b"shared")
    assert more(sim, hands[2]).code == 0x84
    assert [a[:1] for a in server.asked[1:]] == [((name(3),),)]


def test_a_stale_document_is_revalidated_with_its_etag():
    both = shared([name(1), name(2)])
    sim, _, server, (one, two) = new((1, 2), [both], {"max_age_s": 10})
    one.get(b"shared")
    etag = more(sim, one).option(4)
    sim.run(None, 20000)
    two.get(b"shared")
    one.get(b"shared", etag=etag)
    assert loads(more(sim, two).payload()) == for_one(both, 2)
    sim.run(None, 100)
    assert (one.answers[-1].code, one.answers[-1].option(4)) == (0x43, etag)
    assert server.n_requests == 2 and server.n_bodies == 1


def test_observers_share_one_observation_and_each_is_told():
    both = shared([name(1), name(2), name(3)])
    sim, gateway, server, hands = new((1, 2, 3), [both])
    for hand in hands[:2]:
        hand.get(b"shared", observe=0)
    assert answered(sim, hands[:2])
    hands[2].get(b"shared", observe=0)
    assert answered(sim, hands)
    assert len(server.asked) == 1 and server.asked[0][3] == 0
    first = [hand.answers[0].uint(6) for hand in hands]
    assert all(number is not None for number in first)
    for text in ("one", "two"):
        changed = shared([name(1), name(2)], text=text)
        server.change("shared", changed)
        sim.run(None, 1000)
        assert all(hand.answers[-1].mtype == 0 for hand in hands)
    for hand, number in zip(hands[:2], first):
        assert len(hand.answers) == 3
        assert hand.documents() == for_one(changed, hand.n)
        assert number < hand.answers[1].uint(6) < hand.answers[2].uint(6)
    # The third one is not named any more.
    assert len(hands[2].answers) == 2 and hands[2].answers[1].code == 0x84
    assert len(server.asked) == 1 and gateway.observers.n_observers == 2


def test_a_document_that_goes_ends_its_observations():
    both = shared([name(1), name(2)])
    sim, gateway, server, hands = new((1, 2), [both])
    for hand in hands:
        hand.get(b"shared", observe=0)
    assert answered(sim, hands)
    server.change("shared", None)
    for hand in hands:
        if len(hand.answers) < 2:
            more(sim, hand)
        assert hand.answers[1].code == 0x84 and hand.answers[1].uint(6) is None
    assert gateway.observers.n_observers == 0 and gateway.shared_documents.documents == []


def test_the_last_observer_gone_ends_the_observation_at_the_server():
    both = shared([name(1), name(2), name(3)])
    sim, gateway, server, hands = new((1, 2, 3), [both])
    exchanges = [hand.get(b"shared", observe=0) for hand in hands]
    assert answered(sim, hands)
    # One says so, one is gone, one rejects a notification.
    hands[0].endpoint.cancel(exchanges[0])
    hands[0].get(b"shared", observe=1, token=exchanges[0].token)
    assert more(sim, hands[0]).uint(6) is None
    gateway.link_down(name(2).encode())
    assert gateway.observers.n_observers == 1 and len(server.observers) == 1
    hands[2].endpoint.cancel(exchanges[2])
    server.change("shared", shared([name(1), name(2), name(3)], text="new"))
    sim.run(None, 5000)
    assert gateway.observers.n_observers == 0 and gateway.shared_documents.documents == []
    # Each hop learns it from the rejection of what it passes on: apart there are two.
    for text in ("newer", "newest"):
        server.change("shared", shared([name(1), name(2), name(3)], text=text))
        sim.run(None, 5000)
    assert server.observers == [] and len(hands[0].answers) == 2


def test_an_observer_that_is_gone_is_forgotten_however_often_there_is_something_new():
    sim, gateway, server, hands = new((1,), [shared([name(1)])])
    hands[0].get(b"shared", observe=0)
    assert answered(sim, hands)
    sim.remove(address(1))
    for n in range(9):
        assert gateway.observers.n_observers == 1
        server.change("shared", shared([name(1)], text=str(n)))
        sim.run(None, 10000)
    sim.run(None, 4000)
    assert gateway.observers.n_observers == 0 and gateway.counters["not_acknowledged"] == 1


def test_only_so_many_observe_and_the_others_get_a_plain_answer():
    both = shared([name(1), name(2)])
    sim, gateway, server, hands = new((1, 2), [both], max_observations=1)
    for hand in hands:
        hand.get(b"shared", observe=0)
        sim.run(None, 100)
    assert [hand.answers[0].uint(6) is not None for hand in hands] == [True, False]
    # Again with another token: the UE had forgotten that it observes.
    hands[0].get(b"shared", observe=0)
    assert more(sim, hands[0]).uint(6) is not None
    assert gateway.observers.n_observers == 1 and len(server.asked) == 1


def test_a_large_document_is_observed_block_by_block():
    big = doc(1, text=3000 * "x")
    sim, gateway, server, (hand,) = new((1,), [big])
    hand.get(b"doc-1", observe=0)
    answer = more(sim, hand)
    for text in ("x", "y"):
        body = answer.payload()
        tag = answer.option(4)
        assert answer.uint(6) is not None
        while answer.uint(23) & 8:
            block = answer.uint(23)
            hand.get(b"doc-1", block2=(block >> 4) + 1 << 4 | block & 7)
            answer = more(sim, hand)
            assert answer.uint(6) is None and answer.option(4) == tag
            body += answer.payload()
        assert loads(body)["text"] == 3000 * text
        if text == "x":
            server.change("doc-1", doc(1, text=3000 * "y"))
            answer = more(sim, hand)
    assert [a[1] for a in server.asked] == [0, 1, 2, 3, 1, 2, 3]
    assert gateway.observers.n_observers == 1


def test_the_shipped_ues_observe_through_the_gateway_and_apply_what_changes():
    numbers = (1, 2, 3)
    everybody = shared([name(n) for n in numbers], text='{"a":1}')
    sim = NetworkSim()
    gateway = new_gateway(sim, numbers)
    server = new_bulk_server(sim, [everybody])
    ues = new_ues(sim, numbers, observe=True)
    assert sim.run(lambda: all(ue.client.observing for ue in ues))
    assert len(server.asked) == 2 and len(server.bulks) == 1
    server.change("shared", shared([name(n) for n in numbers], text='{"a":2}'))
    assert sim.run(lambda: all(ue.configuration.data == b'{"a":2}' for ue in ues), 5000)
    # It lasts: they renew it before it is too old, at the server once for all.
    server.asked = []
    sim.run(None, 600000)
    assert gateway.observers.n_observers == 3 and len(server.observers) == 1
    assert len(server.asked) <= 12
    server.change("shared", shared([name(n) for n in numbers], text='{"a":3}'))
    assert sim.run(lambda: all(ue.configuration.data == b'{"a":3}' for ue in ues), 5000)


def test_an_idle_gateway_allocates_nothing_whoever_observes():
    documents = [shared([name(1), name(2)]), doc(3)]
    sim, gateway, _, hands = new((1, 2, 3), documents, {"max_age_s": 3600})
    for hand, document_id in zip(hands, (b"shared", b"shared", None)):
        hand.get(document_id, observe=None if document_id is None else 0)
    assert answered(sim, hands)
    sim.run(None, 400000)
    assert gateway.n_waiting == 0
    now = sim.now
    gateway.step(now)

    def idle():
        gateway.step(now)
        gateway.transmit(now)
        gateway.wait_ms(now)
        gateway.poll()

    no_alloc(idle)


def test_a_notification_takes_the_place_of_a_question_that_has_not_begun():
    both = shared([name(4), name(5)])
    sim, gateway, server, hands = new((1, 2, 4, 5), [both], {"max_age_s": 1},
                                        max_transfers=2, max_wait_s=20)  # fmt: skip
    hands[2].get(b"shared", observe=0)
    assert answered(sim, hands[2:3])
    sim.run(None, 1500)
    server.slow_ms = 10**6
    for hand in hands[:2]:
        hand.get(b"slow-%d" % hand.n)
        sim.run(None, 100)
    hands[3].get(b"shared")
    sim.run(None, 100)
    assert len(gateway.transfers.under_way) == 2 and len(gateway.scheduler.queued) == 1
    # The first of two blocks comes, and then nothing any more.
    server.change("shared", shared([name(4), name(5)], text=1500 * "x"))
    assert sim.run(
        lambda: gateway.shared_documents.find(b"shared").download.block2.size == 1024, 100
    )
    assert gateway.scheduler.queued == []
    sim.remove(("192.0.2.1", 5683))
    sim.run(None, 100000)
    assert [[a.code for a in hand.answers] for hand in hands] == [[0xA4], [0xA4], [0x45], [0xA4]]
    assert gateway.n_waiting == 0 and gateway.responder.ready == []


def observe_both(**server):
    """Two UEs observe one document, which the server gives in the name of the first."""
    both = shared([name(1), name(2)])
    made = new((1, 2, 3), [both], dict({"max_age_s": 10}, **server))
    for hand in made[3][:2]:
        hand.get(b"shared", observe=0)
        assert answered(made[0], [hand])
    return made


def test_who_is_forbidden_a_document_takes_nobody_else_with_it():
    sim, gateway, server, (one, two, _) = observe_both(denied=[])
    server.denied.append(name(1))
    changed = shared([name(1), name(2)], text="new")
    server.change("shared", changed)
    assert sim.run(lambda: len(one.answers) == 2 and len(two.answers) == 2, 1000)
    assert one.answers[1].code == 0x83 and one.answers[1].uint(6) is None
    # The other one is asked for as itself, and goes on observing.
    assert two.answers[1].code == 0x45 and two.documents() == for_one(changed, 2)
    assert [a[0] for a in server.asked] == [(name(1),), (name(2),)]
    assert gateway.observers.n_observers == 1
    server.change("shared", shared([name(2)], text="newer"))
    assert more(sim, two).code == 0x45 and len(one.answers) == 2


def test_a_document_is_asked_for_in_the_name_of_one_who_wants_it():
    sim, _, server, (one, two, three) = observe_both(denied=[])
    one.get(b"shared", observe=1)
    sim.run(None, 15000)
    server.denied.append(name(1))
    two.get(b"shared", observe=0)
    assert more(sim, two).code == 0x45 and two.answers[-1].uint(6) is not None
    # What the server says to one is not for the next one, whoever asked first.
    sim.run(None, 15000)
    server.denied.append(name(2))
    two.get(b"shared")
    three.get(b"shared")
    sim.run(None, 1000)
    assert [hand.answers[-1].code for hand in (two, three)] == [0x83, 0x84]
    assert [a[0] for a in server.asked[:2]] == [(name(1),), (name(2),)]
    for hand in (two, three):
        for n in (1, 2, 3):
            if n != hand.n:
                assert name(n).encode() not in hand.answers[-1].payload()


def test_what_ends_an_observation_is_told_to_all_without_the_name_of_one():
    for code, told in ((0x84, 0x84), (0x9D, 0x9D), (0xA0, 0xA3), (0xA4, 0xA4)):
        sim, gateway, server, hands = observe_both()
        server.representation = lambda *_: (code, [], b"for " + name(1).encode())
        server.change("shared", None)
        sim.run(None, 1000)
        for hand in hands[:2]:
            assert [a.code for a in hand.answers] == [0x45, told], code
            assert hand.answers[1].uint(12) == 257 and b"ue:" not in hand.answers[1].payload()
        assert (
            gateway.observers.n_observers == 0
            and gateway.shared_documents.documents == []
            and gateway.n_waiting == 0
        )
        # And when it is asked for.
        for hand in hands[:2]:
            hand.get(b"shared")
        sim.run(None, 1000)
        for hand in hands[:2]:
            assert hand.answers[2].code == told and b"ue:" not in hand.answers[2].payload()


def test_an_observation_is_renewed_for_ever_however_often_the_document_changes():
    both = shared([name(1), name(2)])
    sim, _, server, (hand, _) = new((1, 2), [both], {"max_age_s": 10})
    token = hand.get(b"shared", observe=0).token
    assert answered(sim, [hand])
    for n in range(9):
        sim.run(None, 15000)
        changed = shared([name(1), name(2)], text=str(n))
        server.documents = [changed]
        hand.endpoint.cancel(hand.endpoint.by_token[token])
        hand.get(b"shared", observe=0, token=token)
        sim.run(None, 1000)
        assert hand.answers[-1].code == 0x45 and hand.documents() == for_one(changed, 1)
        assert hand.answers[-1].uint(6) is not None
    assert [a[1:] for a in server.asked] == 10 * [(0, "shared", 0)]


def test_a_document_that_changes_while_its_last_observer_goes_is_asked_for_in_peace():
    sim, gateway, server, (hand,) = new((1,), [doc(1)])
    hand.get(b"doc-1", observe=0)
    assert answered(sim, [hand])
    server.change("doc-1", doc(1, text=3000 * "x"))
    assert sim.run(
        lambda: gateway.shared_documents.find(b"doc-1").download.block2.size == 2048, 1000
    )
    hand.get(b"doc-1", observe=1)
    server.documents = [doc(1, text=3000 * "y")]
    sim.run(None, 1000)
    assert (
        gateway.shared_documents.documents == []
        and gateway.transfers.under_way == []
        and gateway.n_waiting == 0
    )
