"""The gateway's numbers at their edges: sizes, turns, times; and its own configuration."""

from msgin5g_testkit.checks import xorshift
from gateway_builders import (
    GATEWAY_ID,
    SERVER,
    address,
    answered,
    doc,
    gateway_settings,
    name,
    new,
    new_gateway,
    packet,
    shared,
)
from builders import FakeConfiguration, document
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message
from msgin5g.gateway.cache import Entry
from msgin5g.gateway.pending_requests import RequestParameters, token_of
from msgin5g.intermediary.link_table import LinkedUe
from msgin5g.ue import ConstrainedUe


def parameters(block2=None, etag=None):
    return RequestParameters(None, b"", block2, etag, (), True, None, False, False)


def part_of(gateway, ue_id, token, body, block2=None, sequence=None):
    """The largest message that such a response can be, as Message."""
    ue = LinkedUe(ue_id, 0, None)
    entry = Entry(None, body, 1 << 28)
    code, options, payload = gateway.responder.part_of(
        entry, parameters(block2), ue, token, 0, sequence
    )
    return Message(32).decode(packet(0, code, 1, token, options, payload))


def test_blocks_are_as_large_as_a_message_can_hold_whatever_the_lengths_of_id_and_token():
    gateway = new_gateway(block_size=1024)
    body = bytes(5000)
    for id_size in (1, 13, 70, 74, 75, 78, 79, 80, 200, 248):
        for token_size in (0, 1, 4, 8, 12):
            ue_id = id_size * b"u"
            token = token_size * b"t"
            for block2 in (None, 0x06, 0x16, 0x46):
                message = part_of(gateway, ue_id, token, body, block2, 0xFFFFFF)
                szx = 6 if id_size + token_size <= 82 else 5
                asked = (block2 or 0) >> 4
                number = asked if szx == 6 else 2 * asked
                assert message.uint(23) & 7 == szx, (id_size, token_size)
                assert message.uint(23) >> 4 == number and message.size <= 1152
                assert message.find(28) == (-1 if asked else message.find(28))
                assert (message.uint(28) == 5000) == (not asked)
    # One that fits is whole, to the byte.
    for size, is_whole in ((1024, True), (1025, False)):
        message = part_of(gateway, b"u", b"t", bytes(size))
        assert (message.find(23) < 0) == is_whole and len(message.payload()) == 1024
        assert message.find(6) < 0  # no notification
    for size, token_size, is_whole in ((1024, 81, True), (1024, 82, False), (512, 82, True)):
        message = part_of(gateway, b"u", token_size * b"t", bytes(size))
        assert (message.find(23) < 0) == is_whole, (size, token_size)


def test_a_known_etag_is_2_03_for_the_first_block_only():
    gateway = new_gateway()
    entry = Entry(None, bytes(3000), 5999)
    ue = LinkedUe(b"u", 0, None)
    for block2, etag, code in (
        (None, entry.etag, 0x43),
        (0x06, entry.etag, 0x43),
        (0x16, entry.etag, 0x45),
        (None, b"other", 0x45),
        (None, None, 0x45),
        (0x36, None, 0x80),
        (0x26, None, 0x45),
    ):
        made = gateway.responder.part_of(entry, parameters(block2, etag), ue, b"t", 0)
        assert made[0] == code, (block2, etag)
        ages = [value for number, value in made[1] if number == 14]
        assert ages == ([] if code == 0x80 else [b"\5"])
    # Max-Age is less the time that has passed, and never below 0.
    for now, age in ((1000, b"\4"), (5998, b""), (5999, b""), (90000, b"")):
        made = gateway.responder.part_of(entry, parameters(), ue, b"t", now)
        assert [value for number, value in made[1] if number == 14] == [age], now


def test_a_token_of_any_length_comes_out_of_its_key():
    for size in (0, 1, 4, 8, 12, 13, 100, 300):
        for first in (0, 1, 255):
            token = bytes([first] * size)
            key = int.from_bytes(b"\1\0\0" + token, "big")
            assert token_of(key) == token


