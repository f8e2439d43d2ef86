"""SEAL-C between two nodes: the same on the PC5 side, and what happens when one is gone."""

from msgin5g_testkit.checks import xorshift
from builders import SERVER, FakeConfiguration, document
from gateway_builders import (
    CLIENT,
    GATEWAY,
    GATEWAY_ID,
    SEAL_C,
    address,
    answered,
    doc,
    gateway_settings,
    name,
    new,
    new_seal_c,
    packet,
    separated,
    shared,
)
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message
from msgin5g.gateway.scm_remote import RemoteScmRequest
from msgin5g.scm.client import problem_of
from msgin5g.ue import ConstrainedUe


def new_separated(*arguments, **settings):
    return separated(new, *arguments, **settings)


def scm_client_of(sim):
    return sim.nodes[CLIENT]


def test_both_forms_give_the_same_bytes_on_the_pc5_side():
    numbers = (1, 2, 3, 4)
    documents = [doc(n) for n in numbers[:3]] + [shared([name(1), name(2)]), shared(None, "all")]
    documents[1]["text"] = 1500 * "x"
    logs = []
    for make in (new, new_separated):
        # Datagrams arrive at once, because one form takes two hops more than the other.
        sim, _, server, clients = make(
            numbers, documents, {"denied": (name(3),)}, link_model=lambda n, datagram: [0]
        )
        for ask in (
            lambda client: client.get(),
            lambda client: client.get(block2=1 << 4 | 6),
            lambda client: client.get(b"shared", observe=0),
            lambda client: client.get(b"doc-9"),
        ):
            for client in clients:
                ask(client)
                sim.run(None, 30)
            sim.run(None, 5000)
        server.change("shared", shared([name(1), name(2)], text="new"))
        sim.run(None, 5000)
        pc5 = [e for e in sim.log if "192.168." in e[1][0] and "192.168." in e[2][0]]
        assert len(pc5) > 40
        # By UE: in which order nodes act at the same moment is chance on MicroPython.
        logs.append([[bytes(e[3]) for e in pc5 if address(n) in (e[1], e[2])] for n in numbers])
    assert logs[0] == logs[1]


def test_killed_in_the_middle_it_is_504_in_time_and_when_it_is_back_all_is_well():
    for acknowledged in (False, True):
        sim, gateway, server, clients = new_separated((1, 2, 3), [doc(n) for n in (1, 2, 3)],
                                              {"slow_ms": 5000})  # fmt: skip
        clients[0].get()
        clients[1].get()
        if acknowledged:
            assert sim.run(lambda: len(server.asked) == 1, 10000)
        sim.remove(SEAL_C[1])
        sim.remove(CLIENT)
        assert answered(sim, clients[:2])
        assert sim.elapsed_ms < 93000
        assert [client.answers[0].code for client in clients[:2]] == [0xA4, 0xA4]
        assert gateway.n_waiting == 0 and gateway.transfers.under_way == []
        for client in clients:
            client.get()
        sim.run(None, 10000)
        new_seal_c(sim, gateway_settings(), 4711)
        assert answered(sim, [clients[2]], 60000)
        assert sim.run(lambda: all(client.answers[-1].code == 0x45 for client in clients), 60000)
        for client in clients:
            assert client.documents() == [doc(client.n)]


def test_a_dead_server_is_asked_no_more_when_the_gateway_has_gone_as_well():
    for document_id, observe in ((None, None), (b"doc-1", 0)):
        sim, _, _, clients = new_separated((1, 2), [doc(1), doc(2)])
        scm_client = scm_client_of(sim)
        sim.remove(SERVER)
        for client in clients:
            client.get(document_id, observe=observe)
        assert sim.run(lambda: scm_client.pending_requests, 10000)
        sim.remove(GATEWAY)
        sim.remove(SEAL_C[0])
        assert sim.run(lambda: not scm_client.pending_requests, 100000)
        sim.run(None, 200000)  # its last answers to the gateway time out
        assert scm_client.wait_ms(sim.now) is None


def test_a_new_configuration_client_goes_on_where_the_old_one_was_killed():
    numbers = tuple(range(1, 11))
    documents = [doc(n, text=700 * "x") for n in numbers]
    sim, _, server, clients = new_separated(numbers, documents, {"slow_ms": 100})
    for client in clients:
        client.get()
    assert sim.run(lambda: len(server.asked) == 4)
    sim.remove(SEAL_C[1])
    sim.remove(CLIENT)
    sim.run(None, 3000)
    new_seal_c(sim, gateway_settings(), 4711)
    assert answered(sim, clients, 60000)
    for client in clients:
        assert client.documents() == [doc(client.n, text=700 * "x")]
    assert len(server.bulks) == 1


def own_configuration(sim, gateway):
    """The ConstrainedUe of a separated gateway, as the builder makes it."""
    settings = gateway_settings(
        start_delay_s=0, require_recipient=False, ue_vendor="acme", ue_type="35123456"
    )
    scm = gateway.transfers.scm
    gateway.own = own = ConstrainedUe(
        settings, xorshift(8), FakeConfiguration(), scm.remote, sim.now, 0, gateway.endpoint
    )
    own.client.request = RemoteScmRequest(scm, own.client)
    return own


