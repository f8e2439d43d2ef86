"""The gateway and sizes: full messages, large documents, blocks, what makes no sense."""

from gateway_builders import (
    GATEWAY,
    SERVER,
    ManualClient,
    address,
    answered,
    doc,
    name,
    new,
    new_gateway,
    packet,
    shared,
)
from msgin5g.cbor.decoder import loads
from msgin5g.scm.client import problem_of
from msgin5g.scm.request import ScmRequest
from msgin5g_testkit.network_sim import NetworkSim


def test_more_ues_than_a_message_names_are_asked_for_in_several():
    numbers = tuple(range(1, 101))
    documents = [doc(n) for n in numbers]
    sim, _, server, clients = new(numbers, documents, bulk_count=1000, cache_size=0)
    for client in clients:
        client.get()
    assert answered(sim, clients)
    for client in clients:
        assert client.documents() == [doc(client.n)]
    assert server.largest <= 1152 and sim.largest <= 1152
    sizes = [len(ids) for ids in server.bulks]
    assert sizes == [33, 33, 33]  # and the one that is left has a request of its own
    assert len({i for asked in server.asked for i in asked[0]}) == 100
    assert server.largest > 1152 - 42 - 4 - 32


class Ear:
    """A server that hears all and says nothing."""

    def __init__(self):
        self.sizes = []

    def receive(self, transport, datagram, remote, now):
        self.sizes.append(len(datagram))

    def step(self, now):
        pass

    transmit = wait_ms = step


def test_a_bulk_request_fits_a_datagram_however_long_the_names_are():
    for service_id, bulk_id, vendor, size in (
        (240, 240, 200, 248),
        (1, 1, 1, 13),
        (13, 12, 200, 100),
        (12, 13, 1, 248),
    ):
        sim = NetworkSim(record=False)
        service_id = service_id * "s"
        gateway = new_gateway(sim, service_id=service_id, bulk_id=bulk_id * "b",
                              bulk_count=1000, block_size=512, max_transfers=20)  # fmt: skip
        ear = Ear()
        sim.add(SERVER, ear)
        query = b"ue-vendor=" + vendor * b"v"
        for n in range(1, 61):
            ue_id = "urn:u:%d:" % n
            ue_id = (ue_id + size * "x")[: max(size, len(ue_id))].encode()
            assert gateway.link_up(ue_id, 0, address(n))
            resource = ScmRequest(service_id, [ue_id], b"coap://scm.example", queries=(query,))
            request = packet(0, 1, n, b"abcd", resource.options())
            sim.send(address(n), GATEWAY, request, n)
        sim.run(None, 5000)
        assert gateway.n_waiting == 60
        assert 780 < max(ear.sizes) <= 1152, (size, ear.sizes)


def test_only_so_much_is_held_and_all_get_theirs_from_small_blocks_too():
    numbers = tuple(range(1, 31))
    for block_size, hold_size in ((1024, 0), (64, 500), (16, 2000)):
        peak = [0]
        sim, gateway, server, clients = new(
            numbers, [doc(n) for n in numbers], bulk_count=30, hold_size=hold_size,
            block_size=block_size, max_answers=2,
        )  # fmt: skip
        for client in clients:
            client.get(block2=6)

        def done():
            peak[0] = max(peak[0], gateway.pending_requests.held_size)
            return all(client.answers for client in clients)

        assert sim.run(done, 80000), block_size
        # A document that comes in the block that fills the room is the last one.
        assert peak[0] <= hold_size + block_size + 200, (block_size, peak[0])
        assert gateway.pending_requests.held_size == 0 and len(server.bulks) == 1
        for client in clients:
            assert client.answers[0].option(65020) == name(client.n).encode()


def test_a_large_answer_goes_block_by_block():
    big = doc(1, text=3000 * "x")
    for szx, mine in ((None, 1024), (6, 1024), (4, 256)):
        sim, _, server, (client, other) = new((1, 2), [big, doc(2)])
        client.get(block2=szx)
        other.get()
        assert answered(sim, (client, other))
        body = b""
        while True:
            answer = client.answers[-1]
            assert answer.code == 0x45 and answer.option(65020) == name(1).encode()
            block = answer.uint(23)
            assert 16 << (block & 7) == mine and answer.option(4) == client.answers[0].option(4)
            body += answer.payload()
            if not block & 8:
                break
            n = len(client.answers)
            client.get(block2=(block >> 4) + 1 << 4 | block & 7)
            assert sim.run(lambda: len(client.answers) > n)
        assert loads(body) == [big] and client.answers[0].uint(28) == len(body)
        assert len(server.bulks) == 1 and all(len(a[0]) == 2 for a in server.asked)
        n = len(client.answers)
        client.get(block2=500 << 4 | 6)
        assert sim.run(lambda: len(client.answers) > n)
        answer = client.answers[-1]
        assert (answer.code, answer.uint(12)) == (0x80, 257) and problem_of(answer.payload())[0]
        assert answer.option(65020) == name(1).encode()


def test_the_body_changes_under_the_transfer_and_all_get_the_new_one():
    numbers = (1, 2, 3, 4, 5)
    old = [shared(None)] + [doc(n, text=400 * "x") for n in numbers]
    sim, _, server, clients = new(numbers, old)
    for client in clients:
        client.get()
    assert sim.run(lambda: len(server.asked) == 2)
    server.documents = [shared(None)] + [doc(n, text=500 * "y") for n in numbers]
    assert answered(sim, clients)
    for client in clients:
        assert client.documents() == [doc(client.n, text=500 * "y"), shared(None)]
    assert len(server.bulks) == 2


