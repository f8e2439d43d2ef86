"""Individual documents at the gateway: shared, kept while fresh, observed once for all."""

from msgin5g_testkit.checks import no_alloc
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
from msgin5g_testkit.network_sim import NetworkSim


def more(sim, client, limit_ms=30000):
    """Wait for one more answer to a UE; gives it."""
    n = len(client.answers)
    assert sim.run(lambda: len(client.answers) > n, limit_ms)
    return client.answers[-1]


def for_one(document, n):
    return dict(document, valUeIds={"uris": [name(n)]})


def n_received(gateway, document_id):
    """How many bytes of an individual document have come, while it is under way."""
    download = gateway.shared_documents.find(document_id).download
    return download.block2.size if download else 0


def names_asked(server, start=0):
    """In whose names the server was asked, sorted: the order of nodes is random on MicroPython."""
    return sorted(a[0][0] for a in server.asked[start:])


def test_one_body_serves_all_to_whom_the_server_gives_the_document_while_it_is_fresh():
    both = shared([name(1), name(2)])
    sim, gateway, server, clients = new((1, 2, 3), [both, doc(3)], {"max_age_s": 100})
    clients[0].get(b"shared")
    clients[1].get(b"shared")
    assert answered(sim, clients[:2])
    assert [client.documents() for client in clients[:2]] == [for_one(both, 1), for_one(both, 2)]
    assert clients[0].answers[0].option(4) != clients[1].answers[0].option(4)
    sim.run(None, 40000)
    for client in clients[:2]:
        client.get(b"shared")
        answer = more(sim, client)
        assert answer.uint(14) == 59 and answer.mtype == 2
    assert names_asked(server) == [name(1), name(2)] and server.n_bodies == 1
    assert gateway.counters == {"cached": 2}
    # Who is not named is the server's to refuse.
    clients[2].get(b"shared")
    assert more(sim, clients[2]).code == 0x84
    assert [a[:1] for a in server.asked[2:]] == [((name(3),),)]


def test_a_ue_that_the_server_denies_gets_nothing_that_another_one_has_got():
    both = shared([name(1), name(2)])
    for observe in (None, 0):
        sim, _, server, (one, two) = new((1, 2), [both], {"denied": [name(2)]})
        two.get(b"shared", observe=observe)
        assert more(sim, two).code == 0x83
        one.get(b"shared", observe=observe)
        assert more(sim, one).code == 0x45
        # Now the document is fresh at the gateway, and observed.
        for more_options in ({}, {"block2": 1 << 4 | 2}, {"observe": 0}):
            two.get(b"shared", **more_options)
            answer = more(sim, two)
            assert answer.code == 0x83 and name(1).encode() not in answer.payload()
        server.change("shared", shared([name(1), name(2)], text="new"))
        sim.run(None, 1000)
        assert len(two.answers) == 4 and two.answers[-1].code == 0x83
        # What held for it does not hold for ever.
        server.denied.remove(name(2))
        two.get(b"shared")
        assert more(sim, two).code == 0x45


def test_a_403_ends_what_a_ue_had_got_before():
    both = shared([name(1), name(2)])
    for ask in (lambda ue: ue.get(b"other"), lambda ue: ue.get(queries=(b"x=1",))):
        sim, gateway, server, (one, two) = new((1, 2), [both], {"denied": [], "max_age_s": 1000})
        for client in (one, two):
            client.get()
            sim.run(None, 3000)
            client.get(b"shared")
            assert more(sim, client).code == 0x45
        for document_id in (b"shared", None):
            two.get(document_id)
            assert more(sim, two).code == 0x45
        n = gateway.counters["cached"]
        assert n >= 2
        server.denied.append(name(2))
        ask(two)
        assert more(sim, two).code == 0x83
        for document_id in (b"shared", None):
            two.get(document_id)
            assert more(sim, two).code == 0x83, document_id
        assert gateway.counters["cached"] == n
        one.get()
        assert more(sim, one).code == 0x45 and gateway.counters["cached"] == n + 1