def test_a_full_bulk_request_fits_with_a_long_block_number_and_a_long_echo():
    def largest(id_size, n_ues, **settings):
        """(UEs in the first request, its size with a Block2 of 3 bytes and an Echo of 40)."""
        sim, gateway, server, _ = new((), [], bulk_count=1000, **settings)
        for n in range(1, n_ues + 1):
            ue_id = (("urn:%d:" % n) + id_size * "x")[:id_size].encode()
            assert gateway.link_up(ue_id, 0, address(n))
            client_get(sim, gateway, ue_id, n)
        sim.run(lambda: server.asked, 20000)
        return len(server.asked[0][0]), server.largest + 4 + 43

    # 14 IDs of 62 bytes fill it to the last byte.
    sizes = [largest(id_size, 60) for id_size in range(20, 63)]
    for id_size, (n, size) in enumerate(sizes, 20):
        # As many as fit, and no more.
        assert size <= 1152 < size + 9 + id_size + 2, (id_size, n, size)


def client_get(sim, gateway, ue_id, n):
    from msgin5g.scm.request import ScmRequest

    options = ScmRequest("msgin5g", [ue_id], b"coap://scm.example").options()
    gateway.receive(0, packet(0, 1, 1, b"tokn", options), address(n), sim.now)


def test_what_is_fresh_for_one_second_is_served_and_for_less_is_asked_for_again():
    for ms, is_cached in ((9000, True), (9001, False)):
        sim, gateway, server, (client,) = new((1,), [doc(1)], {"max_age_s": 10})
        client.get()
        assert answered(sim, [client])
        (entry,) = [gateway.cache.find((name(1).encode(), ()))]
        gone = (sim.now - entry.fresh_until + 10000) & 0x3FFFFFFF
        sim.run(None, ms - gone - 10)  # the request takes 10 ms
        n_asked = len(server.asked)
        client.get()
        assert sim.run(lambda: len(client.answers) == 2, 20000)
        assert (len(server.asked) == n_asked) == is_cached, ms
        if is_cached:
            assert client.answers[1].uint(14) == 1


def test_without_max_age_an_answer_is_fresh_for_a_minute():
    sim, _, _, (client,) = new((1,), [doc(1)])
    client.get()
    assert answered(sim, [client]) and 58 <= client.answers[0].uint(14) <= 60


def test_at_most_two_responses_leave_in_a_step_and_the_next_ones_at_once():
    numbers = range(1, 8)
    sim, gateway, _, clients = new(numbers, [doc(n) for n in numbers], bulk_count=7)
    for client in clients:
        client.get()
    n_sent = []
    flush = gateway.responder.flush

    def counted(now):
        before = len(gateway.responder.ready)
        flush(now)
        n_sent.append(before - len(gateway.responder.ready))

    gateway.responder.flush = counted
    assert answered(sim, clients)
    assert [n for n in n_sent if n] == [2, 2, 2, 1]
    starts = [ms for ms, source, _, d in sim.log if d[1] == 0x45 and source != SERVER]
    assert len(starts) == 7 and max(starts) - min(starts) <= 10


def test_ues_that_do_not_answer_make_room_after_three_transmissions_up_to_four_times_the_room():
    # Two at a time; the third transmission is 6 to 9 s after the first, the last place is free
    # when the first response has timed out after 93 s.
    for n_deaf, from_ms, to_ms in ((2, 6000, 12000), (7, 18000, 32000), (8, 93000, 96000)):
        numbers = range(1, n_deaf + 2)
        documents = [doc(n) for n in numbers]
        settings = {"bulk_count": n_deaf + 1, "max_answers": 2}
        sim, gateway, _, clients = new(numbers, documents, **settings)
        for client in clients:
            client.get()
            client.deaf = client.n <= n_deaf
            sim.run(None, 1)
        sim.run(None, to_ms)
        assert len(gateway.responder.unacknowledged) <= 8
        last = address(n_deaf + 1)
        told = [ms for ms, _, to, d in sim.log if to == last and d[1] == 0x45]
        assert told and from_ms < told[0] < to_ms, (n_deaf, told)


