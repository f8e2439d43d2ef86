"""The relay's part in push, RFC 7641: flows that live, that end, and that are too many."""

from msgin5g_testkit.checks import load, xorshift
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import ACK, CON, GET, NON, OBSERVE, RST
from builders import (
    DATA,
    RELAY,
    SERVER,
    UE_ID,
    document,
    drain,
    names,
    new_relay,
    new_server,
    new_ue,
    new_sim,
    relay_settings,
    ue_address,
)
from msgin5g_testkit.network_sim import NetworkSim, chance

load(
    "msgin5g.relay",
    "msgin5g.ue",
    "msgin5g.ue",
    "msgin5g.scm.ue_config_doc",
    "msgin5g_testkit.servers",
)

UE = ue_address(2)


def version(n):
    return DATA.replace("user-7", "user-" + str(n))


def observing(relay=None):
    sim, ue, relay, server = new_sim(None, None, {"observe": True}, relay, {"max_age_s": 3600})
    assert sim.run(lambda: len(ue.events) == 2)
    assert names(ue) == ["applied", "unchanged"] and ue.client.observing
    sim.log.clear()
    return sim, ue, relay, server


def sent(sim, source, destination):
    return [Message(32).decode(d) for _, s, to, d in sim.log if (s, to) == (source, destination)]


def test_link_down_ends_the_flow_and_the_server_hears_of_it_at_the_next_change():
    sim, ue, relay, server = observing()
    relay.link_down(UE_ID.encode())
    assert not relay.flows() and relay.wait_ms(sim.now) is None
    server.change(UE_ID, document(UE_ID, version(1)))
    sim.run(None, 200000)
    assert sent(sim, RELAY, UE) == [] and not server.observers
    assert [m.mtype for m in sent(sim, RELAY, SERVER)] == [RST]
    # Once it is linked again, the renewal brings the change, and push again.
    relay.link_up(UE_ID.encode(), 0, UE)
    assert sim.run(lambda: ue.events, 4000000)
    assert names(ue) == ["applied"] and ue.client.observing
    server.change(UE_ID, document(UE_ID, version(2)))
    assert sim.run(lambda: ue.events)
    assert ue.configuration.data == version(2).encode()


def test_a_ue_that_has_begun_anew_rejects_the_notification_which_ends_the_flow():
    sim, _, relay, server = observing()
    sim.remove(UE)
    new = new_ue(sim, UE, 99, start_delay_s=600)  # it has lost its tokens, and asks later
    server.change(UE_ID, document(UE_ID, version(1)))
    sim.run(None, 1000)
    assert [m.mtype for m in sent(sim, UE, RELAY)] == [RST]
    assert not relay.flows() and relay.counters["answer_reset"] == 1
    server.change(UE_ID, document(UE_ID, version(2)))
    sim.run(None, 1000)
    assert [m.mtype for m in sent(sim, RELAY, SERVER)][-1] == RST and not server.observers
    assert sim.run(lambda: new.configuration.n_applied)


def test_a_ue_that_acknowledges_no_more_is_forgotten():
    sim, _, relay, server = observing()
    sim.remove(UE)
    server.change(UE_ID, document(UE_ID, version(1)))
    sim.run(None, 92000)
    assert len(sent(sim, RELAY, UE)) == 5 and len(relay.flows()) == 1
    sim.run(None, 2000)
    assert not relay.flows() and relay.counters["answer_timeout"] == 1
    assert relay.wait_ms(sim.now) is None
    # A later notification of the server is rejected: it may forget, too.
    server.change(UE_ID, document(UE_ID, version(2)))
    sim.run(None, 2000)
    assert not server.observers


def test_only_the_newest_state_is_repeated_to_a_ue_that_does_not_answer():
    sim, ue, relay, server = observing()
    sim.remove(UE)
    for n in range(5):
        server.change(UE_ID, document(UE_ID, version(n)))
        sim.run(None, 100)
    assert len(relay.endpoint.exchanges) <= 2
    sim.add(UE, ue)
    sim.log.clear()
    assert sim.run(lambda: ue.events)
    assert ue.configuration.data == version(4).encode()
    sim.run(None, 100000)
    assert len(sent(sim, RELAY, UE)) == 1 and names(ue) == ["applied"]


def test_a_ue_that_is_gone_is_forgotten_however_often_there_is_something_new():
    sim, _, relay, server = observing()
    sim.remove(UE)
    for n in range(9):
        assert len(relay.flows()) == 1 and len(server.observers) == 1
        server.change(UE_ID, document(UE_ID, version(n)))
        sim.run(None, 10000)
    sim.run(None, 4000)  # 94 s after the first one that nobody has acknowledged
    assert not relay.flows() and relay.counters["answer_timeout"] == 1


def crowd(n, seed=1, **settings):
    sim = NetworkSim(record=False)
    ids = ["urn:x:ue:" + str(i) for i in range(n)]
    ues = [new_ue(sim, ue_address(20 + i), seed + i, ue_id=ids[i], observe=True) for i in range(n)]
    relay = new_relay(sim, {ids[i]: ue_address(20 + i) for i in range(n)}, **settings)
    documents = {i: document(i, DATA, "doc-" + i[-1]) for i in ids}
    server = new_server(sim, documents, max_age_s=3600)
    return sim, ids, ues, relay, server


