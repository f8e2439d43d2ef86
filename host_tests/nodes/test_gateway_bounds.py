"""Where the gateway's rules end: long IDs, bodies that change, Echo, Max-Age, Observe, blocks.

Each test that has to do with the server runs with the configuration client in the gateway, and
apart from it.
"""

from bulk_servers import BulkServer
from msgin5g_testkit.checks import xorshift
from gateway_builders import (
    CLIENT,
    SEAL_C,
    SERVER,
    ManualClient,
    address,
    answered,
    doc,
    gateway_settings,
    name,
    new,
    new_gateway,
    packet,
    separated,
)
from builders import document
from datagrams import taken
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.numbers import ACK, CON, ECHO
from msgin5g.gateway.scm_client_node import ScmClientNode
from msgin5g.intermediary.numbers import FETCH
from msgin5g.scm.client import problem_of
from msgin5g_testkit.network_sim import NetworkSim

DAY_MS = 86400000


def both_forms(test):
    """Call a test with what builds a gateway: with the configuration client inside, and apart."""
    test(new)
    test(lambda *arguments, **settings: separated(new, *arguments, **settings))


def more(sim, client, limit_ms=30000):
    """One more answer to a UE."""
    n = len(client.answers)
    assert sim.run(lambda: len(client.answers) > n, limit_ms)
    return client.answers[-1]


# Sizes


class Halving(BulkServer):
    """A server that, for the same reason as the gateway, gives blocks of 512 bytes at most."""

    def representation(self, request, sequence):
        if request.block & 7 == 6:
            request.block = request.block >> 4 << 5 | 5
        return super().representation(request, sequence)


def test_a_large_document_for_a_ue_with_a_248_byte_id_comes_in_smaller_blocks():
    ue_id = "urn:x:" + 242 * "u"
    for text_size, szx in ((3000, 5), (600, 5), (100, 5)):
        sim = NetworkSim()
        gateway = new_gateway(sim)
        assert gateway.link_up(ue_id.encode(), 0, address(1))
        made = document(ue_id, text_size * "x", "long")
        sim.add(SERVER, Halving(xorshift(9), [made]))
        client = ManualClient(sim, 1)
        for document_id in (None, b"long"):
            body = b""
            number = 0
            while True:
                block2 = number << 4 | szx if number else None
                client.get(document_id, block2=block2, ue_ids=[ue_id.encode()])
                answer = more(sim, client)
                assert answer.code == 0x45 and answer.option(65020) == ue_id.encode()
                block = answer.uint(23, szx)  # without Block2 when it is small
                assert block & 7 == szx and len(answer.payload()) <= 512
                body += answer.payload()
                number += 1
                if not block & 8:
                    break
            assert loads(body) == (made if document_id else [made])
            assert (number > 1) == (text_size > 500)
        assert sim.largest <= 1152


def test_a_request_for_block_3_with_an_etag_gets_block_3():
    made = doc(1, text=2000 * "x")
    for document_id in (None, b"doc-1"):
        sim, _, _, (client,) = new((1,), [made])
        client.get(document_id, block2=4)
        etag = more(sim, client).option(4)
        body = dumps(made if document_id else [made])
        client.get(document_id, block2=3 << 4 | 4, etag=etag)
        answer = more(sim, client)
        assert (answer.code, answer.uint(23)) == (0x45, 3 << 4 | 8 | 4), document_id
        assert answer.payload() == body[768:1024] and answer.option(4) == etag
        # The first one with the ETag is 2.03 without a body.
        client.get(document_id, block2=4, etag=etag)
        answer = more(sim, client)
        assert (answer.code, answer.payload()) == (0x43, b""), document_id


# Changes


class Changing(BulkServer):
    """A server whose documents are others for each request, for the first `n_changes` of them."""

    n_changes = 1000

    def representation(self, request, sequence):
        if self.n_changes:
            self.n_changes -= 1
            letter = chr(65 + self.n_changes % 26)
            self.documents = [doc(n, text=700 * letter) for n in (1, 2)]
        return super().representation(request, sequence)


def test_a_bulk_body_that_keeps_changing_ends_as_5_03_after_three_restarts():
    def test(make):
        for n_changes, code, n_begun in ((1000, 0xA3, 4), (7, 0x45, 4), (2, 0x45, 2)):
            sim, gateway, _, clients = make((1, 2), [])
            sim.remove(SERVER)
            server = Changing(xorshift(9), [])
            server.n_changes = n_changes
            sim.add(SERVER, server)
            for client in clients:
                client.get()
            assert answered(sim, clients)
            sim.run(None, 10000)
            for client in clients:
                (answer,) = client.answers
                assert answer.code == code, n_changes
                if code == 0xA3:
                    assert problem_of(answer.payload())[0] == "Changing"
                else:
                    assert loads(answer.payload()) == [server.documents[client.n - 1]]
            assert len(server.bulks) == n_begun, (n_changes, server.asked)
            assert gateway.n_waiting == 0 and gateway.transfers.under_way == []

    both_forms(test)