def test_what_the_server_has_said_about_a_ue_holds_as_long_as_max_age():
    both = shared([name(1), name(2)])
    sim, _, server, (one, two) = new((1, 2), [both], {"denied": [], "max_age_s": 60})
    two.get(b"shared", observe=0)
    assert more(sim, two).code == 0x45
    sim.run(None, 50000)
    one.get(b"shared")
    assert more(sim, one).code == 0x45
    server.denied.append(name(2))
    sim.run(None, 5000)
    # It is fresh for one of them for a minute more, for the other one for five seconds.
    two.get(b"shared")
    assert more(sim, two).code == 0x45 and two.answers[-1].uint(14) <= 5
    sim.run(None, 6000)
    n = server.n_requests
    one.get(b"shared")
    assert more(sim, one).code == 0x45 and server.n_requests == n
    two.get(b"shared")
    assert more(sim, two).code == 0x83 and server.n_requests == n + 1


def test_a_change_is_pushed_to_whom_the_server_gives_it_and_ends_the_rest():
    numbers = (1, 2, 3, 4)
    everybody = [name(n) for n in numbers]
    sim, gateway, server, clients = new(
        numbers, [shared(everybody)], {"denied": [], "max_age_s": 60}
    )
    for client in clients:
        client.get(b"shared", observe=0)
        assert answered(sim, [client])
    sim.run(None, 61000)
    server.denied.append(name(2))
    asked = len(server.asked)
    changed = shared(everybody, text="new")
    server.change("shared", changed)
    sim.run(None, 2000)
    assert [[a.code for a in client.answers] for client in clients] == [
        [0x45, 0x45],
        [0x45, 0x83],
        [0x45, 0x45],
        [0x45, 0x45],
    ]
    for client in (clients[0], clients[2], clients[3]):
        assert client.documents() == for_one(changed, client.n)
        assert client.answers[-1].uint(6) is not None
    assert clients[1].answers[-1].uint(6) is None and gateway.observers.n_observers == 3
    # The body came with the notification, and once only.
    assert names_asked(server, asked) == [name(2), name(3), name(4)]
    # Each of them has been asked for a moment ago.
    server.change("shared", shared(everybody, text="newer"))
    sim.run(None, 1000)
    assert [len(client.answers) for client in clients] == [3, 2, 3, 3]
    assert len(server.asked) == asked + 3
    assert gateway.shared_documents.confirmations == {}


def test_a_document_for_a_type_is_observed_and_pushed_behind_a_gateway():
    ranges = {"imeiRanges": [{"tac": "35123456"}]}
    document = dict(shared((), text='{"a":1}'), valUeIds=ranges)
    sim = NetworkSim()
    gateway = new_gateway(sim, (1, 2))
    server = new_bulk_server(sim, [document], max_age_s=600)
    ues = new_ues(sim, (1, 2), observe=True, ue_vendor="acme", ue_type="35123456")
    assert sim.run(lambda: all(ue.client.observing for ue in ues), 30000)
    assert gateway.observers.n_observers == 2 and len(server.observers) == 1
    assert [q for q in server.queries if b"bulkConfFlag=msgin5g-bulk" not in q] == 2 * [[]]
    for n in (2, 3):
        data = '{"a":%d}' % n
        server.change("shared", dict(shared((), text=data), valUeIds=ranges))
        assert sim.run(lambda data=data: all(u.configuration.data == data.encode() for u in ues),
                       5000)  # fmt: skip


def test_a_query_that_selects_in_the_collection_changes_nothing_about_a_document():
    sim, gateway, server, (client,) = new((1,), [doc(1)], {"max_age_s": 100})
    for queries in ((b"ue-vendor=acme",), (b"ue-type=35123456", b"ue-snr=7"), ()):
        client.get(b"doc-1", observe=0, queries=queries)
        assert more(sim, client).uint(6) is not None
    assert len(server.asked) == 1 and gateway.counters["cached"] == 2
    # What is not known is the server's, and nobody else's answer.
    client.get(b"doc-1", queries=(b"x=1",))
    assert more(sim, client).code == 0x45
    assert server.queries == [[], [b"x=1"]] and client.documents() == doc(1)


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
    assert server.n_requests == 3 and server.n_bodies == 1


