"""Whose a message is: the letters of an ID, the transport it came over, the address of today.

TS 24.538 6.2.2.1 and 6.2.2.2, RFC 3986 6.2.2.1: only scheme and host of a URI ignore case.
"""

from builders import (
    DATA,
    RELAY,
    SERVER,
    FakeConfiguration,
    document,
    names,
    relay_settings,
    ue_settings,
)
from datagrams import packet
from msgin5g_testkit.checks import xorshift
from gateway_builders import GATEWAY, answered, doc, name, new, new_gateway
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET, NOT_FOUND, OBSERVE, URI_QUERY
from msgin5g.relay import Relay
from msgin5g.scm.request import ScmRequest
from msgin5g.ue import ConstrainedUe

LOWER = "urn:x-msgin5g:ue:abc"
UPPER = "urn:x-msgin5g:ue:ABC"
SCHEME = "URN:x-msgin5g:ue:abc"
HERE = ("192.168.4.2", 65401)
THERE = ("192.168.4.77", 65401)


def get(ue_id, mid=7, observe=None, document_id=None, token=b"toke"):
    resource = ScmRequest("msgin5g", [ue_id.encode()], b"coap://scm.example")
    return packet(CON, GET, mid, token, resource.options(document_id, None, observe))


def taken(node, now=0):
    """What a node has to send: list of (transport, Message, remote)."""
    out = []
    while True:
        item = node.transmit(now)
        if item is None:
            return out
        out.append((item[0], Message(32).decode(bytes(item[1])), item[2]))


def answer(request, recipient, more=(), payload=b"body", mtype=ACK, mid=None):
    options = list(more) + [(65020, recipient.encode())]
    mid = request.mid if mid is None else mid
    return packet(mtype, CONTENT, mid, request.token(), options, payload)


def new_relay(ue_id=LOWER, **settings):
    relay = Relay(relay_settings(**settings), xorshift(5), SERVER, 0)
    relay.link_up(ue_id.encode(), 0, HERE)
    return relay


# The letters of an ID


def test_at_the_ue_an_answer_for_abc_is_not_for_ABC():
    payload = dumps([document(LOWER, DATA)])
    for recipient, is_taken in ((UPPER, False), (SCHEME, True), (LOWER, True)):
        ue = ConstrainedUe(ue_settings(ue_id=LOWER), xorshift(3), FakeConfiguration(), RELAY, 0)
        ue.step(0)
        ((_, request, _),) = taken(ue)
        ue.receive(0, answer(request, recipient, [(12, b"\xfd\xe9")], payload), RELAY, 5)
        assert names(ue) == (["applied"] if is_taken else []), recipient
        assert ue.counters == ({} if is_taken else {"foreign_recipient": 1}), recipient
    # Nor is the document inside it.
    ue = ConstrainedUe(ue_settings(ue_id=LOWER), xorshift(3), FakeConfiguration(), RELAY, 0)
    ue.step(0)
    ((_, request, _),) = taken(ue)
    payload = dumps([document(UPPER, DATA)])
    ue.receive(0, answer(request, LOWER, [(12, b"\xfd\xe9")], payload), RELAY, 5)
    assert ue.poll()["reasons"] == ["no document is for this UE"]
    assert ue.configuration.n_applied == 0


def test_at_the_relay_an_answer_for_abc_is_not_for_ABC():
    for recipient, is_taken in ((UPPER, False), (SCHEME, True), (LOWER, True)):
        relay = new_relay()
        relay.receive(0, get(LOWER), HERE, 0)
        ((_, request, _),) = taken(relay)
        relay.receive(0, answer(request, recipient), SERVER, 5)
        assert len(taken(relay, 5)) == is_taken, recipient
        assert relay.counters == ({} if is_taken else {"recipient_not_linked": 1}), recipient
    # With both of them linked each gets its own, and neither may ask for the other.
    relay = new_relay()
    relay.link_up(UPPER.encode(), 0, THERE)
    relay.receive(0, get(LOWER), HERE, 0)
    relay.receive(0, get(UPPER), THERE, 0)
    (_, lower, _), (_, upper, _) = taken(relay)
    relay.receive(0, answer(lower, UPPER), SERVER, 5)
    assert taken(relay, 5) == [] and relay.counters == {"recipient_mismatch": 1}
    relay.receive(0, answer(upper, UPPER), SERVER, 5)
    assert [remote for _, _, remote in taken(relay, 5)] == [THERE]
    relay.receive(0, get(UPPER, 8), HERE, 6)
    assert taken(relay, 6) == [] and relay.counters["wrong_ue_uri"] == 1


