"""A step is short: on a board the network stack keeps four datagrams while one lasts."""

from gateway_builders import doc, name, new


def test_a_gateway_sends_a_few_responses_in_a_step_and_the_next_ones_at_once():
    numbers = list(range(1, 9))
    sim, gateway, _, clients = new(numbers, [doc(n) for n in numbers], bulk_count=8)
    for client in clients:
        client.get()
    assert sim.run(lambda: len(gateway.responder.ready) == 8 or gateway.responder.unacknowledged)
    sent = []
    for _ in range(8):
        before = len(gateway.responder.unacknowledged)
        gateway.step(sim.now)
        sent.append(len(gateway.responder.unacknowledged) - before)
        assert gateway.wait_ms(sim.now) == 0
    assert max(sent) == 2
    began_at = sim.elapsed_ms
    assert sim.run(lambda: all(client.answers for client in clients))
    assert sim.elapsed_ms - began_at < 100
    assert [client.documents()[0]["ueConfigDocId"] for client in clients] == [
        "doc-" + str(n) for n in numbers
    ]


def test_what_was_to_be_sent_next_and_is_withdrawn_keeps_no_gateway_awake():
    numbers = list(range(1, 5))
    sim, gateway, _, clients = new(numbers, [doc(n) for n in numbers], bulk_count=4)
    for client in clients:
        client.get()
    assert sim.run(lambda: gateway.responder.has_more)
    for n in numbers:
        gateway.link_down(name(n).encode())
    gateway.step(sim.now)
    assert gateway.wait_ms(sim.now) != 0
