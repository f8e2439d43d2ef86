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
from msgin5g.cbor.encoder import dumps
from msgin5g.scm.client import problem_of
from msgin5g_testkit.network_sim import NetworkSim


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
    assert sim.elapsed_ms == 10 + 2000 + 10 + 10 + 10 + 1, "the third one goes in another step"
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


def test_ues_go_together_only_where_their_queries_are_equal():
    vendor = b"ue-vendor=acme"
    tac = b"ue-type=35123456"
    flag = b"bulkConfFlag=msgin5g-bulk"
    sim, _, server, clients = new(range(1, 8), [doc(n) for n in range(1, 8)])
    for client, queries in zip(
        clients, ((vendor,), (vendor, tac), (), (vendor,), (b"ue-vendor=b",), (vendor, tac), ())
    ):
        client.get(queries=queries)
    assert answered(sim, clients)
    asked = sorted((a[0], q) for a, q in zip(server.asked, server.queries))
    assert asked == [
        ((name(1), name(4)), [vendor, flag]),
        ((name(2), name(6)), [vendor, tac, flag]),
        ((name(3), name(7)), [flag]),
        ((name(5),), [b"ue-vendor=b"]),
    ]
    assert [client.documents() for client in clients] == [[doc(n)] for n in range(1, 8)]


def test_a_vendors_document_comes_whoever_else_waits():
    acme = shared(None, "acme")
    acme["ueVendors"] = ["acme"]
    sim, _, _, (one, two, three) = new((1, 2, 3), [acme, doc(2)])
    one.get(queries=(b"ue-vendor=acme",))
    two.get(queries=(b"ue-vendor=other",))
    three.get(queries=(b"ue-vendor=other",))
    assert answered(sim, [one, two, three])
    assert [one.documents(), two.documents()] == [[acme], [doc(2)]]
    assert three.answers[0].code == 0x84


def test_each_of_several_groups_goes_when_it_is_full_or_when_its_oldest_has_waited():
    numbers = tuple(range(1, 7))
    sim, gateway, server, clients = new(numbers, [doc(n) for n in numbers], bulk_count=3)
    clients[0].get(queries=(b"ue-vendor=a",))
    sim.run(None, 500)
    clients[1].get(queries=(b"ue-vendor=b",))
    sim.run(None, 500)
    for client in clients[2:5]:
        client.get(queries=(b"ue-vendor=c",))
    sim.run(None, 100)
    assert server.bulks == [(name(3), name(4), name(5))]
    clients[5].get(queries=(b"ue-vendor=b",))
    sim.run(None, 500)
    # A UE that goes takes its place in the group with it.
    gateway.link_down(name(2).encode())
    sim.run(None, 500)
    assert server.asked[1:] == [((name(1),), 0, None, None)]
    sim.run(None, 900)
    assert len(server.asked) == 2
    sim.run(None, 200)
    assert server.asked[2:] == [((name(6),), 0, None, None)]
    assert gateway.scheduler.collecting == [] and gateway.n_waiting == 0


def test_a_document_for_a_type_goes_to_every_ue_of_it_alone_and_in_bulk():
    tac = dict(shared(()), valUeIds={"imeiRanges": [{"tac": "35123456"}]})
    some = dict(shared((), "some"), valUeIds={"imeiRanges": [{"tac": "35123456", "snrs": ["7"]}]})
    queries = (b"ue-type=35123456",)
    for numbers in ((1,), (1, 2)):
        sim, _, server, clients = new(numbers, [tac, some])
        for client in clients:
            client.get(queries=queries)
        assert answered(sim, clients)
        assert len(server.asked) == 1
        for client in clients:
            # Without a serial number no UE is one of those that `some` is for.
            # It stays a document for the type: one that names the UE goes before it.
            assert client.documents() == [tac]
    sim, _, server, clients = new((1, 2), [some])
    for client, snr in zip(clients, (b"ue-snr=8", b"ue-snr=000007")):
        client.get(queries=queries + (snr,))
    assert answered(sim, clients)
    assert sim.elapsed_ms < 200 and server.bulks == []  # a serial number is of one UE only
    assert clients[0].answers[0].code == 0x84
    assert clients[1].documents() == [some]