def test_a_request_gets_5_04_after_its_longest_wait_to_the_millisecond():
    sim, gateway, _, (client,) = new((1,), [], max_wait_s=30)
    sim.remove(SERVER)
    client.get()
    sim.run(None, 10)
    asked_at = gateway.links.of_ue(name(1).encode()).asked_at
    assert answered(sim, [client])
    said = [ms for ms, _, to, d in sim.log if to == address(1) and d[1] == 0xA4]
    passed = sim.elapsed_ms - said[0]
    assert ((sim.now - passed - asked_at) & 0x3FFFFFFF) == 30000
    assert gateway.counters["server_timeout"] == 1 and gateway.n_waiting == 0


def test_each_request_gets_its_5_04_in_its_own_time_wherever_it_waits():
    settings = {"max_wait_s": 30, "bulk_enabled": False, "max_transfers": 2}
    sim, _, _, clients = new((1, 2, 3), [], **settings)
    sim.remove(SERVER)
    for client in clients:
        client.get()
        sim.run(None, 10000)
    sim.run(None, 30000)
    for n in (1, 2, 3):
        said = [ms for ms, _, to, d in sim.log if to == address(n) and d[1] == 0xA4]
        assert 0 <= said[0] - (20000 + 10000 * n) < 100, (n, said)


def test_a_document_that_came_before_a_change_is_not_given_after_it():
    body = dumps([doc(1), doc(2, text=1500 * "x")])
    faults = {
        0: (0x45, [(4, b"a"), (23, b"\x0e")], body[:1024]),
        1: (0x45, [(4, b"b"), (23, b"\x16")], body[1024:]),
        2: (0x45, [(4, b"c")], b"\x80"),
    }
    sim, _, server, (client,) = new((1,), [doc(1)], {"faults": faults})
    client.get(b"doc-1")
    assert answered(sim, [client])
    assert len(server.asked) == 3 and client.answers[0].code == 0xA3


def test_a_silent_server_is_asked_again_after_ten_timeouts_and_twice_that_when_it_had_heard():
    for is_heard, again_ms in ((False, 20000), (True, 40000)):
        sim, _, _, (client,) = new((1,), [doc(1)], {"slow_ms": 500000})
        if not is_heard:
            sim.remove(SERVER)
        client.get()
        assert not sim.run(lambda: client.answers, 70000)
        sent = [(ms, d[4:8]) for ms, _, to, d in sim.log if to == SERVER and d[1] == 1]
        tokens = []
        for _, token in sent:
            if token not in tokens:
                tokens.append(token)
        first = [min([ms for ms, token in sent if token == one]) for one in tokens]
        assert first[1] - first[0] == again_ms, (is_heard, first)


def test_a_later_block_comes_from_a_body_that_is_stale_while_it_is_kept():
    for document_id in (None, b"doc-1"):
        sim, _, server, (client,) = new((1,), [doc(1, text=3000 * "x")], {"max_age_s": 1})
        for n, (ms, number, n_asked) in enumerate(
            ((10, 0, 4), (5000, 1, 4), (30000, 2, 4), (10, 0, 5), (150000, 1, 9))
        ):
            sim.run(None, ms)
            client.get(document_id, block2=number << 4 | 6)
            assert sim.run(lambda n=n: len(client.answers) > n, 20000)
            assert client.answers[n].uint(23) >> 4 == number, (document_id, n)
            assert len(server.asked) == n_asked, (document_id, n)


def test_what_the_server_has_acknowledged_is_not_asked_again_for_want_of_memory():
    for document_id in (None, b"doc-1"):
        sim, gateway, server, (client,) = new((1,), [doc(1)], {"slow_ms": 20000})
        client.get(document_id)
        sim.run(None, 5000)
        gateway.lose(sim.now)
        assert answered(sim, [client]) and client.answers[0].code == 0x45
        assert len(server.asked) == 1 and 20000 < sim.elapsed_ms < 25000


def test_a_notification_that_waits_is_counted_after_want_of_memory_too():
    documents = [shared([name(1), name(2)])]
    sim, gateway, server, clients = new((1, 2), documents, max_answers=1)
    for client in clients:
        client.get(b"shared", observe=0)
        assert answered(sim, [client])
        client.deaf = True
    sim.run(None, 1000)
    server.change("shared", shared([name(1), name(2)], text="new"))
    sim.run(None, 1000)
    assert gateway.n_waiting == 1 and len(gateway.responder.ready) == 1
    gateway.lose(sim.now)
    assert gateway.n_waiting == 1 and len(gateway.responder.ready) == 1
    for client in clients:
        client.deaf = False
    assert sim.run(lambda: all(len(client.answers) == 2 for client in clients), 20000)
    assert gateway.n_waiting == 0 and gateway.observers.n_observers == 2


