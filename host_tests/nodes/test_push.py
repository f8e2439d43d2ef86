"""Push, RFC 7641: the UE observes its document through the relay, and what becomes of that."""

from msgin5g_testkit.checks import load, xorshift
from msgin5g.coap.message import Message, encode, uint_bytes
from msgin5g.coap.numbers import ACK, BLOCK2, CON, CONTENT, ETAG, GET, OBSERVE, RST, URI_PATH
from msgin5g.ue import ConstrainedUe
from builders import (
    DATA,
    RELAY,
    SERVER,
    UE_ID,
    FakeConfiguration,
    document,
    drain,
    names,
    new_relay,
    new_sim,
    ue_address,
    ue_settings,
)
from msgin5g_testkit.network_sim import all_but, chance

load("msgin5g.relay", "msgin5g.ue", "msgin5g.scm.ue_config_doc", "msgin5g_testkit.servers")

UE = ue_address(2)
HOPS = ((SERVER, RELAY), (RELAY, UE))


def version(n):
    return DATA.replace("user-7", "user-" + str(n))


def observing(link_model=None, ue=None, relay=None, **server):
    """(sim, ue, relay, server) with the UE observing; its log and events are empty."""
    settings = {"observe": True}
    settings.update(ue or {})
    server = {"max_age_s": server.pop("max_age_s", 3600)}
    sim, ue, relay, server = new_sim(link_model, None, settings, relay, server)
    assert sim.run(lambda: len(ue.events) == 2)
    assert names(ue) == ["applied", "unchanged"] and ue.client.observing
    sim.log.clear()
    return sim, ue, relay, server


def change(sim, ue, server, n, limit_ms=600000):
    """Give the UE another document; whether it has it in time."""
    server.change(UE_ID, document(UE_ID, version(n)))
    told = sim.run(lambda: ue.events, limit_ms)
    return told and ue.configuration.data == version(n).encode() and names(ue) == ["applied"]


def between(sim, source, destination):
    """What went from one to the other: list of Message."""
    return [Message(32).decode(d) for _, s, to, d in sim.log if (s, to) == (source, destination)]


def test_a_change_is_one_notification_and_its_acknowledgement_on_each_hop():
    sim, ue, _, server = observing()
    for n in range(3):
        assert change(sim, ue, server, n)
        sim.run(None, 10000)
        assert len(sim.log) == 4
        for source, destination in HOPS:
            (notification,) = between(sim, source, destination)
            (ack,) = between(sim, destination, source)
            assert (notification.mtype, notification.code) == (CON, CONTENT)
            assert notification.uint(OBSERVE) == n + 2
            assert notification.option(65020) == UE_ID.encode()
            assert (ack.mtype, ack.code, ack.mid) == (ACK, 0, notification.mid)
        sim.log.clear()
    assert server.n_requests == 2


def test_a_lost_notification_or_acknowledgement_is_repeated():
    for lost in range(8, 12):
        sim, ue, _, server = observing(all_but(lost=(lost,)))
        assert sim.n_sent == 8
        assert change(sim, ue, server, 1)
        sim.run(None, 30000)
        assert len(sim.log) >= 5 and names(ue) == [], lost


def test_renewed_before_the_age_is_over_with_the_same_token_on_both_hops():
    sim, ue, relay, server = observing()
    start = sim.elapsed_ms
    ((token_ue,), (token_relay,)) = [
        [flow.incoming.token for flow in relay.flows()],
        [flow.exchange.token for flow in relay.flows()],
    ]
    for n in range(1, 4):
        assert sim.run(lambda: ue.events, 4000000)
        assert names(ue) == ["unchanged"] and ue.client.observing
        assert 0 <= sim.elapsed_ms - start - 3240000 * n < 1000
        assert len(sim.log) == 4
        (up,) = between(sim, UE, RELAY)
        (further,) = between(sim, RELAY, SERVER)
        assert up.uint(OBSERVE) == further.uint(OBSERVE) == 0
        assert up.token() == token_ue and further.token() == token_relay
        assert len(relay.flows()) == len(server.observers) == 1
        sim.log.clear()
    assert change(sim, ue, server, 1)
    # A notification is as good as an answer: the age begins with it.
    start = sim.elapsed_ms
    assert sim.run(lambda: ue.events, 4000000)
    assert 0 <= sim.elapsed_ms - start - 3240000 < 1000


def test_stop_deregisters_on_both_hops_and_then_there_is_silence_until_fetch():
    sim, ue, relay, server = observing()
    (flow,) = relay.flows()
    token = flow.exchange.token
    ue.stop()
    sim.run(None, 10000)
    assert len(sim.log) == 4
    assert between(sim, UE, RELAY)[0].uint(OBSERVE) == 1
    assert between(sim, RELAY, SERVER)[0].token() == token
    assert not relay.flows() and not server.observers and not ue.client.observing
    drain(ue)
    server.change(UE_ID, document(UE_ID, version(1)))
    assert ue.wait_ms(sim.now) is None
    sim.run(None, 200000000)
    assert len(sim.log) == 4 and names(ue) == []
    ue.fetch(sim.now)
    assert sim.run(lambda: ue.client.observing)
    assert names(ue) == ["applied"] and ue.configuration.data == version(1).encode()


def test_stop_in_the_midst_of_a_fetch_ends_it():
    sim, ue, _, server = new_sim(None, None, {"observe": True})
    assert sim.run(lambda: sim.log)
    ue.stop()
    sim.run(None, 400000)
    assert names(ue) == [] and server.n_requests == 1 and ue.wait_ms(sim.now) is None


