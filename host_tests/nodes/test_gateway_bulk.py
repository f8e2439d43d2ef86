"""The gateway, TS 24.538 6.2.2.x: it collects, asks once, splits, and answers each UE."""

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
from msgin5g.scm.client import problem_of
from network_sim import NetworkSim


def test_three_requests_become_one_and_each_ue_gets_its_own_document():
    sim, gateway, server, clients = new((1, 2, 3), [doc(n) for n in (1, 2, 3)])
    exchanges = [client.get() for client in clients]
    assert answered(sim, clients)
    assert server.asked == [((name(1), name(2), name(3)), 0, None, None)]
    for client, exchange in zip(clients, exchanges):
        (answer,) = client.answers
        assert (answer.mtype, answer.code, answer.token()) == (0, 0x45, exchange.token)
        assert answer.option(65020) == name(client.n).encode()
        assert answer.uint(12) == 65001
        assert loads(answer.payload()) == [doc(client.n)]
        assert len(answer.option(4)) == 8
    # Each was acknowledged at once, and answered when the window of 2 s was over.
    acks = [e for e in sim.log if e[3][0] >> 4 & 3 == 2 and e[1] != ("192.0.2.1", 5683)]
    assert [e[0] for e in acks[:3]] == [10, 10, 10]
    assert all(len(e[3]) == 4 for e in acks)
    assert sim.elapsed_ms == 10 + 2000 + 10 + 10 + 10
    assert gateway.n_waiting == 0 and gateway.counters == {}
    sim.run(None, 100000)
    assert gateway.wait_ms(sim.now) is None or gateway.wait_ms(sim.now) > 1000


def test_the_count_triggers_before_the_window_is_over():
    sim, _, server, clients = new((1, 2, 3, 4), [doc(n) for n in (1, 2, 3, 4)], bulk_count=3)
    for client in clients[:3]:
        client.get()
    assert answered(sim, clients[:3])
    assert sim.elapsed_ms < 100 and len(server.bulks) == 1


def test_one_pending_request_becomes_an_ordinary_get():
    sim, _, server, (client,) = new((1,), [doc(1)])
    client.get(queries=(b"ue-vendor=acme",))
    assert answered(sim, [client])
    assert server.asked == [((name(1),), 0, None, None)]
    assert server.queries == [[b"ue-vendor=acme"]]
    assert client.documents() == [doc(1)]


def test_urgent_requests_go_alone_and_at_once():
    documents = [doc(n) for n in (1, 2, 3)]
    sim, _, server, clients = new((1, 2, 3), documents, bulk_urgent=[name(2)])
    for client in clients:
        client.get()
    assert answered(sim, [clients[1]])
    assert sim.elapsed_ms < 100 and server.asked == [((name(2),), 0, None, None)]
    assert answered(sim, clients)
    assert server.bulks == [(name(1), name(3))]


def test_without_bulk_each_request_goes_alone_and_at_once():
    numbers = (1, 2, 3)
    sim, _, server, clients = new(numbers, [doc(1), doc(2)], bulk_enabled=False)
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert sim.elapsed_ms < 200 and server.bulks == [] and len(server.asked) == 3
    assert [client.answers[0].code for client in clients] == [0x45, 0x45, 0x84]


def test_vendor_and_type_go_up_only_when_all_share_them():
    numbers = (1, 2)
    for queries, expected in (
        (((b"ue-vendor=a", b"ue-type=35123456"), (b"ue-type=35123456",)), [b"ue-type=35123456"]),
        (((b"ue-vendor=a",), (b"ue-vendor=b",)), []),
        (((b"ue-vendor=a",), (b"ue-vendor=a",)), [b"ue-vendor=a"]),
        (((), (b"ue-vendor=a",)), []),
    ):
        sim, _, server, clients = new(numbers, [doc(n) for n in numbers])
        for client, these in zip(clients, queries):
            client.get(queries=these)
        assert answered(sim, clients)
        assert server.queries == [expected + [b"bulkConfFlag=msgin5g-bulk"]]


def test_nobody_learns_who_else_is_named():
    both = shared([name(1), name(2), name(9)])
    other = shared([name(8)], "other")
    sim, gateway, server, clients = new((1, 2, 3), [both, doc(2), doc(3), other])
    server.documents_of = lambda what: server.documents  # it gives more than it was asked for
    for client in clients:
        client.get()
    assert answered(sim, clients)
    one = dict(both, valUeIds={"uris": [name(1)]})
    two = dict(both, valUeIds={"uris": [name(2)]})
    assert [client.documents() for client in clients] == [[one], [two, doc(2)], [doc(3)]]
    for client in clients:
        for n in (1, 2, 3, 8, 9):
            own = n == client.n
            assert (name(n).encode() in client.answers[0].payload()) == own, (client.n, n)
    assert gateway.counters == {"not_asked": 1}


def test_a_document_for_everybody_goes_to_everybody():
    common = shared(None)
    sim, _, _, clients = new((1, 2), [common, doc(2)])
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert clients[0].documents() == [common]
    assert sorted(d["ueConfigDocId"] for d in clients[1].documents()) == ["doc-2", "shared"]