def test_an_individual_document_is_fetched_for_the_ue_that_it_names():
    both = shared([name(1), name(2)])
    sim, _, server, (client, other) = new((1, 2, 3), [both, doc(3)], clients=(1, 3))
    client.get(b"shared")
    assert answered(sim, [client])
    assert sim.elapsed_ms < 100
    assert client.documents() == dict(both, valUeIds={"uris": [name(1)]})
    other.get(b"shared")
    assert answered(sim, [other])
    assert other.answers[0].code == 0x84
    assert [a[2] for a in server.asked] == ["shared", "shared"]


def test_what_may_not_come_is_discarded_as_at_a_relay():
    sim, gateway, server, (client,) = new((1,), [doc(1), doc(2)])
    client.get(ue_ids=[name(2).encode()])
    client.get(ue_ids=[name(1).encode(), name(2).encode()])
    stranger = ManualClient(sim, 7)
    stranger.get()
    sim.run(None, 1000)
    assert gateway.counters["wrong_ue_uri"] == 2 and gateway.counters["not_linked"] >= 1
    assert not server.asked and not client.answers and not stranger.answers


def test_requests_that_make_no_sense_are_refused_with_a_reason():
    for more, code in (
        ([(11, b"a"), (11, b"b")], 0xA5),  # 4.04 would mean: no document
        ([(27, b"\x06")], 0x82),
        ([(23, b"\x07")], 0x80),
        ([(35, b"coap://x")], 0xA5),
    ):
        sim, gateway, server, (client,) = new((1,), [doc(1)])
        client.get(more=more)
        assert answered(sim, [client], 1000), more
        assert client.answers[0].code == code and problem_of(client.answers[0].payload())[0]
        assert not server.asked and gateway.n_waiting == 0


def test_a_critical_option_that_is_not_known_is_named_to_the_ue_that_sent_it():
    for number in (1, 5, 9, 21, 2049):
        sim, gateway, server, (client,) = new((1,), [doc(1)])
        client.get()
        assert answered(sim, [client])
        # Not even from what is kept.
        client.get(more=[(number, b"x")])
        sim.run(None, 1000)
        assert client.answers[1].code == 0x82 and client.answers[1].uint(12) == 257
        assert loads(client.answers[1].payload())[-8] == number
        client.get(more=[(number, b"x")], confirmable=False)
        sim.run(None, 5000)
        assert len(client.answers) == 2 and gateway.counters == {"critical_option": 1}
        assert len(server.asked) == 1
    # It is not repeated, and its value has the right length (RFC 7252 5.4.3 and 5.4.5).
    for number, value in (
        (17, b"\x3c"),
        (17, b"\0\0\x3c"),
        (3, b""),
        (7, bytes(3)),
        (23, bytes(5)),
    ):
        sim, gateway, server, (client,) = new((1,), [doc(1)])
        client.get(more=[(number, value)])
        assert answered(sim, [client])
        assert client.answers[0].code == 0x82 and loads(client.answers[0].payload())[-8] == number
        assert not server.asked
    # Of an elective one only the first counts, and one of a wrong length is ignored.
    for number, value in ((6, bytes(4)), (4, b""), (4, bytes(9)), (258, bytes(2))):
        sim, gateway, server, (client,) = new((1,), [doc(1)])
        client.get(b"doc-1", more=[(number, value)])
        assert answered(sim, [client])
        assert client.answers[0].code == 0x45 and gateway.observers.n_observers == 0
    # These are known, or need not be.
    for number, value in ((3, b"h"), (7, b"\x16"), (60, b""), (2048, b"")):
        sim, _, _, (client,) = new((1,), [doc(1)])
        client.get(more=[(number, value)])
        assert answered(sim, [client])
        assert client.answers[0].code == 0x45, number


def test_what_a_server_gives_to_another_is_dropped():
    sim, gateway, _, (client,) = new((1,), [doc(1)], {"faults": {
        0: (0x45, [(65020, name(9).encode())], b"\x80")}})  # fmt: skip
    client.get()
    sim.run(None, 15000)
    assert gateway.counters["foreign_recipient"] >= 1 and not client.answers
    # After a while it asks anew.
    assert answered(sim, [client], 60000) and client.documents() == [doc(1)]


def test_a_document_that_is_too_large_is_one_clear_answer_at_the_block_that_is_too_much():
    for document_id in (None, b"doc-1"):
        sim, gateway, server, (client,) = new((1,), [doc(1, text=20000 * "x")])
        client.get(document_id)
        assert answered(sim, [client])
        assert client.answers[0].code == 0xA3
        assert problem_of(client.answers[0].payload())[0] == "Too large"
        # 8192 bytes are taken: eight blocks, and the one that is too much.
        assert len(server.asked) == 9 and gateway.counters == {"bad_answer": 1}


def test_a_document_for_which_there_is_no_memory_is_asked_for_once_more():
    sim, _, server, (client,) = new((1,), [doc(1, text=7000 * "x")])
    client.get(b"doc-1")
    from msgin5g.scm.document_splitter import DocumentSplitter

    feed = DocumentSplitter.feed

    def short(self, piece):
        if len(self.view) + len(piece) > 6000:
            raise MemoryError
        feed(self, piece)

    DocumentSplitter.feed = short
    try:
        assert answered(sim, [client])
    finally:
        DocumentSplitter.feed = feed
    assert problem_of(client.answers[0].payload())[0] == "Too large" and len(server.asked) == 12
