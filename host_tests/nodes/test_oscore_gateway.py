"""A gateway with a key for the server and one for each UE: the split happens in clear between."""

from builders import DATA, SERVER, document, names
from gateway_builders import GATEWAY, address, answered, data, doc, name, shared
from msgin5g.cbor.decoder import loads
from msgin5g.scm.client import problem_of
from msgin5g_testkit.network_sim import all_but, chance
from oscore_gateway import new_secured, side_of

OBSERVING = {"observe": True}


def config(n):
    return DATA.replace("user-7", "user-%d" % n)


def documents(numbers):
    return [document(name(n), config(n), "doc-%d" % n) for n in numbers]


def test_each_ue_gets_its_own_configuration_and_nobody_sees_what_it_is():
    for is_separated in (False, True):
        numbers = (1, 2, 3)
        sim, _, server, ues = new_secured(
            numbers, documents(numbers), ues={}, is_separated=is_separated
        )
        assert sim.run(lambda: all(ue.events for ue in ues)), is_separated
        for n, ue in zip(numbers, ues):
            assert names(ue) == ["applied"]
            assert ue.configuration.data == config(n).encode()
        assert server.bulks == [tuple([name(n) for n in numbers])]
        for _, _, _, datagram in sim.log:
            assert datagram[1] in (0, 0x02, 0x44), is_separated
            assert b"MSGin5G" not in datagram and b"ue-uri" not in datagram
        assert sim.largest <= 1152


def test_errors_of_the_server_are_protected_on_their_way_to_the_ue():
    for is_separated in (False, True):
        sim, _, _, ues = new_secured(
            (1, 2), documents((1,)), {"denied": (name(2),)}, ues={}, is_separated=is_separated
        )
        assert sim.run(lambda: ues[1].events)
        assert ues[1].events[0]["code"] == "4.03"
        sim, _, _, ues = new_secured((1,), [], ues={}, is_separated=is_separated)
        assert sim.run(lambda: ues[0].events)
        assert ues[0].events[0]["code"] == "4.04"
        assert {d[1] for d in side_of(sim, 1, True)} == {0, 0x44}


def test_a_refresh_is_2_03_and_a_push_is_applied():
    for is_separated in (False, True):
        sim, gateway, server, ues = new_secured(
            (1, 2), documents((1, 2)), {"max_age_s": 86400}, ues=OBSERVING,
            is_separated=is_separated,
        )  # fmt: skip
        assert sim.run(lambda: all(ue.client.observing for ue in ues)), is_separated
        for ue in ues:
            names(ue)
        ues[0].fetch(sim.now)
        assert sim.run(lambda: names(ues[0]) == ["unchanged"])
        for n in (11, 12, 13):
            server.change("doc-1", document(name(1), config(n), "doc-1"))
            assert sim.run(lambda: names(ues[0]) == ["applied"]), n
            assert ues[0].configuration.data == config(n).encode()
        assert names(ues[1]) == []
        assert gateway.counters.get("oscore_replay") is None


def test_a_large_document_comes_by_protected_blocks_on_both_sides():
    text = DATA[:-1] + ',"x":"' + "y" * 20000 + '"}'
    for is_separated in (False, True):
        sim, _, _, ues = new_secured(
            (1,), [document(name(1), text, "doc-1")], None, chance(5, loss=20, duplication=5),
            ues={"max_document_size": 30000}, is_separated=is_separated,
            max_document_size=30000, cache_size=40000,
        )  # fmt: skip
        assert sim.run(lambda: names(ues[0]) == ["applied"], 1000000), is_separated
        assert ues[0].configuration.data == text.encode()
        assert sim.largest <= 1152
        assert not [d for _, _, _, d in sim.log if b"yyyy" in d]


def test_a_long_token_leaves_less_room_for_a_protected_block():
    text = DATA[:-1] + ',"x":"' + "y" * 3000 + '"}'
    for size, block_size in ((8, 1024), (15, 1024), (60, 512), (100, 512), (300, 512)):
        sim, gateway, _, (client,) = new_secured((1,), [document(name(1), text, "doc-1")])
        client.get(token=size * b"t")
        assert answered(sim, [client]), size
        assert len(client.answers[0].payload()) == block_size, size
        assert sim.largest <= 1152 and gateway.counters == {}


