"""A UE and a server that share a key (RFC 8613): what they say is authentic, fresh, and hidden."""

from builders import (
    DATA,
    SERVER,
    UE_ID,
    document,
    names,
    new_server,
    new_ue,
    ue_address,
)
from msgin5g.coap.message import Message, encode, uint_bytes
from msgin5g.oscore.security import largest_block
from msgin5g_testkit.network_sim import NetworkSim, all_but, chance
from msgin5g_testkit.security import kid_of
from oscore_server import protect_server, protect_ue

UE = ue_address(2)


def new_direct(link_model=None, documents=None, ue=None, server=None):
    """A network with a UE that talks to the server itself: (sim, ue, server)."""
    sim = NetworkSim(link_model)
    a_ue = new_ue(sim, UE, 3, SERVER, **(ue or {}))
    a_server = new_server(sim, documents, 5, **(server or {}))
    protect_ue(a_ue, UE_ID)
    protect_server(a_server, (UE_ID,))
    return sim, a_ue, a_server


def from_server(sim):
    """The datagrams of the server, the oldest first."""
    return [datagram for _, source, _, datagram in sim.log if source == SERVER]


def from_ue(sim):
    return [datagram for _, source, _, datagram in sim.log if source == UE]


def test_a_protected_fetch_applies_the_configuration_and_shows_nobody_what_it_is():
    sim, ue, _ = new_direct()
    assert sim.run(lambda: ue.events) and names(ue) == ["applied"]
    assert ue.configuration.data == DATA.encode()
    for _, _, _, datagram in sim.log:
        assert b"ue-configurations" not in datagram and b"ue-uri" not in datagram
        assert b"MSGin5G" not in datagram and datagram[1] in (0x02, 0x44, 0)
        assert b"coap://scm.example" in datagram or UE_ID.encode() in datagram


def test_a_retransmitted_request_is_the_same_bytes_and_takes_no_number():
    sim, ue, _ = new_direct(all_but(lost=(0, 1, 2)))
    assert sim.run(lambda: ue.events) and names(ue) == ["applied"]
    asked = from_ue(sim)
    assert len(asked) == 4 and len(set(asked)) == 1
    assert ue.endpoint.security.context.sequence.following == 1


def test_an_answer_that_was_lost_is_given_again_and_the_same():
    sim, ue, server = new_direct(all_but(lost=(1,)))
    assert sim.run(lambda: ue.events) and names(ue) == ["applied"]
    given = from_server(sim)
    assert len(given) == 2 and given[0] == given[1]
    assert server.n_requests == 1 and server.counters == {"duplicate": 1}


def test_a_request_that_the_server_has_forgotten_is_dropped_silently_when_it_comes_again():
    sim, ue, server = new_direct(server={"max_incoming": 1})
    assert sim.run(lambda: ue.events)
    first = from_ue(sim)[0]
    ue.fetch(sim.now)
    assert sim.run(lambda: len(ue.events) == 2)
    n = len(sim.log)
    sim.send(UE, SERVER, first)
    sim.run(None, 5000)
    assert len(sim.log) == n and server.counters["oscore_replay"] == 1


def test_errors_of_the_server_are_protected_too():
    for documents, denied, code in (({}, (), "4.04"), (None, (UE_ID,), "4.03")):
        sim, ue, _ = new_direct(None, documents, None, {"denied": denied})
        assert sim.run(lambda: ue.events)
        event = ue.events[0]
        assert (event["event"], event["code"]) == ("rejected", code)
        assert event["detail"] == {"4.04": "for " + UE_ID, "4.03": UE_ID + " is not allowed"}[code]
        assert {d[1] for d in from_server(sim)} == {0x44}


def test_a_large_document_comes_by_protected_blocks_and_is_refreshed_with_2_03():
    data = DATA[:-1] + ',"x":"' + "y" * 20000 + '"}'
    sim, ue, _ = new_direct(
        chance(7, loss=20, duplication=5),
        {UE_ID: document(UE_ID, data)},
        {"max_document_size": 30000},
    )
    assert sim.run(lambda: names(ue) == ["applied"])
    assert ue.configuration.data == data.encode() and sim.largest <= 1152
    ue.fetch(sim.now)
    assert sim.run(lambda: names(ue) == ["unchanged"])
    assert not [d for _, _, _, d in sim.log if b"yyyy" in d]


def observing():
    sim, ue, server = new_direct(None, None, {"observe": True}, {"max_age_s": 86400})
    assert sim.run(lambda: ue.client.observing)
    names(ue)
    return sim, ue, server


def changed(n):
    return DATA.replace("user-7", "user-%d" % n)


def test_a_push_is_protected_and_applied():
    sim, ue, server = observing()
    for n in (8, 9):
        server.change(UE_ID, document(UE_ID, changed(n)))
        assert sim.run(lambda: names(ue) == ["applied"])
        assert ue.configuration.data == changed(n).encode()
    assert {d[1] for d in from_ue(sim)} == {0x02, 0x05, 0}


