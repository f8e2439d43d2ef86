"""The gateway when things go wrong: nobody starves, nobody waits for ever."""

from msgin5g.cbor.encoder import dumps
from gateway_builders import GATEWAY_ID, address, answered, doc, name, new


def test_what_ends_a_bulk_reaches_everybody_in_it():
    named = ("for " + name(1)).encode()
    for fault, code, age in (
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
        sim, gateway, server, clients = new((1, 2), [doc(1), doc(2)], {"faults": {0: fault}})
        for client in clients:
            client.get()
        assert answered(sim, clients)
        for client in clients:
            answer = client.answers[0]
            assert (answer.code, answer.uint(14)) == (code, age), (fault, answer.code)
            assert answer.option(65020) == name(client.n).encode()
            assert answer.uint(12) == 257 and b"ue:" not in answer.payload()
        assert gateway.n_waiting == 0 and len(server.asked) == 1


def test_a_document_with_two_equal_keys_is_invalid():
    # RFC 8949 section 5.6. The head of the map counts two pairs more.
    good = dumps(doc(1))
    bad = bytes((good[0] + 2,)) + good[1:] + b"\x61z\1\x61z\2"
    for body, is_found in ((good, True), (bad, False)):
        server = {"faults": {0: (0x45, [], b"\x81" + body)}}
        sim, gateway, _, (client,) = new((1,), [], server)
        client.get()
        assert answered(sim, [client])
        assert (client.answers[0].code == 0x45) == is_found
        assert gateway.counters.get("invalid_document", 0) == (0 if is_found else 1)


def test_an_answer_with_a_critical_option_that_cannot_be_processed_is_502_at_once():
    # RFC 7252 sections 5.4.1 and 5.7.1; a confirmable one gets a Reset (4.2).
    for slow_ms in (0, 500):
        for options in ([(65001, b"x")], [(23, bytes(5))], [(5, b""), (9, b"")]):
            for numbers, document_id in (((1, 2), None), ((1,), None), ((1,), b"doc-1")):
                fault = (0x45, options, b"\x80")
                # If it were asked again, it would answer the same.
                server = {"faults": dict.fromkeys(range(40), fault), "slow_ms": slow_ms}
                sim, gateway, server, clients = new(numbers, [doc(1), doc(2)], server)
                for client in clients:
                    client.get(document_id, observe=0 if document_id else None)
                assert answered(sim, clients, 5000)
                for client in clients:
                    assert client.answers[0].code == 0xA2 and client.answers[0].uint(12) == 257
                    assert client.answers[0].option(65020) == name(client.n).encode()
                sim.run(None, 200000)
                assert len(server.asked) == 1 and gateway.n_waiting == 0
                assert gateway.counters["critical_option"] == 1
                assert gateway.observers.n_observers == 0
                sent = [d for _, source, to, d in sim.log if to == ("192.0.2.1", 5683)]
                resets = [d for d in sent if d[0] == 0x70]
                assert len(resets) == (1 if slow_ms else 0) and len(sent) <= 2
                # At once: the server has no reason to repeat it.
                said = [d for _, source, _, d in sim.log if source == ("192.0.2.1", 5683)]
                assert len([d for d in said if d[0] >> 4 == 4]) == len(resets)


def test_a_notification_with_a_critical_option_that_is_not_known_ends_the_observation():
    sim, gateway, server, (client,) = new((1,), [doc(1)])
    exchange = client.get(b"doc-1", observe=0)
    assert answered(sim, [client]) and gateway.observers.n_observers == 1
    incoming = server.observers[0][0]
    server.endpoint.notify(
        incoming, 0x45, [(6, b"\2"), (65001, b"x")], b"\x80", server.observers[0]
    )
    sim.run(None, 5000)
    assert server.observers == [] and gateway.observers.n_observers == 0
    assert client.answers[1].code == 0xA2 and client.answers[1].token() == exchange.token
    # Asked again, it observes again.
    client.get(b"doc-1", observe=0)
    sim.run(None, 5000)
    assert client.answers[2].code == 0x45 and gateway.observers.n_observers == 1


def test_a_confirmable_answer_that_nobody_waits_for_gets_a_reset_from_the_gateway():
    sim, gateway, _, _ = new((1,), [doc(1)])
    for source in (("192.0.2.1", 5683), address(1), ("10.0.0.1", 1)):
        gateway.receive(0, b"\x44\x45\x06\x02nope\xffb", source, sim.now)
        assert gateway.transmit(sim.now) == (0, b"\x70\0\x06\x02", source)
    assert gateway.transmit(sim.now) is None and gateway.counters["unmatched_response"] == 3


def test_the_same_message_id_with_another_token_is_another_request_at_the_gateway():
    # A UE without entropy that was restarted.
    sim, gateway, server, (client,) = new((1,), [doc(1)])
    first = client.get()
    assert answered(sim, [client])
    request = next(d for _, s, _, d in sim.log if s == address(1))
    assert request[4:8] == first.token
    sim.run(None, 70000)  # what is kept is stale
    sim.send(address(1), ("192.168.4.1", 65401), request[:4] + b"anew" + request[8:], 10)
    sim.run(None, 10000)
    assert len(server.asked) == 2
    answers = [d for _, _, to, d in sim.log if to == address(1) and d[1] == 0x45]
    assert answers[-1][4:8] == b"anew"
    # A request that was refused is remembered by its token, too.
    for token in (b"one1", b"two2"):
        datagram = b"\x44\1\1\1" + token + request[8:].replace(b"su-uc", b"su-xx")
        gateway.receive(0, datagram, address(1), sim.now)
        refusal = gateway.transmit(sim.now)[1]
        assert refusal[1] == 0xA5 and refusal[2:8] == b"\1\1" + token


def test_a_path_with_dots_is_refused():
    # RFC 7252 section 5.10.1.
    for segment in (b".", b".."):
        sim, _, server, (client,) = new((1,), [doc(1)])
        client.get(segment)
        assert answered(sim, [client])
        assert client.answers[0].code == 0x82 and not server.asked


def test_a_server_that_is_gone_is_504_in_the_time_that_a_ue_waits():
    sim, gateway, _, clients = new((1, 2, 3), [])
    sim.remove(("192.0.2.1", 5683))
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert 80000 <= sim.elapsed_ms < 93000
    assert [client.answers[0].code for client in clients] == [0xA4, 0xA4, 0xA4]
    assert gateway.n_waiting == 0
    sim.run(None, 200000)
    assert gateway.wait_ms(sim.now) is None


def test_a_duplicate_while_waiting_repeats_the_acknowledgement_and_adds_nothing():
    sim, gateway, server, clients = new((1, 2), [doc(1), doc(2)])
    for client in clients:
        client.get()
    sim.run(None, 100)
    request = next(d for _, s, _, d in sim.log if s == address(1))
    for n in range(30):
        # Long after the endpoint has forgotten the message it is still known.
        if n == 10:
            for i in range(20):
                sim.send(("10.0.0.1", 1), address(0), b"")
        sim.send(address(1), ("192.168.4.1", 65401), request, 10 + n)
    sim.run(None, 200)
    acks = [d for _, _, to, d in sim.log if to == address(1)]
    assert len(acks) == 31 and all(a == acks[0] and len(a) == 4 for a in acks)
    assert answered(sim, clients)
    assert server.asked == [((name(1), name(2)), 0, None, None)]
    assert gateway.counters["duplicate"] == 30
    # Late, after the answer: acknowledged, not asked for again.
    sim.send(address(1), ("192.168.4.1", 65401), request, 10)
    sim.run(None, 5000)
    assert len(server.asked) == 1 and len(clients[0].answers) == 1


def test_a_newer_request_takes_the_place_of_the_former():
    sim, gateway, server, clients = new((1, 2), [doc(1), doc(2)])
    first = clients[0].get()
    clients[1].get()
    sim.run(None, 100)
    clients[0].endpoint.cancel(first)
    second = clients[0].get()
    assert answered(sim, clients)
    assert clients[0].answers[0].token() == second.token
    assert server.bulks == [(name(1), name(2))] and gateway.n_waiting == 0
    sim.run(None, 100000)
    assert len(clients[0].answers) == 1


def test_a_full_gateway_says_busy_with_a_time_for_everybody():
    numbers = tuple(range(1, 7))
    sim, gateway, _, clients = new(numbers, [doc(n) for n in numbers], max_waiting=2)
    for client in clients:
        client.get()
    assert answered(sim, clients)
    codes = [client.answers[0].code for client in clients]
    assert codes.count(0x45) == 2 and codes.count(0xA3) == 4
    for client in clients:
        answer = client.answers[0]
        assert answer.option(65020) == name(client.n).encode()
        assert answer.code == 0x45 or answer.uint(14) >= 1
    assert gateway.counters["busy"] == 4


def test_link_down_forgets_the_request():
    sim, gateway, server, clients = new((1, 2, 3), [doc(n) for n in (1, 2, 3)])
    for client in clients:
        client.get()
    sim.run(None, 100)
    gateway.link_down(name(2).encode())
    assert gateway.n_waiting == 2
    assert answered(sim, [clients[0], clients[2]])
    assert server.bulks == [(name(1), name(3))]
    sim.run(None, 100000)
    assert not clients[1].answers and gateway.n_waiting == 0
    # And while its answer is on its way, or repeated.
    clients[0].deaf = True
    for client in (clients[0], clients[2]):
        client.get()
    assert sim.run(lambda: len(clients[2].answers) == 2)
    repeated = [d for _, _, to, d in sim.log if to == address(1) and d[1] == 0x45]
    assert len(repeated) == 2, "its answers"
    gateway.link_down(name(1).encode())
    gateway.link_down(name(3).encode())
    n_sent = len(sim.log)
    sim.run(None, 60000)
    assert address(1) not in [to for _, _, to, _ in sim.log[n_sent:]]


def test_the_last_one_gone_ends_the_question_itself():
    sim, gateway, _, clients = new((1, 2), [doc(1), doc(2)], {"slow_ms": 30000})
    for client in clients:
        client.get()
    sim.run(None, 5000)
    gateway.link_down(name(1).encode())
    gateway.link_down(name(2).encode())
    assert gateway.n_waiting == 0 and gateway.transfers.under_way == []
    sim.run(None, 100000)
    assert not clients[0].answers and gateway.counters["unmatched_response"] >= 1


def test_the_same_message_id_and_token_are_another_request_when_the_former_is_long_ago():
    sim, gateway, server, (client,) = new((1,), [doc(1)])
    client.get()
    assert answered(sim, [client])
    request = next(d for _, s, _, d in sim.log if s == address(1))
    # EXCHANGE_LIFETIME of RFC 7252 section 4.8.2 is 247 s; later the clock has wrapped around.
    for wait_ms, n_times, n_asked in ((240000, 1, 1), (8000, 1, 2), (86400000, 8, 3)):
        for _ in range(n_times):
            sim.run(None, wait_ms)
        sim.send(address(1), ("192.168.4.1", 65401), request)
        sim.run(None, 5000)
        assert len(server.asked) == n_asked, wait_ms
    assert gateway.counters["duplicate"] == 1


def test_a_bulk_answer_is_for_the_gateway_itself_if_it_names_a_recipient():
    for recipient, n_taken in (
        (GATEWAY_ID, 1),
        (GATEWAY_ID.replace("urn", "URN"), 1),
        (name(1), 0),
    ):
        body = dumps([doc(1), doc(2)])
        fault = (0x45, [(65020, recipient.encode())], body)
        sim, gateway, _, clients = new((1, 2), [], {"faults": {0: fault}})
        for client in clients:
            client.get()
        sim.run(None, 5000)
        assert [len(client.answers) for client in clients] == 2 * [n_taken], recipient
        assert ("foreign_recipient" in gateway.counters) != n_taken, recipient


def test_a_link_that_ends_frees_the_documents_that_have_come_for_it():
    numbers = (1, 2)
    documents = [doc(n, text=700 * "x") for n in numbers]
    sim, gateway, _, clients = new(numbers, documents, {"slow_ms": 1000})
    for client in clients:
        client.get()
    pending = gateway.pending_requests
    assert sim.run(lambda: pending.held_size > 0, 10000)
    for n in numbers:
        gateway.link_down(name(n).encode())
    assert pending.held_size == pending.n_waiting == 0
    assert gateway.transfers.under_way == []
