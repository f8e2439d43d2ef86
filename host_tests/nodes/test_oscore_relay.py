"""Protected messages through a relay, which has no key: 6.2.2.1 by what is visible."""

from builders import (
    DATA,
    OTHER_ID,
    RELAY,
    SERVER,
    UE_ID,
    FakeConfiguration,
    document,
    names,
    new_sim,
    new_ue,
    ue_address,
    ue_settings,
)
from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import Message, encode
from msgin5g.ue import ConstrainedUe
from gateway_builders import address, new_gateway
from msgin5g_testkit.network_sim import NetworkSim, all_but, chance
from msgin5g_testkit.security import kid_of
from oscore_server import protect_server, protect_ue

UE = ue_address(2)
OTHER = ue_address(3)


def new_protected(link_model=None, documents=None, ue=None, relay=None, server=None, seed=3):
    sim, a_ue, a_relay, a_server = new_sim(link_model, documents, ue, relay, server, seed)
    protect_ue(a_ue, UE_ID)
    protect_server(a_server, (UE_ID, OTHER_ID))
    return sim, a_ue, a_relay, a_server


def tails(sim, source):
    """What stands after the token in the messages of a node that are not empty."""
    found = []
    for _, sender, _, datagram in sim.log:
        if sender == source and datagram[1]:
            found.append(bytes(Message(32).decode(datagram).tail()))
    return found


def changed(n):
    return DATA.replace("user-7", "user-%d" % n)


def test_a_protected_fetch_passes_and_its_options_and_payload_are_unchanged():
    for strict in (False, True):
        sim, ue, relay, _ = new_protected(relay={"strict_codes": strict})
        assert sim.run(lambda: ue.events) and names(ue) == ["applied"]
        assert ue.configuration.data == DATA.encode() and relay.counters == {}
        asked = tails(sim, UE)
        given = tails(sim, SERVER)
        assert len(asked) == len(given) == 1 and sorted(tails(sim, RELAY)) == sorted(asked + given)


def test_all_answers_pass_a_relay_that_loses_a_fifth_of_the_datagrams():
    for strict in (False, True):
        for seed in range(3, 7):
            link = chance(seed, loss=20, duplication=5)
            sim, ue, _, server = new_protected(link, {}, {"observe": True, "block_size": 512,
                "max_document_size": 30000}, {"strict_codes": strict}, seed=seed)  # fmt: skip
            assert sim.run(lambda: any_of(ue, "code", "4.04"), 2000000)
            server.denied = (UE_ID,)
            ue.fetch(sim.now)
            assert sim.run(lambda: any_of(ue, "code", "4.03"), 2000000)
            server.denied = ()
            server.change(UE_ID, document(UE_ID, DATA))
            ue.fetch(sim.now)
            assert sim.run(lambda: ue.configuration.data == DATA.encode(), 4000000)
            assert sim.run(lambda: ue.client.observing, 4000000)
            server.change(UE_ID, document(UE_ID, changed(9)))
            assert sim.run(lambda: ue.configuration.data == changed(9).encode(), 200000000)
            ue.events = []
            ue.fetch(sim.now)
            assert sim.run(lambda: any_of(ue, "event", "unchanged"), 4000000)
            large = DATA[:-1] + ',"x":"' + "y" * 20000 + '"}'
            server.change(UE_ID, document(UE_ID, large))
            ue.fetch(sim.now)
            assert sim.run(lambda: ue.configuration.data == large.encode(), 200000000), seed
            assert sim.largest <= 1152


def any_of(ue, key, value):
    return [event for event in ue.events if event.get(key) == value] != []


def test_the_payload_is_not_lost_when_there_is_no_room_for_an_observation():
    sim, ue, relay, server = new_protected(
        ue={"observe": True}, relay={"max_observations": 1, "max_links": 2}
    )
    relay.link_up(OTHER_ID.encode(), 0, OTHER)
    other = new_ue(sim, OTHER, 8, ue_id=OTHER_ID, observe=True)
    protect_ue(other, OTHER_ID)
    server.documents[OTHER_ID] = document(OTHER_ID, changed(8), "doc-2")
    assert sim.run(lambda: ue.client.observing or other.client.observing)
    sim.run(None, 30000)
    assert relay.counters["observations_full"] >= 1
    assert ue.configuration.data == DATA.encode()
    assert other.configuration.data == changed(8).encode()
    # The request inside has Observe, the one outside has not: the server goes by the outer one.
    assert ue.client.observing != other.client.observing
    for counters in (ue.counters, other.counters, server.counters):
        assert "oscore_not_authentic" not in counters and "oscore_malformed" not in counters