def test_a_notification_that_is_not_newer_is_dropped_whatever_its_outer_observe_says():
    sim, ue, server = observing()
    server.change(UE_ID, document(UE_ID, changed(8)))
    assert sim.run(lambda: names(ue) == ["applied"])
    old = from_server(sim)[-1]
    server.change(UE_ID, document(UE_ID, changed(9)))
    assert sim.run(lambda: names(ue) == ["applied"])
    i = old.index(b"\x61") + 1  # Observe after the token, one byte
    for observe in range(8):
        again = bytearray(old)
        again[3] ^= 0x80 + observe  # another message ID: no repetition
        again[i] = 100 + observe
        sim.send(SERVER, UE, bytes(again))
        sim.run(None, 200000)
    assert ue.configuration.data == changed(9).encode() and names(ue) == []
    assert ue.counters["old_notification"] == 8


def test_a_reset_alone_ends_no_protected_fetch():
    sim, ue, _ = new_direct(all_but(lost=(1, 2)))
    sim.run(None, 100)
    asked = from_ue(sim)[0]
    sim.send(SERVER, UE, bytes((0x70, 0, asked[2], asked[3])))
    assert sim.run(lambda: ue.events) and names(ue) == ["applied"]
    assert ue.counters["reset_ignored"] == 1


def test_an_acknowledgement_alone_ends_no_protected_fetch():
    sim, ue, _ = new_direct(server={"slow_ms": 3000})
    sim.run(None, 5)
    asked = from_ue(sim)[0]
    sim.send(SERVER, UE, bytes((0x60, 0, asked[2], asked[3])))
    assert sim.run(lambda: ue.events) and names(ue) == ["applied"]
    # With a request that was lost, the fetch times out, and the next one is made.
    sim, ue, _ = new_direct(all_but(lost=(0,)))
    sim.run(None, 5)
    asked = from_ue(sim)[0]
    sim.send(SERVER, UE, bytes((0x60, 0, asked[2], asked[3])))
    assert sim.run(lambda: ue.configuration.data, 110000)
    assert names(ue) == ["timeout", "backing_off", "applied"]


def test_a_reset_or_an_acknowledgement_alone_ends_no_observation():
    sim, ue, server = observing()
    for asked in from_ue(sim):
        for first in (0x70, 0x60):
            sim.send(SERVER, UE, bytes((first, 0, asked[2], asked[3])))
    sim.run(None, 1000)
    assert ue.client.observing
    server.change(UE_ID, document(UE_ID, changed(8)))
    assert sim.run(lambda: names(ue) == ["applied"])


def test_what_comes_unprotected_ends_no_protected_fetch():
    for code in (0x45, 0x43, 0x44, 0x80, 0x81, 0x82, 0x83, 0x84, 0x9D, 0xA3, 0xA4):
        sim, ue, _ = new_direct(all_but(late=(1,), late_ms=700))
        sim.run(None, 50)
        asked = from_ue(sim)[0]
        forged = bytes((0x64, code, asked[2], asked[3])) + asked[4:8]
        if code >= 0xA3:
            forged += b"\xd3\x01\x01\x51\x80"  # Max-Age 86400
        else:
            forged += b"\xc0\xff{}"
        sim.send(SERVER, UE, forged)
        sim.send(SERVER, UE, b"\x54" + forged[1:2] + b"\x12\x34" + forged[4:])
        assert sim.run(lambda: ue.events), code
        assert names(ue) == ["applied"], code
        name = "unprotected_response" if code < 0x80 else "unprotected_error"
        assert ue.counters[name] == 2, code
        assert ue.endpoint.security.unprotected_error is None, code  # all is well again


def test_errors_that_come_unprotected_delay_the_next_fetch_by_the_back_off_at_most():
    sim, ue, _ = new_direct(all_but(lost=range(1, 40)))
    sim.remove(SERVER)
    sim.run(None, 50)
    asked = from_ue(sim)[0]
    error = bytes((0x64, 0xA3, asked[2], asked[3])) + asked[4:8] + b"\xd3\x01\x01\x51\x80"
    sim.send(SERVER, UE, error)
    assert sim.run(lambda: ue.events, 100000)
    assert names(ue) == ["timeout", "backing_off"]
    assert sim.run(lambda: len(set(from_ue(sim))) == 2, 10000)


def test_a_server_without_the_key_gives_an_error_that_ends_nothing():
    sim, ue, server = new_direct()
    del server.endpoint.security.contexts[kid_of(UE_ID)]
    assert sim.run(lambda: ue.events, 100000)
    assert names(ue) == ["timeout", "backing_off"]
    assert server.counters["oscore_unknown_kid"] == 1 and server.n_requests == 0
    assert ue.endpoint.security.unprotected_error == 0x81