def test_observations_beyond_the_limit_become_plain_answers():
    sim, ids, ues, relay, server = crowd(5, max_observations=2)
    most = [0]

    def settled():
        most[0] = max(most[0], len([f for f in relay.flows() if f.wants_observe]))
        for ue in ues:
            drain(ue)
        return sim.elapsed_ms > 10000

    assert sim.run(settled)
    # All asked at the same time: those under way count, too.
    assert most[0] == 2 == len(relay.flows()) == len(server.observers)
    assert relay.counters == {"observations_full": 3}
    assert len([ue for ue in ues if ue.client.observing]) == 2
    assert all(ue.configuration.n_applied == 1 for ue in ues)
    # Whoever is not told asks as often as the answer ages, and asks to be told each time.
    n_requests = server.n_requests
    for i in ids:
        server.change(i, document(i, version(3), "doc-" + i[-1]))
    sim.run(lambda: [drain(ue) for ue in ues] and sim.elapsed_ms > 3240000, 3300000)
    sim.run(lambda: [drain(ue) for ue in ues] and False, 3000)
    assert all(ue.configuration.data == version(3).encode() for ue in ues)
    assert n_requests + 3 <= server.n_requests <= n_requests + 5
    # A place that becomes free is taken.
    next(ue for ue in ues if ue.client.observing).stop()
    sim.run(lambda: [drain(ue) for ue in ues] and False, 4000000)
    assert len([ue for ue in ues if ue.client.observing]) == 2 == len(relay.flows())


def test_without_push_a_large_document_is_not_asked_for_in_a_loop():
    sim, ue, _, server = new_sim(
        None, None, {"observe": True, "block_size": 64}, {"max_observations": 0},
        {"max_age_s": 3600},
    )  # fmt: skip
    sim.run(lambda: drain(ue) and False, 600000)
    n_blocks = server.n_requests // 2
    assert server.n_requests == 2 * n_blocks < 12  # the collection, then the document
    assert not ue.client.observing and ue.configuration.n_applied == 1


def test_a_ue_that_begins_anew_again_and_again_does_not_fill_the_table():
    sim = NetworkSim(record=False)
    other = "urn:x:ue:9"
    relay = new_relay(sim, {UE_ID: UE, other: ue_address(9)}, max_observations=3)
    server = new_server(sim, {UE_ID: document(UE_ID, DATA), other: document(other, DATA)})
    neighbour = new_ue(sim, ue_address(9), 4, ue_id=other, observe=True)
    assert sim.run(lambda: neighbour.client.observing)
    for n in range(6):
        ue = new_ue(sim, UE, 10 + n, observe=True)
        assert sim.run(lambda: ue.client.observing)
        assert len(relay.flows()) == 2
    assert relay.counters == {} and neighbour.client.observing
    # It is told on the newest of its tokens.
    server.change(UE_ID, document(UE_ID, version(1)))
    assert sim.run(lambda: ue.configuration.data == version(1).encode())
    server.change(other, document(other, version(2)))
    assert sim.run(lambda: neighbour.configuration.data == version(2).encode())


def test_an_observation_taken_away_by_the_limit_keeps_hop_limit_and_options():
    from msgin5g.relay import Relay

    relay = Relay(relay_settings(max_observations=0), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    buf = bytearray(200)
    options = [(OBSERVE, b""), (11, b"path"), (15, b"ue-uri=" + UE_ID.encode()), (16, b"\x07")]
    options.append((65020, b"coap://scm.example"))
    n = encode(buf, CON, GET, 1, b"tokn", options)
    relay.receive(0, bytes(buf[:n]), UE, 0)
    request = Message(32).decode(bytes(relay.transmit(0)[1]))
    assert request.find(OBSERVE) < 0 and request.option(16) == b"\x06"
    assert [request.value(i) for i in (0, 1)] == [options[1][1], options[2][1]]


def test_with_loss_and_many_changes_all_end_with_the_last_state():
    for seed in (1, 2, 3):
        link_model = chance(seed, loss=20, duplication=10, max_delay_ms=3000)
        sim, ue, _, server = new_sim(
            link_model, None, {"observe": True}, None, {"max_age_s": 600}, seed=seed, record=False
        )

        def told():
            drain(ue)
            return False

        sim.run(told, 600000)
        for n in range(12):
            server.change(UE_ID, document(UE_ID, version(n)))
            sim.run(told, 7000 * n)
        sim.run(told, 1200000)
        assert ue.configuration.data == version(11).encode(), seed


def test_a_non_confirmable_notification_stays_one():
    from msgin5g.relay import Relay

    relay = Relay(relay_settings(), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    buf = bytearray(200)
    options = [(OBSERVE, b""), (15, b"ue-uri=" + UE_ID.encode()), (65020, b"coap://scm.example")]
    n = encode(buf, CON, GET, 1, b"tokn", options)
    relay.receive(0, bytes(buf[:n]), UE, 0)
    request = Message(32).decode(bytes(relay.transmit(0)[1]))
    for mid, mtype in enumerate((CON, NON, CON, NON)):
        options = [(OBSERVE, bytes((mid,))), (65020, UE_ID.encode())]
        n = encode(buf, mtype, 0x45, mid, request.token(), options, b"x")
        relay.receive(0, bytes(buf[:n]), SERVER, 0)
        down = []
        while True:
            out = relay.transmit(0)
            if out is None:
                break
            if out[2] == UE:
                down.append(Message(32).decode(bytes(out[1])))
        assert len(down) == 1 and down[0].token() == b"tokn"
        # The first one rides on the acknowledgement of the request.
        assert down[0].mtype == (mtype if mid else ACK), mid
        if down[0].mtype == CON:
            relay.receive(0, bytes((0x60, 0, down[0].mid >> 8, down[0].mid & 0xFF)), UE, 0)