def test_observers_share_one_observation_and_each_is_told():
    both = shared([name(1), name(2), name(3)])
    sim, gateway, server, clients = new((1, 2, 3), [both])
    for client in clients[:2]:
        client.get(b"shared", observe=0)
    assert answered(sim, clients[:2])
    clients[2].get(b"shared", observe=0)
    assert answered(sim, clients)
    # Each is asked for in its own name, one with Observe.
    assert names_asked(server) == [name(1), name(2), name(3)]
    assert [a[3] for a in server.asked] == [0, None, None] and server.n_bodies == 1
    first = [client.answers[0].uint(6) for client in clients]
    assert all(number is not None for number in first)
    for text in ("one", "two"):
        changed = shared([name(1), name(2)], text=text)
        server.change("shared", changed)
        sim.run(None, 1000)
        assert all(client.answers[-1].mtype == 0 for client in clients)
    for client, number in zip(clients[:2], first):
        assert len(client.answers) == 3
        assert client.documents() == for_one(changed, client.n)
        assert number < client.answers[1].uint(6) < client.answers[2].uint(6)
    # The third one is not named any more: the server was asked what to tell it.
    assert len(clients[2].answers) == 2 and clients[2].answers[1].code == 0x84
    assert [a[0] for a in server.asked[3:]] == [(name(3),)] and gateway.observers.n_observers == 2


def test_whoever_is_told_of_a_change_gets_it_with_all_its_documents_too():
    both = shared([name(1), name(2)])
    sim, _, server, clients = new((1, 2), [both], {"max_age_s": 100})
    for client in clients:
        client.get()
    assert answered(sim, clients)
    for client in clients:
        assert client.documents() == [for_one(both, client.n)]
        client.get(b"shared", observe=0)
        assert more(sim, client).uint(6) is not None
    changed = shared([name(1), name(2)], text="new")
    server.change("shared", changed)
    sim.run(None, 1000)
    for client in clients:
        client.get()
        more(sim, client)
        assert client.documents() == [for_one(changed, client.n)]


def test_who_has_got_a_document_for_several_ues_needs_no_word_of_the_server_to_get_it_alone():
    for numbers, n_asked in (((1, 2), 0), ((1, 2, 3), 0), ((1,), 1)):
        of_several = shared([name(n) for n in numbers])
        sim, _, server, (one, two) = new((1, 2), [of_several], {"max_age_s": 100})
        for client in (one, two):
            client.get()
        assert answered(sim, [one, two])
        one.get(b"shared")
        assert more(sim, one).code == 0x45
        n = len(server.asked)
        two.get(b"shared")
        assert more(sim, two).code == (0x84 if n_asked else 0x45)
        assert len(server.asked) - n == n_asked, numbers


def test_a_document_whose_request_the_server_rejects_is_asked_for_anew_the_next_time():
    sim, gateway, _, (client,) = new((1,), [doc(1)])
    server = ("192.0.2.1", 5683)
    sim.remove(server)
    client.get(b"doc-1")
    assert sim.run(lambda: gateway.transfers.under_way, 1000)
    sim.run(None, 100)
    (exchange,) = gateway.endpoint.exchanges
    reset = bytes((0x70, 0, exchange.mid() >> 8, exchange.mid() & 0xFF))
    gateway.receive(exchange.transport, reset, exchange.remote, sim.now)
    assert more(sim, client).code == 0xA3
    assert gateway.shared_documents.documents == {} and gateway.n_waiting == 0
    new_bulk_server(sim, [doc(1)])
    client.get(b"doc-1")
    assert more(sim, client).code == 0x45
    sim.run(None, 30000)
    assert len(client.answers) == 2 and gateway.n_waiting == 0


def test_a_document_that_goes_ends_its_observations():
    both = shared([name(1), name(2)])
    sim, gateway, server, clients = new((1, 2), [both])
    for client in clients:
        client.get(b"shared", observe=0)
    assert answered(sim, clients)
    server.change("shared", None)
    for client in clients:
        if len(client.answers) < 2:
            more(sim, client)
        assert client.answers[1].code == 0x84 and client.answers[1].uint(6) is None
    assert gateway.observers.n_observers == 0 and gateway.shared_documents.documents == {}