def test_at_the_gateway_an_answer_for_abc_is_not_for_ABC():
    for recipient, is_taken in ((UPPER, False), (SCHEME, True), (LOWER, True)):
        gateway = new_gateway(bulk_count=1)
        gateway.link_up(LOWER.encode(), 0, HERE)
        gateway.receive(0, get(LOWER), HERE, 0)
        gateway.step(0)
        _, (_, request, remote) = taken(gateway)  # after the acknowledgement
        assert remote == SERVER
        body = dumps([document(LOWER, DATA)])
        gateway.receive(0, answer(request, recipient, (), body), SERVER, 5)
        gateway.step(5)
        codes = [m.code for _, m, remote in taken(gateway, 5) if remote == HERE]
        assert codes == ([CONTENT] if is_taken else []), recipient
        assert gateway.counters == ({} if is_taken else {"foreign_recipient": 1}), recipient


def test_a_document_that_names_abc_is_not_given_to_ABC_by_the_gateway():
    ids = (LOWER, UPPER)
    gateway = new_gateway(bulk_count=2)
    for ue_id, remote in zip(ids, (HERE, THERE)):
        gateway.link_up(ue_id.encode(), 0, remote)
        gateway.receive(0, get(ue_id), remote, 0)
    gateway.step(0)
    request = next(m for _, m, remote in taken(gateway) if remote == SERVER)
    body = dumps([document(LOWER, DATA, "for-abc")])
    gateway.receive(0, packet(ACK, CONTENT, request.mid, request.token(), (), body), SERVER, 5)
    gateway.step(5)
    answers = {remote: m for _, m, remote in taken(gateway, 5)}
    assert b"for-abc" in answers[HERE].payload() and answers[HERE].code == CONTENT
    # ABC is asked for alone: it is told what the server says then.
    assert set(answers) == {HERE, SERVER}
    request = answers[SERVER]
    assert request.option(URI_QUERY) == b"ue-uri=" + UPPER.encode()
    refused = packet(ACK, NOT_FOUND, request.mid, request.token(), (), b"")
    gateway.receive(0, refused, SERVER, 6)
    gateway.step(6)
    answers = {remote: m for _, m, remote in taken(gateway, 6)}
    assert set(answers) == {THERE} and answers[THERE].code == NOT_FOUND


def test_the_own_ue_uri_of_a_ue_twice_is_refused():
    ids = [LOWER.encode(), LOWER.encode()]
    for other in (LOWER, SCHEME):
        ids[1] = other.encode()
        options = ScmRequest("msgin5g", ids, b"coap://scm.example").options()
        for node in (new_relay(), linked(new_gateway())):
            for n in (1, 2):
                node.receive(0, packet(CON, GET, 7, b"toke", options), HERE, 0)
                node.step(0)
                assert taken(node) == [] and node.counters == {"wrong_ue_uri": n}, other
            node.receive(0, get(LOWER, 8), HERE, 0)
            node.step(0)
            assert taken(node) and node.counters == {"wrong_ue_uri": 2}


# The transport


def test_a_datagram_from_the_address_of_a_ue_over_another_transport_is_not_linked():
    # At a relay or gateway transport 1 is SEAL-C or ESP-NOW, whose remotes are other ones today.
    for make in (new_relay, lambda: linked(new_gateway())):
        for observe in (None, 0, 1):
            node = make()
            node.receive(1, get(LOWER, observe=observe, document_id=b"doc-1"), HERE, 0)
            node.step(0)
            assert taken(node) == [] and node.counters == {"not_linked": 1}
            node.receive(0, get(LOWER), HERE, 0)
            node.step(0)
            assert taken(node) and node.counters == {"not_linked": 1}
    # The other way round: linked by ESP-NOW, and the datagram comes by UDP.
    mac = b"\x24\x0a\xc4\x00\x00\x07"
    for node in (Relay(relay_settings(), xorshift(5), SERVER, 0), new_gateway()):
        assert node.link_up(LOWER.encode(), 1, mac)
        node.receive(0, get(LOWER), mac, 0)
        assert taken(node) == [] and node.counters == {"not_linked": 1}