def test_thirty_ues_in_bulk_with_loss_get_each_its_own_answer():
    numbers = range(1, 31)
    with_documents = [n for n in numbers if n % 10]
    sim, gateway, server, ues = new_secured(
        numbers, documents(with_documents), {"denied": (name(7),)}, chance(3, 20, 5), ues={}
    )
    sim.record = False
    assert sim.run(lambda: all(names_seen(ue) for ue in ues), 900000)
    for n, ue in zip(numbers, ues):
        if n % 10 == 0 or n == 7:
            assert ue.configuration.data is None, n
            assert "4.03" in ue.codes if n == 7 else "4.04" in ue.codes, n
        else:
            assert ue.configuration.data == config(n).encode(), n
    assert server.bulks and sim.largest <= 1152
    assert "oscore_not_authentic" not in gateway.counters


def names_seen(ue):
    """Whether a UE has a configuration, or a code of the server; its codes are kept."""
    codes = getattr(ue, "codes", None) or []
    while ue.events:
        event = ue.poll()
        if event["event"] == "rejected":
            codes.append(event["code"])
    ue.codes = codes
    return ue.configuration.data is not None or "4.03" in codes or "4.04" in codes


def test_a_request_without_ue_uri_is_for_the_ue_of_the_key():
    sim, _, server, (client,) = new_secured((1,), [doc(1)])
    client.get(ue_ids=[])
    assert answered(sim, [client])
    assert client.documents()[0]["ueConfigs"][0]["configData"] == data(1)
    assert server.asked[0][0] == (name(1),)


def test_the_key_of_a_ue_gives_nothing_of_another_one():
    sim, gateway, server, (one, other) = new_secured((1, 2), [doc(1), doc(2), shared([name(2)])])
    for client, document_id in (
        (one, None), (one, b"doc-1"), (other, None), (other, b"doc-2"), (other, b"shared")
    ):  # fmt: skip
        client.get(document_id)
        assert answered(sim, [client])
        assert client.answers.pop().code == 0x45
    n_asked = len(server.asked)
    for document_id in (None, b"doc-2", b"shared"):
        one.answers = []
        one.get(document_id, ue_ids=[name(2).encode()])
        assert answered(sim, [one])
        assert one.answers[0].code == 0x83, document_id
        one.answers = []
        one.get(document_id, ue_ids=[name(1).encode(), name(2).encode()])
        assert answered(sim, [one])
        assert one.answers[0].code == 0x83, document_id
    assert len(server.asked) == n_asked and gateway.counters["wrong_ue_uri"] == 6
    # By the name of the document alone: the server decides, in the name of the one that asks.
    for document_id in (b"doc-2", b"shared"):
        one.answers = []
        one.get(document_id)
        assert answered(sim, [one])
        assert one.answers[0].code == 0x84, document_id
        assert server.asked[-1][0] == (name(1),)


def test_the_key_of_a_ue_is_not_taken_from_the_address_of_another_one():
    sim, gateway, server, (one, other) = new_secured((1, 2), [doc(1), doc(2)])
    other.endpoint.security.context = one.endpoint.security.context
    other.get()
    sim.run(None, 3000)
    assert not other.answers and not server.asked
    assert gateway.counters["oscore_unknown_kid"] == 1
    assert list(other.counters) == ["unprotected_error"]
    sim.run(None, 20000)
    assert not server.asked


def test_a_ue_without_protection_is_refused_unless_the_settings_say_otherwise():
    sim, gateway, server, (one, other) = new_secured((1, 2), [doc(1), doc(2)], with_keys=(1,))
    other.get()
    one.endpoint.security = None
    one.get()
    assert answered(sim, [one, other])
    assert [c.answers[0].code for c in (one, other)] == [0x81, 0x81]
    assert other.answers[0].option(65020) == name(2).encode()
    assert not server.asked and gateway.counters == {"unprotected_request": 2}
    # A UE that has a key is not served without it.
    sim, gateway, server, (one, other) = new_secured(
        (1, 2), [doc(1), doc(2)], with_keys=(1,), required=False
    )
    one.endpoint.security = None
    one.get()
    other.get()
    assert answered(sim, [one, other])
    assert (one.answers[0].code, other.answers[0].code) == (0x81, 0x45)
    assert gateway.counters == {"unprotected_request": 1}
    assert other.documents()[0]["ueConfigs"][0]["configData"] == data(2)


def test_strangers_get_no_answer():
    sim, gateway, _, _ = new_secured((1,), [doc(1)])
    stranger = address(9)
    for code in (0x01, 0x02, 0x05):
        sim.send(
            stranger, GATEWAY, bytes((0x44, code, 1, code)) + b"tokn\x92\x09\x01\xff123456789"
        )
    sim.run(None, 5000)
    assert gateway.counters == {"not_linked": 3}
    assert not [e for e in sim.log if e[2] == stranger]