def test_equal_content_has_an_equal_etag_and_a_known_one_is_not_sent_again():
    sim, _, server, (client, other) = new((1, 2), [doc(1), doc(2)], server={"max_age_s": 10})
    client.get()
    assert answered(sim, [client])
    etag = client.answers[0].option(4)
    sim.run(None, 20000)
    client.get(etag=etag)
    other.get(etag=etag)
    assert sim.run(lambda: len(client.answers) == 2 and other.answers)
    assert (client.answers[1].code, client.answers[1].option(4)) == (0x43, etag)
    assert client.answers[1].option(65020) == name(1).encode() and not client.answers[1].payload()
    assert other.answers[0].code == 0x45 and other.answers[0].option(4) != etag
    assert len(server.bulks) == 1  # the first request was alone


def test_what_one_ue_has_got_alone_is_revalidated_with_its_etag_when_it_is_stale():
    sim, gateway, server, (client,) = new((1,), [doc(1)], {"max_age_s": 10, "slow_ms": 1000})

    def again(etag=None):
        sim.run(None, 20000)
        n = len(client.answers)
        client.get(etag=etag)
        assert sim.run(lambda: len(client.answers) > n, 30000)
        return client.answers[-1]

    first = again()
    assert first.code == 0x45 and server.n_bodies == 1
    answer = again()
    assert (answer.payload(), answer.option(4)) == (first.payload(), first.option(4))
    assert 8 <= answer.uint(14) <= 10
    answer = again(first.option(4))
    assert (answer.code, answer.option(4), answer.payload()) == (0x43, first.option(4), b"")
    assert server.n_requests == 3 and server.n_bodies == 1
    # It has changed; and it is not kept any more when the server says that it has not.
    server.documents = [doc(1, text="new")]
    assert loads(again().payload()) == [doc(1, text="new")] and server.n_bodies == 2
    sim.run(None, 20000)
    client.get()
    sim.run(None, 2500)
    assert server.n_requests == 5
    gateway.cache.drop((name(1).encode(), ()))
    assert sim.run(lambda: len(client.answers) == 5, 10000)
    assert client.documents() == [doc(1, text="new")]
    assert server.n_requests == 6 and server.n_bodies == 3


def test_a_ue_without_a_document_gets_its_own_404():
    sim, _, server, clients = new((1, 2, 3), [doc(1), doc(3)])
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert [client.answers[0].code for client in clients] == [0x45, 0x84, 0x45]
    missing = clients[1].answers[0]
    assert missing.uint(12) == 257 and problem_of(missing.payload())[0]
    assert missing.option(65020) == name(2).encode()
    assert len(server.asked) == 1


def test_a_refused_bulk_is_repeated_singly_once_and_one_denied_ue_starves_nobody():
    numbers = (1, 2, 3, 4)
    for options in ({"denied": (name(3),)}, {"entitled": False, "denied": (name(3),)}):
        sim, gateway, server, clients = new(numbers, [doc(n) for n in numbers], options)
        for client in clients:
            client.get()
        assert answered(sim, clients)
        assert [client.answers[0].code for client in clients] == [0x45, 0x45, 0x83, 0x45]
        assert problem_of(clients[2].answers[0].payload()) == (
            "Forbidden",
            name(3) + " is not allowed",
        )
        assert len(server.asked) == 5 and len(server.bulks) == 1
        assert gateway.counters == {"bulk_rejected": 1}


def test_max_age_is_less_the_time_that_the_answer_has_waited():
    numbers = (1, 2)
    sim, _, _, clients = new(numbers, [doc(n) for n in numbers], {"max_age_s": 100},
                                   max_answers=1)  # fmt: skip
    clients[0].deaf = True
    clients[0].get()
    sim.run(None, 20)
    clients[1].get()
    assert sim.run(lambda: clients[1].answers)
    # The first one did not acknowledge: the second one had to wait until it was hopeless.
    waited_ms = sim.elapsed_ms - 2040
    assert waited_ms > 4000
    assert clients[1].answers[0].uint(14) == 100 - (waited_ms + 999) // 1000


def test_a_non_confirmable_request_gets_a_non_confirmable_answer():
    sim, _, _, (client, other) = new((1, 2), [doc(1), doc(2)])
    client.get(confirmable=False)
    other.get()
    assert answered(sim, [client, other])
    assert client.answers[0].mtype == 1 and other.answers[0].mtype == 0
    assert len([1 for _, _, to, _ in sim.log if to == address(1)]) == 1


def test_the_shipped_ue_is_configured_through_the_gateway():
    numbers = (1, 2, 3)
    sim = NetworkSim()
    new_gateway(sim, numbers)
    server = new_bulk_server(sim, [doc(n) for n in numbers])
    ues = new_ues(sim, numbers)
    assert sim.run(lambda: all(ue.configuration.n_applied for ue in ues))
    for ue, n in zip(ues, numbers):
        assert ('"' + str(n) + '"').encode() in ue.configuration.data
    assert server.bulks == [tuple(name(n) for n in numbers)]