def linked(gateway):
    gateway.link_up(LOWER.encode(), 0, HERE)
    return gateway


# The address of today


def test_when_a_ue_is_linked_at_another_address_the_relay_sends_nothing_to_the_old_one():
    for transport, remote in ((0, THERE), (1, b"\x24\x0a\xc4\x00\x00\x07"), (1, HERE)):
        relay = new_relay(max_rate=3)
        # An observation with a notification under way, a request at the server, one held back.
        relay.receive(0, get(LOWER, 1, 0, b"doc-1", b"watch"), HERE, 0)
        ((_, watch, _),) = taken(relay)
        relay.receive(0, answer(watch, LOWER, [(OBSERVE, b"\x01")]), SERVER, 1)
        taken(relay, 1)
        relay.receive(0, answer(watch, LOWER, [(OBSERVE, b"\x02")], b"new", CON, 500), SERVER, 2)
        assert [r for _, _, r in taken(relay, 2)] == [SERVER, HERE]
        for mid in (2, 3, 4):
            relay.receive(0, get(LOWER, mid, token=bytes((mid,))), HERE, 3)
        asked = [m for _, m, r in taken(relay, 3) if r == SERVER]
        assert len(asked) == 2 and len(relay.held_back) == 1
        # What is in the outbox already stays here, too.
        relay.receive(0, get(LOWER, 5, token=b"5", document_id=b"x"), HERE, 4)
        relay.receive(0, packet(CON, GET, 6, b"6", [(11, b".well-known"), (11, b"core")]), HERE, 4)
        assert relay.link_up(LOWER.encode(), transport, remote)
        out = taken(relay, 5)
        for request in asked:
            relay.receive(0, answer(request, LOWER), SERVER, 6)
        relay.receive(0, answer(watch, LOWER, [(OBSERVE, b"\x03")], b"newer", CON, 501), SERVER, 7)
        for now in range(10, 100000, 500):
            relay.step(now)
            out += taken(relay, now)
        assert (0, HERE) not in [(t, r) for t, _, r in out] and not relay.flows()
        # At its new address it is served.
        relay.receive(transport, get(LOWER, 9), remote, 200000)
        ((_, request, _),) = taken(relay, 200000)
        relay.receive(0, answer(request, LOWER), SERVER, 200001)
        ((used, _, to),) = taken(relay, 200001)
        assert (used, to) == (transport, remote)


def test_when_a_ue_is_linked_at_another_address_the_gateway_sends_nothing_to_the_old_one():
    for moment in ("collecting", "asked", "responded", "observing"):
        sim, gateway, server, (client,) = new((1,), [doc(1)], {"slow_ms": 500})
        old = ("192.168.5.1", 65401)
        if moment == "observing":
            client.get(b"doc-1", observe=0)
            assert answered(sim, [client])
        else:
            client.get()
        if moment == "asked":
            assert sim.run(lambda: server.asked)
        elif moment == "responded":
            client.deaf = True
            assert sim.run(lambda: [1 for _, _, to, d in sim.log if to == old and len(d) > 40])
        else:
            sim.run(None, 100)
        assert gateway.link_up(name(1).encode(), 0, THERE)
        sim.remove(old)
        sim.add(THERE, client)
        n_sent = len(sim.log)
        if moment == "observing":
            server.change("doc-1", doc(1, configName="new"))
        sim.run(None, 100000)
        assert old not in [to for _, _, to, _ in sim.log[n_sent:]], moment
        assert gateway.n_waiting == 0
        # At its new address it is served.
        client.deaf = False
        n_answers = len(client.answers)
        client.get()
        assert sim.run(lambda: len(client.answers) > n_answers, 100000), moment
        assert sim.log[-1][1] in (THERE, GATEWAY)