def test_a_repeated_request_is_acknowledged_again_and_asked_for_once():
    sim, gateway, server, (client,) = new_secured(
        (1,), [doc(1)], {"slow_ms": 6000}, all_but(lost=(1,))
    )
    client.get()
    assert answered(sim, [client])
    assert len(server.asked) == 1
    assert gateway.counters == {"duplicate": 1}


def test_what_the_cache_answers_is_repeated_until_it_is_acknowledged():
    lost = [False]
    sim, gateway, server, (client,) = new_secured(
        (1,), [doc(1)], {"max_age_s": 3600}, lambda n, d: [] if lost[0] and d[1] == 0x44 else [5]
    )
    client.get()
    assert answered(sim, [client])
    client.answers = []
    client.get()
    lost[0] = True
    sim.run(None, 3000)
    lost[0] = False
    assert answered(sim, [client], 10000)
    assert client.documents()[0]["ueConfigs"][0]["configData"] == data(1)
    assert gateway.counters["cached"] == 1 and len(server.asked) == 1


def test_the_cache_is_not_shared_between_ues():
    sim, _, _, (one, other) = new_secured((1, 2), [doc(1)], {"max_age_s": 3600})
    one.get()
    assert answered(sim, [one])
    other.get()
    other_asks_by_name = b"doc-1"
    assert answered(sim, [other])
    assert other.answers[0].code == 0x84
    other.answers = []
    other.get(other_asks_by_name)
    assert answered(sim, [other])
    assert other.answers[0].code == 0x84
    assert problem_of(other.answers[0].payload())[1] == "for " + name(2)


def test_an_answer_of_the_server_that_is_not_protected_changes_nothing():
    for code in (0x45, 0x43, 0x81, 0x83, 0x84, 0xA3):
        sim, gateway, server, (ue,) = new_secured((1,), documents((1,)), {"slow_ms": 4000}, ues={})
        assert sim.run(lambda: server.asked)
        asked = next(d for _, _, to, d in sim.log if to == SERVER)
        forged = bytes((0x54, code, 0x12, 0x34)) + asked[4:8] + b"\xd3\x01\x01\x51\x80\xff{}"
        sim.send(SERVER, GATEWAY, forged)
        sim.send(SERVER, GATEWAY, bytes((0x70, 0, asked[2], asked[3])))
        sim.send(SERVER, GATEWAY, bytes((0x60, 0, asked[2], asked[3])))
        assert sim.run(lambda: ue.events), code
        assert names(ue) == ["applied"], code
        name_ = "unprotected_response" if code < 0x80 else "unprotected_error"
        assert gateway.counters[name_] == 1, code
        assert len(server.asked) == 1


def test_a_reset_alone_ends_no_observation_of_a_ue():
    sim, gateway, server, (ue,) = new_secured(
        (1,), documents((1,)), {"max_age_s": 86400}, ues=OBSERVING
    )
    assert sim.run(lambda: ue.client.observing)
    names(ue)
    sim.run(None, 5000)
    for first in (0x70, 0x60):
        for datagram in side_of(sim, 1, True):
            sim.send(address(1), GATEWAY, bytes((first, 0, datagram[2], datagram[3])))
    sim.run(None, 1000)
    server.change("doc-1", document(name(1), config(8), "doc-1"))
    while not [d for d in side_of(sim, 1, True) if d[1] == 0x45][1:]:
        sim.run(None, 1)
    notified = side_of(sim, 1, True)[-1]
    gateway.receive(0, bytes((0x70, 0, notified[2], notified[3])), address(1), sim.now)
    assert sim.run(lambda: names(ue) == ["applied"])
    server.change("doc-1", document(name(1), config(9), "doc-1"))
    assert sim.run(lambda: names(ue) == ["applied"])
    assert gateway.observers.n_observers == 1 and gateway.counters["reset_ignored"] >= 1


def test_a_ue_that_has_gone_observes_nothing_any_more():
    sim, gateway, server, (ue,) = new_secured(
        (1,), documents((1,)), {"max_age_s": 86400}, ues=OBSERVING
    )
    assert sim.run(lambda: ue.client.observing)
    sim.run(None, 5000)
    sim.remove(address(1))
    server.change("doc-1", document(name(1), config(8), "doc-1"))
    assert sim.run(lambda: not gateway.observers.n_observers, 200000)
    assert gateway.counters["not_acknowledged"] == 1


def test_what_the_gateway_itself_refuses_is_protected_too():
    sim, _, _, (client,) = new_secured((1,), [doc(1)])
    client.get(block2=7)
    assert answered(sim, [client])
    assert client.answers[0].code == 0x80
    assert side_of(sim, 1, True)[0][1] == 0x44 and client.counters == {}
    assert loads(client.answers[0].payload()) is not None