def test_the_shipped_ue_is_configured_by_its_type_through_the_gateway():
    sim = NetworkSim()
    new_gateway(sim, (1, 2))
    ranges = [{"tac": "35123456"}]
    document = dict(shared((), text='{"a":1}'), valUeIds={"imeiRanges": ranges})
    server = new_bulk_server(sim, [document])
    ues = new_ues(sim, (1, 2), ue_type="35123456")
    assert sim.run(lambda: all(ue.configuration.data == b'{"a":1}' for ue in ues), 20000)
    assert len(server.bulks) == 1


def test_a_404_that_comes_of_naming_several_is_asked_for_once_more_alone():
    for fault in ((0x84, [], b"for " + name(1).encode()), (0x80, [], b"ue-uri twice"),
                  (0x45, [(12, b"<")], b"\x80")):  # fmt: skip
        sim, gateway, server, clients = new((1, 2, 3), [doc(1), doc(2)], {"faults": {0: fault}})
        for client in clients:
            client.get()
        assert answered(sim, clients), fault
        assert [client.answers[0].code for client in clients] == [0x45, 0x45, 0x84], fault
        assert sorted(a[0] for a in server.asked[1:]) == [(name(n),) for n in (1, 2, 3)]
        for client in clients:
            for n in {1, 2, 3} - {client.n}:
                assert name(n).encode() not in client.answers[0].payload()
        assert gateway.counters["left_out"] == 2


def test_a_server_that_answers_for_one_ue_only_is_asked_for_each_alone():
    numbers = tuple(range(1, 21))
    sim, gateway, server, clients = new(
        numbers, [doc(n) for n in numbers], {"one_by_one": True, "max_age_s": 1}, bulk_count=5
    )
    for _ in range(3):
        for client in clients:
            client.answers = []
            client.get()
        assert answered(sim, clients)
        assert [client.documents() for client in clients] == [[doc(n)] for n in numbers]
        sim.run(None, 5000)
    # It shows with the first bulk requests, and there are no more for an hour.
    assert 1 <= len(server.bulks) <= 4
    assert len(server.asked) <= 3 * len(numbers) + 4
    assert gateway.counters["bulk_paused"] == 1
    server.one_by_one = False
    server.asked = []
    sim.run(None, 3700000)
    for client in clients:
        client.get()
    sim.run(None, 5000)
    assert server.bulks == [tuple(name(n) for n in numbers)]


def test_documents_for_everybody_do_not_hide_that_a_server_answers_for_one_ue_only():
    numbers = (1, 2, 3)
    documents = [shared(None)] + [doc(n) for n in numbers[:2]]
    for one_by_one, n_asked in ((True, 3), (False, 1)):
        sim, _, server, clients = new(numbers, documents, {"one_by_one": one_by_one})
        for client in clients:
            client.get()
        assert answered(sim, clients)
        for client in clients:
            ids = sorted(d["ueConfigDocId"] for d in client.documents())
            assert ids == (["shared"] if client.n == 3 else ["doc-%d" % client.n, "shared"])
        assert len(server.asked) == n_asked
        # It is known now: the next one for everybody, and for nobody else, is believed.
        server.documents = [shared(None)]
        sim.run(None, 70000)
        for client in clients:
            client.get()
        sim.run(None, 5000)
        assert [d["ueConfigDocId"] for d in clients[0].documents()] == ["shared"]
        assert len(server.asked) == n_asked + 1


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


def test_an_array_of_indefinite_length_is_split_too():
    body = b"\x9f" + dumps(doc(1)) + dumps(doc(2)) + b"\xff"
    sim, _, _, clients = new((1, 2), [], {"faults": {0: (0x45, [], body)}})
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert [client.documents() for client in clients] == [[doc(1)], [doc(2)]]


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
    sim, gateway, server, clients = new((1, 2, 3), [doc(1), doc(3)])
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert [client.answers[0].code for client in clients] == [0x45, 0x84, 0x45]
    missing = clients[1].answers[0]
    assert missing.uint(12) == 257 and problem_of(missing.payload())[0]
    assert missing.option(65020) == name(2).encode()
    # It is asked for once more: perhaps the answer was one for several.
    assert [a[0] for a in server.asked] == [(name(1), name(2), name(3)), (name(2),)]
    assert gateway.counters == {}


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