# Echo


def test_a_server_that_asks_seal_c_for_echo_again_and_again_gets_one_repeat():
    client = ScmClientNode(gateway_settings(), xorshift(5), SERVER, SEAL_C[0])
    body = dumps([None, None, None, [name(1).encode()], []])
    fetch = packet(CON, FETCH, 1, b"t", [(11, b"seal-c")], body)
    client.receive(1, fetch, SEAL_C[0], 0)
    asked = []
    to_gateway = []
    for n in range(1, 10):
        for message, remote in taken(client):
            (asked if remote == SERVER else to_gateway).append(message)
        if len(asked) < n:
            break
        request = asked[-1]
        echo = [(ECHO, b"echo-%d" % n), (65020, name(1).encode())]
        answer = packet(ACK, 0x81, request.mid, request.token(), echo, b"server's own")
        client.receive(0, answer, SERVER, 0)
    assert [m.option(ECHO) for m in asked] == [None, b"echo-1"]
    assert asked[0].token() != asked[1].token()
    # Its 4.01 is passed on as it is.
    ack, answer = to_gateway
    assert (ack.mtype, ack.code) == (ACK, 0)
    assert (answer.code, answer.token(), answer.payload()) == (0x81, b"t", b"server's own")
    assert client.pending_requests == []


def test_a_server_that_asks_for_echo_again_and_again_ends_in_its_4_01():
    def test(make):
        n_max = 4 if make is new else 2  # the configuration client apart repeats it once
        sim, gateway, server, (client,) = make((1,), [doc(1)])
        echoes = {n: (0x81, [(ECHO, b"echo")], b"") for n in range(1000)}
        server.faults = echoes
        client.get()
        assert answered(sim, [client])
        assert client.answers[0].code == 0x81
        sim.run(None, 100000)
        assert len(server.asked) == n_max
        assert gateway.n_waiting == 0 and gateway.transfers.under_way == []

    both_forms(test)


# Max-Age and Observe


def test_a_max_age_of_2_to_the_32_less_1_is_fresh_for_a_day():
    def test(make):
        for document_id in (None, b"doc-1"):
            options = {"max_age_s": 0xFFFFFFFF}
            sim, gateway, server, (client,) = make((1,), [doc(1)], options)
            client.get(document_id)
            first = more(sim, client)
            assert 86390 <= first.uint(14) <= 86400
            for ms, is_cached in ((DAY_MS - 60000, True), (120000, False)):
                sim.run(None, ms)
                n_asked = len(server.asked)
                client.get(document_id)
                answer = more(sim, client)
                assert answer.payload() == first.payload()
                assert (len(server.asked) == n_asked) == is_cached, (document_id, ms)
                if is_cached:
                    assert 40 <= answer.uint(14) <= 60
            assert gateway.counters["cached"] == 1

    both_forms(test)


def test_the_gateway_takes_a_lower_observe_number_128_s_after_the_last_one():
    def test(make):
        # (the number after 1000, seconds after it, taken)
        for number, after_s, is_taken in (
            (1001, 1, True),
            (7, 100, False),
            (1000, 100, False),
            (7, 130, True),
            (1000, 130, True),
        ):
            sim, gateway, server, (client,) = make((1,), [doc(1)], {"max_age_s": 3600})
            client.get(b"doc-1", observe=0)
            assert answered(sim, [client])
            server.observers[0][2] = 999
            server.change("doc-1", doc(1, text="1000"))
            assert more(sim, client).code == 0x45
            assert client.documents()["text"] == "1000"
            sim.run(None, 1000 * after_s - 100)
            server.observers[0][2] = number - 1
            server.change("doc-1", doc(1, text="next"))
            sim.run(None, 5000)
            case = (number, after_s)
            assert client.documents()["text"] == ("next" if is_taken else "1000"), case
            # A client apart drops it first.
            node = sim.nodes.get(CLIENT) or gateway
            n_old = node.counters.get("old_notification", 0)
            assert n_old == (0 if is_taken else 1), case
            assert len(server.observers) == 1, case  # acknowledged in any case

    both_forms(test)


def test_observe_in_an_answer_to_a_plain_get_is_a_plain_answer():
    def test(make):
        for document_id in (None, b"doc-1"):
            sim, gateway, server, (client,) = make((1,), [doc(1)])
            body = dumps(doc(1) if document_id else [doc(1)])
            options = [(6, b"\x05"), (12, b"\xfd\xe9"), (65020, name(1).encode())]
            server.faults = {0: (0x45, options, body)}
            client.get(document_id)
            answer = more(sim, client)
            assert answer.payload() == body and answer.find(6) < 0, document_id
            sim.run(None, 1000)
            for node in (gateway, sim.nodes.get(CLIENT)):
                if node is not None:
                    assert node.endpoint.by_token == {}, "nothing more is expected"
            assert gateway.observers.n_observers == 0

    both_forms(test)
