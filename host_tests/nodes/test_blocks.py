"""Large documents, RFC 7959: block by block through the relay, whole and never mixed."""

import gc

from msgin5g_testkit.checks import load
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import BLOCK2, OBSERVE
from builders import RELAY, SERVER, UE_ID, document, drain, names, new_sim, ue_address
from msgin5g_testkit.network_sim import chance

load(
    "msgin5g.ue",
    "msgin5g.relay",
    "msgin5g.ue",
    "msgin5g.scm.ue_config_doc",
    "msgin5g_testkit.servers",
)
if hasattr(gc, "threshold"):
    gc.threshold(4096)  # else what lives a little longer lies scattered over all of the heap

UE = ue_address(2)
# Three nodes hold it four times over, so that a small heap gets less; host/test_block_heap.py
# runs this file with all of it, and the UE alone in its own heap.
SMALL = hasattr(gc, "mem_free") and gc.mem_free() + gc.mem_alloc() < 300000
SIZE = 6144 if SMALL else 20480


SMALL_BODY = dumps([document(UE_ID, 300 * "-")])
START = SMALL_BODY.find(b"\x79\x01\x2c") + 3  # of the configData in the collection


def body_of(version, size=SIZE, into=None):
    """The collection with one document, made once as bytes, or a newer version `into` its place.

    Every eight bytes of its configData say where they belong, and to which version.
    """
    body = into or bytearray(len(SMALL_BODY) - 300 + size)
    body[:START] = SMALL_BODY[: START - 2] + bytes((size >> 8, size & 255))
    for i in range(START, START + size, 8):
        body[i : i + 8] = (version + "%07d" % ((i - START) // 8)).encode()
    body[START + size :] = SMALL_BODY[START + 300 :]
    return body


def is_text(data, version, size=SIZE):
    for n in range(size // 8):
        if data[8 * n : 8 * n + 8] != (version + "%07d" % n).encode():
            return False
    return len(data) == size


def large_sim(link_model=None, size=SIZE, ue=None, relay=None):
    settings = {"max_document_size": 24576, "refresh_min_s": 3600}
    settings.update(ue or {})
    # Both remember few answers: a block size each.
    relay_options = {"max_flows": 2}
    relay_options.update(relay or {})
    server = {"max_incoming": 8}
    return new_sim(
        link_model, {UE_ID: body_of("A", size)}, settings, relay_options, server, record=False
    )


def arrived(sim, ue, change=None):
    """The names of the events up to the one that a document was applied."""
    told = []

    def done():
        if change is not None:
            change()
        told.extend(names(ue))
        return ue.configuration.n_applied > 0

    assert sim.run(done, 7200000), told
    return told


def test_a_large_one_arrives_with_every_block_size_and_20_percent_loss_each_way():
    for block_size in (64, 128, 256, 512, 1024):
        sim = ue = server = None
        link_model = chance(block_size, loss=20)
        sim, ue, _, server = large_sim(link_model, ue={"block_size": block_size})
        assert arrived(sim, ue) == ["applied"], block_size
        assert is_text(ue.configuration.data, "A"), block_size
        assert server.n_bodies >= SIZE // block_size


def test_the_size_is_proposed_first_and_every_block_carries_recipient_and_none_observe():
    sim, ue, _, server = large_sim(size=2048, ue={"block_size": 256})
    sim.record = True
    assert arrived(sim, ue)
    messages = [(s, d, Message(32).decode(datagram)) for _, s, d, datagram in sim.log]
    up = [m for s, d, m in messages if d == SERVER]
    assert up[0].option(BLOCK2) == b"\x04"
    n_blocks = len(server.documents[UE_ID]) // 256 + 1
    assert [m.uint(BLOCK2) for m in up] == [n << 4 | 4 for n in range(n_blocks)]
    for source, destination, message in messages:
        down = destination == UE or source == SERVER
        assert message.option(65020) == (UE_ID.encode() if down else b"coap://scm.example")
        assert message.find(OBSERVE) < 0 and message.size < 512
    assert len({m.mid for m in up}) == len({m.token() for m in up}) == n_blocks
    # With the largest size there is nothing to propose.
    sim = ue = server = up = messages = message = None
    sim, ue, _, _ = large_sim(size=2048)
    sim.record = True
    assert arrived(sim, ue)
    assert Message(32).decode(sim.log[0][3]).find(BLOCK2) < 0


def test_the_relay_spaces_the_blocks_of_a_fast_link_and_none_is_asked_for_twice():
    sim, ue, relay, server = large_sim(ue={"block_size": 64}, relay={"max_rate": 10})
    at = []
    carry = sim.link_model

    def link_model(n, datagram):
        if datagram[1] == 1 and datagram[4:8] in [e.token for e in relay.endpoint.exchanges]:
            at.append(sim.elapsed_ms)
        return carry(n, datagram)

    sim.link_model = link_model
    assert arrived(sim, ue) == ["applied"]
    assert len(at) == server.n_bodies == len(server.documents[UE_ID]) // 64 + 1
    assert all(at[i + 10] - at[i] >= 1000 for i in range(len(at) - 10))
    assert relay.counters == {}


def changing(server, every, versions):
    """A function that gives the UE another document after every so many bodies."""
    state = [every, 0]

    def change():
        if state[1] < versions and server.n_bodies >= state[0]:
            state[0] += every
            state[1] += 1
            body_of(chr(65 + state[1] % 26), SIZE, server.documents[UE_ID])
            server.untag()

    return change


def test_changed_in_the_middle_it_arrives_whole_and_never_mixed():
    for link_model in (None, chance(5, loss=20)):
        sim = ue = server = None
        sim, ue, _, server = large_sim(link_model, ue={"block_size": 256})
        assert arrived(sim, ue, changing(server, 17, 3)) == ["applied"]
        data = ue.configuration.data
        assert is_text(data, "D"), (len(data), data[:8])


def test_a_document_that_has_become_shorter_is_begun_anew():
    for size in (512, 2048):
        sim = ue = server = None
        sim, ue, _, server = large_sim(ue={"block_size": 256})

        def change():
            if server.n_bodies == 18:
                server.documents[UE_ID] = body_of("B", size)

        assert arrived(sim, ue, change) == ["applied"]
        assert is_text(ue.configuration.data, "B", size)


def test_one_that_keeps_changing_is_refused_after_three_restarts_and_asked_for_later():
    sim, ue, _, server = large_sim(ue={"block_size": 256})
    change = changing(server, 7, 1000)
    events = []

    def refused():
        change()
        events.extend(drain(ue))
        return len(events) >= 2

    assert sim.run(refused)
    assert events[0]["event"] == "refused", events
    assert events[0]["reasons"] == ["the document kept changing during its transfer"]
    assert events[1]["event"] == "backing_off"
    # The first try and three more, each of which notices with its first new block.
    assert server.n_bodies < 4 * 9
    assert arrived(sim, ue) == ["applied"]  # it changes no more


def test_too_large_is_refused_after_one_block():
    sim, ue, _, server = large_sim(ue={"max_document_size": 4096, "block_size": 256})
    assert sim.run(lambda: ue.events, 60000)
    limit = "too large: " + str(len(server.documents[UE_ID])) + " bytes, the limit is 4096"
    assert drain(ue)[0] == {"event": "refused", "reasons": [limit]}
    assert server.n_bodies == 1


def test_a_block_that_nobody_answers_is_asked_for_again_and_the_transfer_goes_on():
    sim, ue, relay, server = large_sim(ue={"block_size": 256})
    assert sim.run(lambda: server.n_bodies == 20)
    sim.remove(RELAY)
    assert not sim.run(None, 150000)
    sim.add(RELAY, relay)
    assert arrived(sim, ue) == ["applied"]
    assert is_text(ue.configuration.data, "A")
    # One answer was on its way when the relay went.
    assert server.n_bodies == len(server.documents[UE_ID]) // 256 + 1 + 1


def test_a_transfer_whose_next_block_never_comes_is_given_up_in_the_end():
    sim, ue, relay, server = large_sim(ue={"block_size": 256})
    assert sim.run(lambda: server.n_bodies == 20)
    sim.remove(RELAY)
    start = sim.elapsed_ms
    assert sim.run(lambda: ue.events, 600000)
    assert names(ue) == ["timeout", "backing_off"]
    assert 5 * 93000 - 100 <= sim.elapsed_ms - start <= 5 * 93000
    sim.add(RELAY, relay)
    assert arrived(sim, ue) == ["applied"]