def test_the_last_observer_gone_ends_the_observation_at_the_server():
    both = shared([name(1), name(2), name(3)])
    sim, gateway, server, clients = new((1, 2, 3), [both])
    exchanges = [client.get(b"shared", observe=0) for client in clients]
    assert answered(sim, clients)
    # One says so, one is gone, one rejects a notification.
    clients[0].endpoint.cancel(exchanges[0])
    clients[0].get(b"shared", observe=1, token=exchanges[0].token)
    assert more(sim, clients[0]).uint(6) is None
    gateway.link_down(name(2).encode())
    assert gateway.observers.n_observers == 1 and len(server.observers) == 1
    clients[2].endpoint.cancel(exchanges[2])
    server.change("shared", shared([name(1), name(2), name(3)], text="new"))
    sim.run(None, 5000)
    assert gateway.observers.n_observers == 0 and gateway.shared_documents.documents == {}
    # Each node on the way learns it when a message that it forwards is rejected.
    # With a separated client that is one node more.
    for text in ("newer", "newest"):
        server.change("shared", shared([name(1), name(2), name(3)], text=text))
        sim.run(None, 5000)
    assert server.observers == [] and len(clients[0].answers) == 2


def test_an_observer_that_is_gone_is_forgotten_however_often_there_is_something_new():
    sim, gateway, server, clients = new((1,), [shared([name(1)])])
    clients[0].get(b"shared", observe=0)
    assert answered(sim, clients)
    sim.remove(address(1))
    for n in range(9):
        assert gateway.observers.n_observers == 1
        server.change("shared", shared([name(1)], text=str(n)))
        sim.run(None, 10000)
    sim.run(None, 4000)
    assert gateway.observers.n_observers == 0 and gateway.counters["not_acknowledged"] == 1


def test_only_so_many_observe_and_the_others_get_a_plain_answer():
    both = shared([name(1), name(2)])
    sim, gateway, server, clients = new((1, 2), [both], max_observations=1)
    for client in clients:
        client.get(b"shared", observe=0)
        sim.run(None, 100)
    assert [client.answers[0].uint(6) is not None for client in clients] == [True, False]
    # Again with another token: the UE had forgotten that it observes.
    clients[0].get(b"shared", observe=0)
    assert more(sim, clients[0]).uint(6) is not None
    assert gateway.observers.n_observers == 1 and names_asked(server) == [name(1), name(2)]


def test_each_answer_from_the_cache_has_the_age_of_its_own_body():
    sim, gateway, _, clients = new((1, 2), [doc(1), doc(2)], {"max_age_s": 100})
    for client in clients:
        client.get()
        sim.run(None, 10000)
    for client in clients:
        client.get()
    sim.run(None, 100)
    assert gateway.counters["cached"] == 2
    assert [client.answers[1].uint(14) for client in clients] == [82, 92]


def test_an_old_notification_is_acknowledged_and_leaves_nothing():
    sim, gateway, server, (client,) = new((1,), [doc(1)])
    client.get(b"doc-1", observe=0)
    assert answered(sim, [client])
    for text, sequence in (("new", 5), ("old", 3)):
        server.observers[0][2] = sequence - 1
        server.change("doc-1", doc(1, text=text))
        sim.run(None, 1000)
    # A separated configuration client drops it first.
    assert 1 in [node.counters.get("old_notification") for node in sim.nodes.values()]
    assert len(client.answers) == 2 and client.documents() == doc(1, text="new")
    assert gateway.shared_documents.find(b"doc-1").download is None
    assert server.endpoint.exchanges == []