def test_the_gateways_own_configuration_goes_over_seal_c_as_that_of_its_ues():
    for text in ("", 2500 * "x"):
        documents = [document(GATEWAY_ID, '{"a":1}', "own", text=text), doc(1)]
        sim, gateway, server, (client,) = new_separated((1,), documents, {"max_age_s": 100})
        own = own_configuration(sim, gateway)
        client.get()
        assert sim.run(lambda: own.client.observing and client.answers, 20000)
        assert own.configuration.data == b'{"a":1}' and client.documents() == [doc(1)]
        # It is pushed, and its observation is renewed.
        server.change("own", document(GATEWAY_ID, '{"a":2}', "own", text=text))
        assert sim.run(lambda: own.configuration.data == b'{"a":2}', 5000)
        server.asked = []
        sim.run(None, 300000)
        assert own.client.observing and len(server.observers) == 1 and len(server.asked) <= 4
        # The server has heard of the gateway from the configuration client only.
        assert {e[1] for e in sim.log if e[2] == SERVER} == {CLIENT}
        assert {a[0] for a in server.asked} == {(GATEWAY_ID,)}
        assert server.queries[0] == [b"ue-vendor=acme", b"ue-type=35123456"]
        own.stop()
        sim.run(None, 5000)
        assert server.observers == []


def ask(sim, body, code=5, path=b"seal-c", source=SEAL_C[0], transport=1, more=(), mid=99):
    """What the configuration client says to a datagram."""
    scm_client = scm_client_of(sim)
    datagram = packet(0, code, mid, b"tokn", [(11, path)] + list(more), body)
    scm_client.receive(transport, datagram, source, sim.now)
    out = []
    while True:
        item = scm_client.transmit(sim.now)
        if item is None:
            return scm_client, out
        out.append(Message(32).decode(bytes(item[1])))


def test_what_is_not_from_the_gateway_or_makes_no_sense_is_not_worked():
    good = dumps([None, None, None, [name(1).encode()], []])
    for fields, counter in (
        ({"source": ("127.0.0.1", 5)}, "not_linked"),
        ({"transport": 0}, "not_linked"),
    ):
        sim, _, _, _ = new_separated((1,), [doc(1)])
        scm_client, out = ask(sim, good, **fields)
        # RFC 7252 section 4.2: it is rejected, and so not repeated.
        assert [(m.mtype, m.code) for m in out] == [(3, 0)]
        assert scm_client.counters == {counter: 1}
    for body, fields, code in (
        (good, {"code": 1}, 0x85),
        (good, {"path": b"else"}, 0x80),
        (b"", {}, 0x80),
        (b"\x80", {}, 0x80),
        (b"\x85\xf6\xf6\xf6\x80\x80", {}, 0x80),
        (dumps([1, None, None, [b"urn:x"], []]), {}, 0x80),
        (dumps([None, None, None, ["urn:x"], []]), {}, 0x80),
        (dumps([None, -1, None, [b"urn:x"], []]), {}, 0x80),
        (dumps([None, b"", None, [b"urn:x"], []]), {}, 0x80),
        (dumps({1: 2}), {}, 0x80),
        (dumps([None, None, None, b"urn:x", []]), {}, 0x80),
    ):
        sim, _, _, _ = new_separated((1,), [doc(1)])
        scm_client, (answer,) = ask(sim, body, **fields)
        assert answer.code == code and problem_of(answer.payload())[0], body
        assert scm_client.pending_requests == []
    sim, _, _, _ = new_separated((1,), [doc(1)])
    scm_client, (ack, get) = ask(sim, good)
    assert (ack.mtype, ack.code, get.code) == (2, 0, 1)


def test_a_confirmable_answer_that_the_configuration_client_does_not_wait_for_gets_a_reset():
    sim, _, _, _ = new_separated((1,), [doc(1)])
    scm_client = scm_client_of(sim)
    for transport, source in ((0, SERVER), (1, SEAL_C[0]), (0, ("127.0.0.1", 5))):
        scm_client.receive(transport, b"\x44\x45\x06\x02nope\xffb", source, sim.now)
        assert scm_client.transmit(sim.now) == (transport, b"\x70\0\x06\x02", source)
        scm_client.receive(transport, b"\x54\x45\x06\x02nope\xffb", source, sim.now)
        assert scm_client.transmit(sim.now) is None
    assert scm_client.counters == {"unmatched_response": 6}


def test_a_critical_option_that_the_configuration_client_does_not_know_is_402():
    good = dumps([None, None, None, [name(1).encode()], []])
    for more in ([(65001, b"x")], [(17, b"\x3c")], [(11, b"..")]):
        sim, _, _, _ = new_separated((1,), [doc(1)])
        scm_client, (answer,) = ask(sim, good, more=more)
        assert (answer.mtype, answer.code) == (2, 0x82), more
        assert scm_client.pending_requests == []


def test_any_bytes_at_seal_c_leave_the_client_alive():
    random = xorshift(12)
    sim, _, server, _ = new_separated((1,), [doc(1)])
    good = dumps([None, None, None, [name(1).encode()], []])
    n_worked = 0
    for n in range(300):
        body = bytes([random() for _ in range(random() % 40)])
        if n % 3 == 0:  # one byte of a good one is another
            at = random() % len(good)
            body = good[:at] + bytes((random() & 0x7F,)) + good[at + 1 :]
        scm_client, out = ask(sim, body, mid=n)
        assert (out[0].mtype, out[0].mid) == (2, n), body
        assert out[0].code in (0, 0x80), body  # acknowledged, for the server is asked, or refused
        n_worked += out[0].code == 0
        assert sim.run(lambda: not scm_client.pending_requests, 200000), body
    assert 0 < n_worked < 100 and scm_client.counters.get("duplicate") is None
    n = server.n_requests
    _, out = ask(sim, good, mid=300)
    assert out[0].code == 0 and sim.run(lambda: server.n_requests > n, 5000)
