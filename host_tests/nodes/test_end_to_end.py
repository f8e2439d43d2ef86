"""UE, relay and server in virtual time, and a network that loses, repeats and delays."""

from msgin5g.coap.numbers import CONTENT
from msgin5g.coap.message import Message, encode
from builders import (
    DATA,
    OTHER_ID,
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
    ue_address,
)
from msgin5g_testkit.network_sim import NetworkSim, all_but, chance

UE = ue_address(2)
OTHER = ue_address(3)


def configured(sim, ue, limit_ms=600000):
    return sim.run(lambda: ue.configuration.n_applied > 0, limit_ms)


def test_a_configuration_is_applied_through_the_relay():
    sim, ue, _relay, server = new_sim()
    assert configured(sim, ue)
    assert drain(ue)[0]["event"] == "applied"
    assert ue.configuration.data == DATA.encode()
    assert server.n_requests == 1


def test_any_single_datagram_lost_twice_or_late_is_repaired_and_served_once():
    link_models = [("lost", 0), ("twice", 0), ("late", 50), ("late", 1500), ("late", 5000)]
    link_models.append(("late", 40000))
    for how, late_ms in link_models:
        for n in range(8):
            for slow_ms in (0, 3000):
                case = (how, late_ms, n, slow_ms)
                link_model = all_but(**{how: (n,), "late_ms": late_ms})
                options = {"slow_ms": slow_ms, "max_age_s": 3600}
                sim, ue, _, server = new_sim(link_model, server=options)
                assert configured(sim, ue), case
                sim.run(None, 60000)
                assert server.n_requests == 1, case
                assert ue.configuration.n_applied == 1, case
                assert names(ue) == ["applied"], case


def test_with_30_percent_loss_each_way_all_of_100_runs_end_configured():
    for seed in range(100):
        sim, ue, _, _ = new_sim(
            chance(seed + 1, loss=30, duplication=10), seed=seed + 1, record=False
        )
        assert configured(sim, ue, 3600000), seed


def test_a_server_that_is_gone_is_a_timeout_after_max_transmit_wait_and_life_goes_on():
    for gone in ("server", "relay"):
        sim, ue, relay, server = new_sim()
        if gone == "server":
            sim.remove(("192.0.2.1", 5683))
        else:
            sim.remove(RELAY)
        events = []

        def told():
            events.extend(drain(ue))
            return events

        assert sim.run(told, 200000)
        assert events[0] == {"event": "timeout"}, gone
        assert sim.elapsed_ms == 93000, (gone, sim.elapsed_ms)
        assert events[1]["event"] == "backing_off"
        if gone == "server":
            sim.add(("192.0.2.1", 5683), server)
        else:
            sim.add(RELAY, relay)
        assert configured(sim, ue), gone


def test_two_ues_are_served_at_the_same_time_in_a_world_with_one_clock():
    sim = NetworkSim()
    ues = [
        new_ue(sim, UE, 3),
        new_ue(sim, OTHER, 3, ue_id=OTHER_ID),  # the same seed: the same message IDs and tokens
    ]
    new_relay(sim, {UE_ID: UE, OTHER_ID: OTHER})
    new_server(sim, {i: document(i, '{"who":"' + i + '"}') for i in (UE_ID, OTHER_ID)})
    assert sim.run(lambda: all(ue.configuration.n_applied for ue in ues))
    for ue, ue_id in zip(ues, (UE_ID, OTHER_ID)):
        assert ue_id.encode() in ue.configuration.data
    first = [Message(32).decode(d) for _, s, _, d in sim.log if s in (UE, OTHER)]
    assert first[0].mid == first[1].mid and first[0].token() == first[1].token()


def test_an_answer_for_another_is_seen_to_be_discarded_and_the_true_one_comes_through():
    sim, ue, relay, _ = new_sim(all_but(late=(2,), late_ms=300))
    forged = []

    def forge():
        if len(sim.log) > 1 and not forged:
            request = Message(32).decode(sim.log[1][3])
            buf = bytearray(100)
            options = [(65020, b"urn:x-msgin5g:ue:9999")]
            size = encode(buf, 2, CONTENT, request.mid, request.token(), options, b"body")
            forged.append(bytes(buf[:size]))
            sim.send(SERVER, RELAY, forged[0])
        return ue.configuration.n_applied

    assert sim.run(forge)
    assert relay.counters["recipient_not_linked"] == 1
    assert ue.configuration.data == DATA.encode()