def test_a_large_document_is_observed_block_by_block():
    big = doc(1, text=3000 * "x")
    sim, gateway, server, (client,) = new((1,), [big])
    client.get(b"doc-1", observe=0)
    answer = more(sim, client)
    for text in ("x", "y"):
        body = answer.payload()
        tag = answer.option(4)
        assert answer.uint(6) is not None
        while answer.uint(23) & 8:
            block = answer.uint(23)
            client.get(b"doc-1", block2=(block >> 4) + 1 << 4 | block & 7)
            answer = more(sim, client)
            assert answer.uint(6) is None and answer.option(4) == tag
            body += answer.payload()
        assert loads(body)["text"] == 3000 * text
        if text == "x":
            server.change("doc-1", doc(1, text=3000 * "y"))
            answer = more(sim, client)
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
    # It lasts: they renew it before it is too old, each for itself, and all with its ETag.
    server.asked = []
    sim.run(None, 600000)
    assert gateway.observers.n_observers == 3 and len(server.observers) == 1
    assert len(server.asked) <= 3 * 12 and len(server.observers) == 1
    server.change("shared", shared([name(n) for n in numbers], text='{"a":3}'))
    assert sim.run(lambda: all(ue.configuration.data == b'{"a":3}' for ue in ues), 5000)


def test_an_idle_gateway_allocates_nothing_whoever_observes():
    documents = [shared([name(1), name(2)]), doc(3)]
    sim, gateway, _, clients = new((1, 2, 3), documents, {"max_age_s": 3600})
    for client, document_id in zip(clients, (b"shared", b"shared", None)):
        client.get(document_id, observe=None if document_id is None else 0)
    assert answered(sim, clients)
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
    sim, gateway, server, clients = new((1, 2, 4, 5), [both], {"max_age_s": 1},
                                        max_transfers=2, max_wait_s=20)  # fmt: skip
    clients[2].get(b"shared", observe=0)
    assert answered(sim, clients[2:3])
    sim.run(None, 1500)
    server.slow_ms = 10**6
    for client in clients[:2]:
        client.get(b"slow-%d" % client.n)
        sim.run(None, 100)
    clients[2].get(b"shared")
    sim.run(None, 100)
    assert len(gateway.transfers.under_way) == 2 and len(gateway.scheduler.queued) == 1
    # The first of two blocks comes, and then nothing any more.
    server.change("shared", shared([name(4), name(5)], text=1500 * "x"))
    assert sim.run(lambda: n_received(gateway, b"shared") == 1024, 100)
    assert gateway.scheduler.queued == []
    sim.remove(("192.0.2.1", 5683))
    sim.run(None, 100000)
    assert [[a.code for a in client.answers] for client in clients] == [
        [0xA4],
        [0xA4],
        [0x45, 0xA4],
        [],
    ]
    assert gateway.n_waiting == 0 and gateway.responder.ready == []


def observe_both(**server):
    """Two UEs observe one document, which the server gives in the name of the first."""
    both = shared([name(1), name(2)])
    made = new((1, 2, 3), [both], dict({"max_age_s": 10}, **server))
    for client in made[3][:2]:
        client.get(b"shared", observe=0)
        assert answered(made[0], [client])
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
    assert [a[0] for a in server.asked[2:]] == [(name(2),)] and server.asked[2][3] == 0
    assert gateway.observers.n_observers == 1
    server.change("shared", shared([name(2)], text="newer"))
    assert more(sim, two).code == 0x45 and len(one.answers) == 2


def test_a_document_is_asked_for_in_the_name_of_one_who_wants_it():
    sim, _, server, (one, two, three) = observe_both(denied=[])
    one.deregister(b"shared")
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
    assert [client.answers[-1].code for client in (two, three)] == [0x83, 0x84]
    assert [a[0] for a in server.asked[:2]] == [(name(1),), (name(2),)]
    for client in (two, three):
        for n in (1, 2, 3):
            if n != client.n:
                assert name(n).encode() not in client.answers[-1].payload()