def test_a_document_that_there_was_no_memory_to_ask_for_is_kept_for_nobody():
    sim, gateway, server, (client,) = new((1,), [doc(1)])
    scheduler = gateway.scheduler
    enqueue = scheduler.enqueue

    def out_of_memory(_):
        raise MemoryError

    scheduler.enqueue = out_of_memory
    client.get(b"doc-1")
    sim.run(None, 500)
    assert gateway.counters["no_memory"] == 1 and gateway.n_waiting == 0
    assert gateway.shared_documents.documents == {}
    scheduler.enqueue = enqueue
    # It was not acknowledged, and comes again.
    assert answered(sim, [client]) and client.documents() == doc(1)
    assert len(server.asked) == 1 and gateway.shared_documents.documents == {}


class Pairs:
    """A gateway whose UEs ask two at a time, each of them once."""

    def __init__(self, **server):
        numbers = range(1, 41)
        server["max_age_s"] = 1
        self.common = []  # the documents for everybody
        self.sim, self.gateway, self.server, self.clients = new(
            numbers, [doc(n) for n in numbers], server, bulk_count=2
        )

    def ask(self):
        """The next two ask; how many bulk requests that takes."""
        del self.server.asked[:]
        pair = [self.clients.pop(), self.clients.pop()]
        for client in pair:
            client.get()
        assert answered(self.sim, pair)
        for client in pair:
            assert client.documents() == [doc(client.n)] + self.common
        return len(self.server.bulks)


def test_a_server_that_leaves_three_ues_out_is_asked_for_each_alone_for_an_hour():
    pairs = Pairs(one_by_one=True)
    sim = pairs.sim
    counters = pairs.gateway.counters
    assert [pairs.ask() for _ in range(4)] == [1, 1, 1, 0]
    assert (counters["left_out"], counters["bulk_paused"]) == (3, 1)
    paused_at = sim.elapsed_ms
    sim.run(None, 3600000 - 60000)
    assert pairs.ask() == 0
    sim.run(None, paused_at + 3600000 + 60000 - sim.elapsed_ms)
    # Then it counts from the beginning.
    assert [pairs.ask() for _ in range(4)] == [1, 1, 1, 0] and counters["bulk_paused"] == 2


def test_after_that_hour_documents_for_everybody_hide_no_ue_that_was_left_out():
    pairs = Pairs()
    assert pairs.ask() == 1  # it does bulk
    pairs.server.one_by_one = True
    assert [pairs.ask() for _ in range(4)] == [1, 1, 1, 0]
    pairs.sim.run(None, 3600000 + 60000)
    common = shared(None, "all")
    pairs.server.documents.append(common)
    pairs.common = [common]
    assert pairs.ask() == 1


def test_a_whole_bulk_answer_ends_the_count_of_ues_that_were_left_out():
    pairs = Pairs()
    for one_by_one in (True, True, False, True, True, False):
        pairs.server.one_by_one = one_by_one
        assert pairs.ask() == 1
    counters = pairs.gateway.counters
    assert counters["left_out"] == 4 and "bulk_paused" not in counters


def test_who_goes_alone_and_who_waits_for_others():
    # (query, document, settings, (alone, together, documents))
    urgent = {"bulk_urgent": [name(1)]}
    for query, document_id, settings, expected in (
        (None, None, {}, (0, 1, 0)),
        (b"ue-vendor=acme", None, {}, (0, 1, 0)),
        (b"ue-type=35123456", None, {}, (0, 1, 0)),
        (b"ue-snr=123456", None, {}, (1, 0, 0)),
        (b"x=1", None, {}, (1, 0, 0)),
        (None, None, {"bulk_enabled": False}, (1, 0, 0)),
        (None, None, urgent, (1, 0, 0)),
        (None, None, {"bulk_urgent": [name(2)]}, (0, 1, 0)),
        (None, b"d", {}, (0, 0, 1)),
        (None, b"d", urgent, (0, 0, 1)),
        (b"ue-vendor=acme", b"d", {}, (0, 0, 1)),
        (b"x=1", b"d", {}, (1, 0, 0)),
        (b"ue-snr=123456", b"d", {}, (0, 0, 1)),
    ):
        sim, gateway, _, (client,) = new((1,), [doc(1)], **settings)
        client.get(document_id, queries=() if query is None else (query,))
        gateway.receive(0, bytes(client.transmit(sim.now)[1]), address(1), sim.now)
        scheduler = gateway.scheduler
        got = (len(scheduler.singles), len(scheduler.collecting), len(scheduler.queued))
        assert got == expected, (query, document_id, settings)