def test_a_relay_passes_the_errors_of_a_server_that_does_not_know_the_key_if_they_are_for_the_ue():
    for strict in (False, True):
        sim, ue, relay, server = new_protected(relay={"strict_codes": strict})
        context = server.endpoint.security.contexts[kid_of(UE_ID)]
        context.recipient_key = bytes(16)
        assert sim.run(lambda: ue.events, 100000)
        assert names(ue) == ["timeout", "backing_off"]
        assert (
            list(ue.counters) == ["unprotected_error"] and "code_not_relayed" not in relay.counters
        )
        assert ue.endpoint.security.unprotected_error == 0x80


def test_a_strict_relay_passes_no_other_codes_to_a_protected_request():
    for code, extra, passes in (
        (0x44, b"\x90", True), (0x45, b"\x90", True), (0x80, b"", True), (0x81, b"", True),
        (0x82, b"", True), (0x44, b"", False), (0x45, b"", False), (0x84, b"", False),
        (0x83, b"", False), (0xA3, b"", False), (0x84, b"\x90", False),
    ):  # fmt: skip
        sim, _, relay, _ = new_protected(all_but(lost=(1,)), relay={"strict_codes": True})
        sim.remove(SERVER)
        sim.run(None, 50)
        asked = next(d for _, source, _, d in sim.log if source == RELAY)
        options = [(9, b"")] if extra else []
        buf = bytearray(200)
        options.append((65020, UE_ID.encode()))
        size = encode(buf, 2, code, asked[2] << 8 | asked[3], asked[4:8], options, b"x" * 20)
        sim.link_model = all_but()
        sim.send(SERVER, RELAY, bytes(buf[:size]))
        sim.run(None, 50)
        assert (relay.counters == {}) == passes, (code, extra)
        assert passes or relay.counters == {"code_not_relayed": 1}


def protected(code, recipient=b"coap://scm.example", more=(), option=b"\x09\x00\x30"):
    options = list(more)
    if option is not None:
        options.append((9, option))
    options.sort()
    options.append((65020, recipient))
    buf = bytearray(300)
    size = encode(buf, 0, code, 77, b"tokn", options, b"sealed bytes")
    return bytes(buf[:size])


def test_a_relay_takes_a_protected_request_by_link_address_and_recipient():
    rows = (
        (UE, protected(0x02), None, True),
        (UE, protected(0x05), None, True),
        (UE, protected(0x05, more=[(6, b"")]), None, True),
        (UE, protected(0x02, more=[(15, b"ue-uri=" + UE_ID.encode())]), None, True),
        (UE, protected(0x02, more=[(15, b"ue-uri=" + OTHER_ID.encode())]), "wrong_ue_uri", False),
        (UE, protected(0x02, b"coap://other.example"), "foreign_recipient", False),
        (UE, protected(0x02, option=None), "not_get", False),
        (UE, protected(0x05, option=None), "not_get", False),
        (UE, protected(0x03), "not_get", False),
        (UE, protected(0x01), "wrong_ue_uri", False),
        (OTHER, protected(0x02), "not_linked", False),
    )
    for source, datagram, counter, passes in rows:
        sim, _, relay, _ = new_protected()
        sim.remove(UE)
        sim.remove(SERVER)
        sim.send(source, RELAY, datagram)
        sim.run(None, 50)
        sent = [d for _, sender, to, d in sim.log if sender == RELAY and to == SERVER]
        assert bool(sent) == passes, (datagram, counter)
        assert relay.counters == ({counter: 1} if counter else {}), (datagram, counter)
        if passes:
            assert sent[0][1] == datagram[1] and sent[0][8:] == datagram[8:]


def test_a_gateway_takes_no_protected_request_that_it_has_no_key_for():
    sim = NetworkSim()
    gateway = new_gateway(sim, (1,))
    for code in (0x02, 0x05):
        datagram = protected(code)
        sim.send(address(1), RELAY, datagram[:3] + bytes((code,)) + datagram[4:])
    sim.run(None, 50)
    assert gateway.counters == {"not_get": 2}
    assert [d[1] for _, _, to, d in sim.log] == [0x85, 0x85]


def test_a_relay_with_a_key_protects_its_own_request_and_passes_those_of_ues_as_they_are():
    sim, ue, relay, server = new_protected()
    own_id = "urn:x-msgin5g:relay:1"
    server.documents[own_id] = document(own_id, changed(5), "doc-5")
    own = ConstrainedUe(
        ue_settings(ue_id=own_id, require_recipient=False),
        xorshift(12), FakeConfiguration(), SERVER, sim.now, 0, relay.endpoint,
    )  # fmt: skip
    relay.own = own
    protect_ue(own, own_id)
    relay.endpoint.security.owner = own.client
    protect_server(server, (own_id, UE_ID))
    assert sim.run(lambda: ue.events and own.events)
    assert names(ue) == ["applied"] and names(own) == ["applied"]
    assert own.configuration.data == changed(5).encode()
    assert server.counters == {} and relay.counters == {}
    # A UE without a key is not held back by that: its server decides.
    server.endpoint.security.required = False
    ue.endpoint.security = None
    ue.fetch(sim.now)
    assert sim.run(lambda: ue.events) and names(ue) == ["unchanged"]