def test_a_deleted_document_ends_it_and_is_asked_for_later_and_later():
    sim, ue, relay, server = observing()
    server.change(UE_ID, None)
    assert sim.run(lambda: ue.events)
    events = drain(ue)
    assert events[0]["event"] == "rejected" and events[0]["code"] == "4.04"
    assert events[1]["event"] == "backing_off"
    sim.run(None, 100)
    assert not relay.flows() and not server.observers
    at = [sim.elapsed_ms]
    for _ in range(8):
        assert sim.run(lambda: ue.events, 8000000)
        assert names(ue) == ["rejected", "backing_off"]
        at.append(sim.elapsed_ms)
    # It is the collection that is asked: the next document may be another one.
    later = between(sim, UE, RELAY)[-8:]
    assert len(later) == 8
    for message in later:
        paths = [i for i in range(message.n_options) if message.numbers[i] == URI_PATH]
        assert len(paths) == 5 and message.find(OBSERVE) < 0 and message.find(ETAG) < 0
    gaps = [at[i + 1] - at[i] for i in range(8)]
    for i in range(8):
        assert 5000 * 2**i * 3 // 4 <= gaps[i] <= 5000 * 2**i * 5 // 4 + 100, gaps
    server.documents[UE_ID] = document(UE_ID, version(3))
    assert sim.run(lambda: ue.client.observing, 8000000)
    assert ue.configuration.data == version(3).encode()
    drain(ue)
    assert change(sim, ue, server, 4)


def test_a_notification_larger_than_a_block_is_completed_by_plain_requests():
    sim, ue, relay, server = observing(ue={"block_size": 64})
    (flow,) = relay.flows()
    token = flow.incoming.token
    for n in (1, 2):
        sim.log.clear()
        assert change(sim, ue, server, n)
        up = between(sim, UE, RELAY)
        gets = [m for m in up if m.code == GET]
        assert [m.uint(BLOCK2) for m in gets] == [i << 4 | 2 for i in range(1, len(gets) + 1)]
        assert len(gets) >= 3
        for message in gets:
            assert message.find(OBSERVE) < 0 and message.find(ETAG) < 0
            assert message.token() != token and message.option(65020) == b"coap://scm.example"
        assert ue.client.observing and len(relay.flows()) == 1


def test_changes_that_come_faster_than_blocks_end_with_the_last_one():
    settings = {"observe": True, "block_size": 64}
    for link_model in (None, chance(11, loss=10)):
        sim = ue = server = None
        sim, ue, _, server = new_sim(
            link_model, None, settings, None, {"max_age_s": 3600}, record=False
        )
        assert sim.run(lambda: ue.client.observing)
        for n in range(10):
            server.change(UE_ID, document(UE_ID, version(n)))
            sim.run(None, 30)
        assert sim.run(lambda: ue.configuration.data == version(9).encode(), 4000000)
        assert ue.client.observing


def test_a_relay_that_has_forgotten_its_flows_is_found_out_by_the_renewal():
    sim, ue, _, server = observing()
    sim.remove(RELAY)
    relay = new_relay(sim, {UE_ID: UE}, 77)
    server.change(UE_ID, document(UE_ID, version(1)))
    sim.run(None, 60000)
    # The relay rejects what it does not know, which is how the server learns.
    assert [m.mtype for m in between(sim, RELAY, SERVER)] == [RST] and not server.observers
    assert names(ue) == []
    assert sim.run(lambda: ue.events, 3600000)
    assert names(ue) == ["applied"] and ue.client.observing and len(relay.flows()) == 1
    assert change(sim, ue, server, 2)


# One UE and notifications made by hand


def test_the_order_of_notifications_is_that_of_24_bits_and_128_seconds():
    # (sequence before, sequence, after s, taken)
    cases = (
        (5, 6, 1, True),
        (5, 5, 1, False),
        (5, 4, 1, False),
        (5, 4, 128, False),
        (5, 4, 129, True),
        (5, 5, 129, True),
        (0, 0x7FFFFF, 1, True),
        (0, 0x800000, 1, False),
        (0xFFFFFF, 0, 1, True),
        (0xFFFFFF, 1, 1, True),
        (0, 0xFFFFFF, 1, False),
        (1, 0x800001, 1, False),
        (0x800001, 1, 1, False),
        (0x800002, 1, 1, True),
    )
    for before, sequence, after_s, taken in cases:
        ue, request = registered()
        ue.receive(0, notification(request, ACK, request.mid, before, 1), RELAY, 0)
        assert names(ue) == ["applied"] and ue.client.observing
        now = 1000 * after_s
        ue.receive(0, notification(request, CON, 4711, sequence, 2), RELAY, now)
        case = (before, sequence, after_s)
        assert names(ue) == (["applied"] if taken else []), case
        assert ue.counters == ({} if taken else {"old_notification": 1}), case
        assert ue.transmit(now)[1] == b"\x60\x00\x12\x67"  # acknowledged in any case
        assert ue.client.observing


def registered():
    ue = ConstrainedUe(ue_settings(observe=True), xorshift(3), FakeConfiguration(), RELAY, 0)
    ue.client.document_id = b"doc-1"
    ue.step(0)
    return ue, Message(32).decode(bytes(ue.transmit(0)[1]))


def notification(request, mtype, mid, sequence, n):
    from msgin5g.cbor.encoder import dumps

    buf = bytearray(1152)
    options = [(OBSERVE, uint_bytes(sequence)), (65020, UE_ID.encode())]
    payload = dumps(document(UE_ID, version(n)))
    return bytes(buf[: encode(buf, mtype, CONTENT, mid, request.token(), options, payload)])