def test_what_the_server_answers_for_several_and_for_one_in_place_of_documents():
    problem = [(12, b"\1\1")]
    age = problem + [(14, b"\7")]
    # (code, options, several: code and Max-Age or None for asked alone, one: code and Max-Age)
    for code, options, several, one in (
        (0x83, age, None, (0x83, 7)),
        (0x81, problem, None, (0x81, None)),
        (0x84, problem, None, (0x84, None)),
        (0x80, problem, None, (0x80, None)),
        (0x9D, age, (0x9D, 7), (0x9D, 7)),
        (0x9D, problem, (0x9D, None), (0x9D, None)),
        (0xA3, age, (0xA3, 7), (0xA3, 7)),
        (0xA0, problem, (0xA3, None), (0xA3, None)),
        (0xA4, problem, (0xA4, None), (0xA4, None)),
        (0x43, (), (0xA3, None), None),  # of what was not asked for with an ETag
        (0x41, (), (0xA3, None), (0xA3, None)),
    ):
        for numbers, expected in (((1, 2), several), ((1,), one)):
            faults = {0: (code, options, b"")}
            sim, gateway, server, clients = new(numbers, [doc(1), doc(2)], {"faults": faults})
            for client in clients:
                client.get()
            assert answered(sim, clients)
            case = (code, numbers)
            for client in clients:
                got = client.answers[0]
                if expected is None:
                    assert client.documents() == [doc(client.n)], case
                else:
                    assert (got.code, got.uint(14)) == expected, case
                    assert got.option(65020) == name(client.n).encode() and got.uint(12) == 257
            n_asked = 1 if expected else 3 if len(numbers) > 1 else 2
            assert len(server.asked) == n_asked and gateway.n_waiting == 0, case
            left_out = gateway.counters.get("left_out", 0)
            rejected = len(numbers) > 1 and expected is None
            assert left_out == (2 if rejected and code not in (0x83, 0x81) else 0), case
            assert gateway.counters.get("bulk_rejected", 0) == rejected, case


def test_an_echo_is_given_back_to_a_4_01_only():
    for code, told in ((0x83, 0x83), (0x9D, 0x9D), (0xA3, 0xA3)):
        for document_id in (None, b"doc-1"):
            faults = {0: (code, [(252, b"echo")], b"")}
            sim, _, server, (client,) = new((1,), [doc(1)], {"faults": faults})
            client.get(document_id)
            assert answered(sim, [client])
            assert client.answers[0].code == told and len(server.asked) == 1


def test_where_all_documents_are_for_everybody_nobody_is_asked_for_alone():
    common = shared(None, "all")
    sim, gateway, server, clients = new((1, 2, 3), [common], bulk_count=3)
    for client in clients:
        client.get()
    assert answered(sim, clients)
    assert [client.documents() for client in clients] == 3 * [[common]]
    assert len(server.asked) == 1 and "left_out" not in gateway.counters
    # With one UE named it may be a server that answers for the first one only.
    server.documents.append(doc(1))
    sim.run(None, 61000)
    for client in clients:
        client.get()
    assert sim.run(lambda: all(len(client.answers) == 2 for client in clients), 20000)
    assert clients[0].documents() == [doc(1), common]
    assert [client.documents() for client in clients[1:]] == 2 * [[common]]
    assert len(server.asked) == 4 and "left_out" not in gateway.counters