def test_a_server_that_has_lost_its_window_asks_for_an_echo_first():
    sim, ue, server = new_direct()
    assert sim.run(lambda: names(ue) == ["applied"])
    old = from_ue(sim)[0]
    security = protect_server(server, (UE_ID,), True, 1000)
    context = security.contexts[kid_of(UE_ID)]
    context.echo = b"12345678"
    changed_id = bytes((old[0], old[1], old[2], old[3] ^ 0x55)) + old[4:]
    sim.send(UE, SERVER, changed_id)  # the server cannot know that it had come before
    sim.run(None, 1000)
    assert server.n_requests == 1 and server.counters["oscore_echo"] == 1
    ue.fetch(sim.now)
    assert sim.run(lambda: names(ue) == ["unchanged"])
    assert context.echo is None and server.counters["oscore_echo"] == 2
    again = bytes((old[0], old[1], old[2], old[3] ^ 0x66)) + old[4:]
    sim.send(UE, SERVER, again)
    sim.run(None, 1000)
    assert server.n_requests == 2 and server.counters["oscore_replay"] == 1


def test_a_secured_server_answers_no_request_that_is_not_protected():
    sim, ue, server = new_direct(None, None, {"require_recipient": False})
    ue.endpoint.security = None
    assert sim.run(lambda: ue.events)
    assert ue.events[0]["code"] == "4.01" and server.n_requests == 0
    assert server.counters["unprotected_request"] == 1


def test_each_message_fits_with_the_block_that_is_asked_for_whatever_the_names_are():
    data = DATA[:-1] + ',"x":"' + "y" * 3000 + '"}'
    changed_data = data.replace("y", "z")
    for n, largest in ((24, 1092), (64, 1132), (65, 621), (248, 804)):
        ue_id = "urn:" + "x" * (n - 4)
        for recipient in ("coap://scm.example", "coap://" + "s" * 248):
            sim = NetworkSim()
            size = largest_block(ue_id.encode())
            ue = new_ue(sim, UE, 3, SERVER, ue_id=ue_id, block_size=size, observe=True,
                        server_recipient=recipient)  # fmt: skip
            server = new_server(sim, {ue_id: document(ue_id, data)}, 5, max_age_s=2**31)
            protect_ue(ue, ue_id, 2**40 - 9999)
            protect_server(server, (ue_id,), True, 2**40 - 9999)
            assert sim.run(lambda ue=ue: ue.client.observing and not ue.client.busy)
            assert ue.configuration.data == data.encode()
            server.change(ue_id, document(ue_id, changed_data))
            assert sim.run(lambda ue=ue: ue.configuration.data == changed_data.encode())
            assert largest <= max([len(d) for d in from_server(sim)]) <= 1152, n
            assert sim.largest <= 1152 and "too_large" not in server.counters
            assert {d[1] for d in from_server(sim)} <= {0x44, 0x45, 0}


def outer_blocks(datagram, number, size):
    """A protected message in pieces, as a proxy may cut it (RFC 8613 section 4.1.3.4.2)."""
    message = Message(32).decode(datagram)
    payload = message.payload()
    options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
    szx = {16: 0, 32: 1, 64: 2, 128: 3}[size]
    n = 0
    for start in range(0, len(payload), size):
        more = 8 if start + size < len(payload) else 0
        block = uint_bytes(n << 4 | more | szx)
        buf = bytearray(1152)
        length = encode(
            buf, 1, message.code, 900 + n, message.token(),
            sorted(options + [(number, block)]), payload[start : start + size],
        )  # fmt: skip
        yield bytes(buf[:length])
        n += 1


def test_a_response_in_blocks_of_strangers_is_refused_piece_by_piece_and_counted():
    for size in (16, 32, 64, 128):
        sim, ue, _ = new_direct(all_but(lost=(1,)))
        sim.run(None, 50)
        whole = from_server(sim)[0]
        pieces = list(outer_blocks(whole, 23, size))
        for piece in pieces:
            sim.send(SERVER, UE, piece)
            sim.run(None, 50)
        assert ue.configuration.data is None and ue.client.busy, size
        assert sum(ue.counters.values()) == len(pieces) > 1, size
        assert set(ue.counters) <= {"oscore_not_authentic", "oscore_malformed"}, size
        # It goes on waiting, and takes the whole message: a block outside says nothing then.
        message = Message(32).decode(whole)
        options = [(9, b""), (23, b"\x0e"), (65020, message.option(65020))]
        buf = bytearray(1152)
        n = encode(buf, 1, message.code, 999, message.token(), options, message.payload())
        sim.send(SERVER, UE, bytes(buf[:n]))
        sim.run(None, 50)
        assert names(ue) == ["applied"] and ue.configuration.data == DATA.encode(), size


def test_a_request_in_blocks_of_strangers_is_refused_piece_by_piece_and_counted():
    for number in (23, 27):
        for size in (16, 32, 64):
            sim, ue, server = new_direct(all_but(lost=(0,)))
            sim.run(None, 50)
            whole = from_ue(sim)[0]
            pieces = list(outer_blocks(whole, number, size))
            for piece in pieces:
                sim.send(UE, SERVER, piece)
                sim.run(None, 50)
            assert server.n_requests == 0, (number, size)
            assert sum(server.counters.values()) == len(pieces) > 1, (number, server.counters)
            assert {d[1] for d in from_server(sim)} <= {0x80, 0x82}, (number, size)
            assert sim.run(lambda ue=ue: names(ue) == ["applied"]), (number, size)
            assert server.n_requests == 1, (number, size)