def test_what_ends_an_observation_is_told_to_all_without_the_name_of_one():
    for code, told in ((0x84, 0x84), (0x9D, 0x9D), (0xA0, 0xA3), (0xA4, 0xA4)):
        sim, gateway, server, clients = observe_both()
        server.representation = lambda request, _: (code, [], b"for " + request.ids[0].encode())
        server.change("shared", None)
        sim.run(None, 1000)
        for client in clients[:2]:
            assert [a.code for a in client.answers] == [0x45, told], code
            assert client.answers[1].uint(12) == 257
            assert name(3 - client.n).encode() not in client.answers[1].payload()
        assert (
            gateway.observers.n_observers == 0
            and gateway.shared_documents.documents == {}
            and gateway.n_waiting == 0
        )
        # And when it is asked for.
        for client in clients[:2]:
            client.get(b"shared")
        sim.run(None, 1000)
        for client in clients[:2]:
            assert client.answers[2].code == told
            assert name(3 - client.n).encode() not in client.answers[2].payload()


def test_an_observation_is_renewed_for_ever_however_often_the_document_changes():
    both = shared([name(1), name(2)])
    sim, _, server, (client, _) = new((1, 2), [both], {"max_age_s": 10})
    token = client.get(b"shared", observe=0).token
    assert answered(sim, [client])
    for n in range(9):
        sim.run(None, 15000)
        changed = shared([name(1), name(2)], text=str(n))
        server.documents = [changed]
        client.endpoint.cancel(client.endpoint.by_token[token])
        client.get(b"shared", observe=0, token=token)
        sim.run(None, 1000)
        assert client.answers[-1].code == 0x45 and client.documents() == for_one(changed, 1)
        assert client.answers[-1].uint(6) is not None
    assert [a[1:] for a in server.asked] == 10 * [(0, "shared", 0)]


def test_a_renewal_tells_other_observers_only_of_a_change():
    for has_changed in (False, True):
        both = shared([name(1), name(2)])
        sim, gateway, server, clients = new((1, 2), [both], {"max_age_s": 10})
        tokens = []
        for client in clients:
            tokens.append(client.get(b"shared", observe=0).token)
            assert answered(sim, [client])
        sim.run(None, 15000)
        if has_changed:
            server.documents = [shared([name(1), name(2)], text="new")]
        # In whose name the gateway observes: so the observation of all is renewed.
        clients[0].endpoint.cancel(clients[0].endpoint.by_token[tokens[0]])
        clients[0].get(b"shared", observe=0, token=tokens[0])
        sim.run(None, 5000)
        assert [len(client.answers) for client in clients] == [2, 2 if has_changed else 1]
        assert gateway.observers.n_observers == 2 and len(server.observers) == 1
        # Both still hear of the next change, under rising numbers.
        newer = shared([name(1), name(2)], text="newer")
        server.change("shared", newer)
        sim.run(None, 5000)
        for client in clients:
            numbers = [answer.uint(6) for answer in client.answers]
            assert client.documents() == for_one(newer, client.n)
            assert numbers == sorted(numbers) and numbers[-1] > numbers[-2]


def test_a_document_that_changes_while_its_last_observer_goes_is_asked_for_in_peace():
    sim, gateway, server, (client,) = new((1,), [doc(1)])
    client.get(b"doc-1", observe=0)
    assert answered(sim, [client])
    server.change("doc-1", doc(1, text=3000 * "x"))
    assert sim.run(lambda: n_received(gateway, b"doc-1") == 2048, 1000)
    client.deregister(b"doc-1")
    server.documents = [doc(1, text=3000 * "y")]
    sim.run(None, 1000)
    assert (
        gateway.shared_documents.documents == {}
        and gateway.transfers.under_way == []
        and gateway.n_waiting == 0
    )


def test_a_document_whose_ids_are_malformed_is_counted_and_kept_for_nobody():
    for ids in ({"uris": [7]}, {"uris": 7}, [name(1)], {7: [name(1)]}):
        broken = dict(shared([name(1), name(2)]), valUeIds=ids)
        sim, gateway, server, clients = new((1, 2), [shared([name(1), name(2)])], {})
        server.documents_of = lambda what, broken=broken: [broken]
        for client in clients:
            client.get(b"shared")
        assert answered(sim, clients), ids
        assert [client.answers[0].code for client in clients] == [0xA3, 0xA3], ids
        assert gateway.counters["invalid_document"] >= 1, ids
        clients[0].get(b"shared")  # not from the cache
        assert more(sim, clients[0]).code == 0xA3, ids