def test_only_a_refusal_for_one_takes_what_it_has_got_before():
    for code, stays in ((0x83, False), (0x84, False), (0x9D, True), (0xA3, True), (0xA4, True)):
        sim, gateway, server, (client,) = new((1,), [doc(1)], {"max_age_s": 1})
        client.get()
        assert answered(sim, [client])
        key = (name(1).encode(), ())
        assert gateway.cache.find(key) is not None
        sim.run(None, 3000)
        server.faults[len(server.asked)] = (code, (), b"")
        client.get()
        assert sim.run(lambda some=client: len(some.answers) == 2, 20000)
        assert client.answers[1].code == code
        assert (gateway.cache.find(key) is not None) == stays, code


def own_gateway(**settings):
    """(sim, gateway, own, server): a gateway with a configuration of its own."""
    documents = [document(GATEWAY_ID, "{}", "own"), doc(1)]
    sim, gateway, server, _ = new((1,), documents, **settings)
    more = gateway_settings(start_delay_s=0, observe=False)
    gateway.own = own = ConstrainedUe(
        more, xorshift(6), FakeConfiguration(), SERVER, sim.now, 0, gateway.endpoint
    )
    return sim, gateway, own, server


def test_what_becomes_of_its_own_request_is_an_event_of_its_own():
    sim, gateway, own, _ = own_gateway()
    assert gateway.poll() is None and gateway.wait_ms(sim.now) == 0
    assert sim.run(lambda: own.events, 5000) and gateway.poll()["event"] == "applied"
    sim, gateway, own, _ = own_gateway()
    sim.remove(SERVER)
    assert sim.run(lambda: own.events, 100000) and gateway.poll()["event"] == "timeout"
    assert gateway.counters == {}
    sim, gateway, own, _ = own_gateway()
    gateway.step(sim.now)
    request = Message(32).decode(bytes(gateway.transmit(sim.now)[1]))
    reset = bytes((0x70, 0, request.mid >> 8, request.mid & 255))
    gateway.receive(0, reset, SERVER, sim.now)
    assert own.events and gateway.counters == {}


def test_what_becomes_of_the_requests_of_others_is_no_event_of_its_own():
    for has_server, code in ((True, 0x45), (False, 0xA4)):
        sim, gateway, own, _ = own_gateway(max_wait_s=90)
        assert sim.run(lambda some=own: some.events, 5000)
        assert gateway.poll()["event"] == "applied"
        if not has_server:
            sim.remove(SERVER)
        client = sim.nodes[address(1)]
        client.get()
        assert answered(sim, [client]) and client.answers[0].code == code
        # A Reset of the UE or of the server is of no interest to it either.
        client.deaf = has_server
        client.get(b"doc-1", observe=0)
        sim.run(None, 300)
        peer = address(1) if has_server else SERVER
        exchange = [e for e in gateway.endpoint.exchanges if e.remote == peer][-1]
        reset = bytes((0x70, 0, exchange.mid() >> 8, exchange.mid() & 255))
        gateway.receive(exchange.transport, reset, exchange.remote, sim.now)
        sim.run(None, 300)
        assert own.events == [] and gateway.n_waiting == 0
        assert gateway.counters.get("reset", 0) == has_server
        assert has_server or client.answers[-1].code == 0xA3


def test_what_the_gateway_wants_for_itself_waits_a_minute_for_memory():
    sim, gateway, own, server = own_gateway()
    fetch = own.client.fetch

    def out_of_memory(*_):
        raise MemoryError

    own.client.fetch = out_of_memory
    gateway.step(sim.now)
    own.client.fetch = fetch
    assert gateway.counters == {"no_memory": 1}
    assert not sim.run(lambda: server.n_requests, 59000)
    assert sim.run(lambda: own.events, 2000) and own.configuration.n_applied == 1


def test_the_longest_unused_observation_of_a_ue_beyond_its_share_ends():
    documents = [shared(None, "d%d" % n) for n in range(6)]
    sim, gateway, _, (client,) = new((1,), documents, max_observations=64, max_links=16)
    for n in range(6):
        client.get(b"d%d" % n, observe=0)
        assert sim.run(lambda n=n: len(client.answers) == n + 1, 5000)
        observers = gateway.links.of_ue(name(1).encode()).observers
        assert [o.document.document_id for o in observers] == [
            b"d%d" % i for i in range(max(n - 3, 0), n + 1)
        ]
    assert gateway.observers.n_observers == 4 and len(gateway.shared_documents.documents) == 4
