"""A gateway that begins anew: a UE asks again, a body changes, there was no memory."""

from msgin5g_testkit.checks import load
from gateway_builders import answered, doc, name, new, shared

load("msgin5g.gateway.gateway")


def test_a_ue_that_asks_anew_for_the_same_gets_its_answer_with_the_newer_token():
    sim, _, server, (client,) = new((1,), [doc(1)], {"slow_ms": 5000})
    first = client.get(b"doc-1")
    sim.run(None, 1000)
    assert len(server.asked) == 1
    client.endpoint.cancel(first)
    second = client.get(b"doc-1")
    assert answered(sim, [client])
    assert client.answers[0].token() == second.token and client.documents() == doc(1)
    sim.run(None, 20000)
    assert len(server.asked) == 1 and len(client.answers) == 1, "the server is asked once"


def test_a_ue_that_asks_for_something_else_gets_that_and_not_the_former():
    documents = [shared([name(1)], "a"), shared([name(1)], "b")]
    sim, _, server, (client,) = new((1,), documents, {"slow_ms": 5000})
    first = client.get(b"a")
    sim.run(None, 1000)
    client.endpoint.cancel(first)
    second = client.get(b"b")
    assert answered(sim, [client])
    assert client.answers[0].token() == second.token
    assert client.documents()["ueConfigDocId"] == "b"
    sim.run(None, 20000)
    assert [asked[2] for asked in server.asked] == ["a", "b"] and len(client.answers) == 1


def test_a_changed_body_is_asked_for_anew_with_the_same_observation():
    def large(letter):
        return shared([name(1), name(2)], text=4500 * letter)

    sim, _, server, clients = new((1, 2), [large("a")], {"max_age_s": 100})
    for client in clients:
        client.get(b"shared", observe=0)
        assert answered(sim, [client])
    (observer,) = server.observers
    n = len(server.asked)
    server.change("shared", large("b"))
    assert sim.run(lambda: len(server.asked) > n)
    server.documents = [large("c")]
    sim.run(None, 20000)
    assert (name(1),) == server.asked[-1][0]
    assert [asked[1] for asked in server.asked[n:]] == [1, 2, 0, 1, 2, 3, 4]
    assert [o[0].token for o in server.observers] == [observer[0].token]


def test_requests_that_are_collected_stay_together_after_want_of_memory():
    sim, gateway, server, clients = new((1, 2), [doc(1), doc(2)], bulk_count=3)
    for client in clients:
        client.get()
    sim.run(None, 500)
    gateway.lose(sim.now)
    assert gateway.n_waiting == 2 and server.asked == []
    assert answered(sim, clients, 10000)
    for client in clients:
        assert client.documents() == [doc(client.n)]
    assert server.bulks == [(name(1), name(2))] and len(server.asked) == 1


def test_a_transfer_that_there_is_no_memory_to_ask_for_is_asked_for_a_little_later():
    for n_lost in (1, 3):
        sim, gateway, server, (client,) = new((1,), [doc(1)])
        endpoint = gateway.endpoint
        request = endpoint.request
        left = [n_lost]

        def out_of_memory(*arguments, left=left, request=request):
            if left[0]:
                left[0] -= 1
                raise MemoryError
            return request(*arguments)

        endpoint.request = out_of_memory
        client.get(b"doc-1")
        assert answered(sim, [client], 20000) and client.documents() == doc(1)
        assert gateway.counters == {"no_memory": n_lost} and len(server.asked) == 1
        assert gateway.n_waiting == 0
