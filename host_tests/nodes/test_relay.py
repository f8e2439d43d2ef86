"""The relay, TS 24.538 6.2.2.1: what it passes, what it discards, and its silence then."""

from msgin5g_testkit.checks import no_alloc, unhex, xorshift
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET, NON, RST
from msgin5g.relay import Relay
from msgin5g.scm.client import problem_of
from msgin5g.scm.request import ScmRequest
from builders import (
    OTHER_ID,
    SERVER,
    UE_ID,
    relay_settings,
    ue_address,
)
from datagrams import packet, taken

UE = ue_address(2)
OTHER = ue_address(3)
STRANGER = ue_address(9)


def new(**settings):
    relay = Relay(relay_settings(**settings), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    return relay


def get(ue_id=UE_ID, recipient=b"coap://scm.example", code=GET, mtype=CON, mid=7, token=b"toke",
        more=(), ue_ids=None):  # fmt: skip
    ids = [ue_id.encode()] if ue_ids is None else ue_ids
    resource = ScmRequest("msgin5g", ids, recipient)
    options = resource.options()
    for number, value in more:
        i = 0
        while i < len(options) and options[i][0] <= number:
            i += 1
        options.insert(i, (number, value))
    return packet(mtype, code, mid, token, options)


def forwarded(relay, datagram=None, now=0):
    relay.receive(0, datagram or get(), UE, now)
    ((message, remote),) = taken(relay, now)
    assert remote == SERVER
    return message


def response(request, code=CONTENT, recipient=UE_ID, mtype=ACK, token=None, mid=None, more=()):
    options = list(more)
    if recipient:
        options.append((65020, recipient.encode()))
    return packet(
        mtype,
        code,
        request.mid if mid is None else mid,
        request.token() if token is None else token,
        options,
        b"body",
    )


def test_options_and_payload_pass_untouched_under_new_message_id_and_token():
    relay = new()
    up = Message(32).decode(get())
    request = forwarded(relay)
    assert bytes(request.tail()) == bytes(up.tail())
    assert (request.mtype, request.code) == (CON, GET)
    assert request.token() != up.token() and len(request.token()) == 4
    down = response(request)
    relay.receive(0, down, SERVER, 20)
    ((message, remote),) = taken(relay, 20)
    assert remote == UE
    assert (message.mtype, message.mid, message.token()) == (ACK, 7, b"toke")
    assert bytes(message.tail()) == bytes(Message(32).decode(down).tail())
    assert relay.counters == {}


def test_what_may_not_go_up_is_discarded_under_its_own_name():
    cases = (
        (get(), STRANGER, "not_linked"),
        (get(), ("192.168.4.2", 5683), "not_linked"),
        (get(recipient=b"coap://other.example"), UE, "foreign_recipient"),
        (get(recipient=UE_ID.encode()), UE, "foreign_recipient"),
        (get(recipient=None), UE, "missing_recipient"),
        (get(OTHER_ID), UE, "wrong_ue_uri"),
        (get(ue_ids=[UE_ID.encode(), OTHER_ID.encode()]), UE, "wrong_ue_uri"),
        (get(ue_ids=[]), UE, "wrong_ue_uri"),
        (get(ue_ids=[b"x" + UE_ID.encode()]), UE, "wrong_ue_uri"),
    )
    for datagram, remote, counter in cases:
        relay = new()
        for n in (1, 2):
            relay.receive(0, datagram, remote, 0)
            assert relay.counters == {counter: n}, (counter, relay.counters)
            assert taken(relay) == [] and relay.wait_ms(0) is None, counter


def test_what_may_not_come_down_is_discarded_under_its_own_name():
    cases = (
        ({"recipient": "urn:x-msgin5g:ue:9999"}, SERVER, "recipient_not_linked"),
        ({"recipient": None}, SERVER, "missing_recipient"),
        ({"recipient": OTHER_ID}, SERVER, "recipient_mismatch"),
        ({"token": b"evil"}, SERVER, "unmatched_response"),
        ({"token": b"evil", "recipient": "urn:x:9"}, SERVER, "recipient_not_linked"),
        ({"mid": 1}, SERVER, "unmatched_response"),
        ({}, ("192.0.2.1", 65401), "wrong_source"),
        ({}, STRANGER, "wrong_source"),
    )
    for mtype in (ACK, CON, NON):
        for fields, remote, counter in cases:
            if "mid" in fields and mtype != ACK:
                continue
            relay = new()
            relay.link_up(OTHER_ID.encode(), 0, OTHER)
            request = forwarded(relay)
            for n in (1, 2):
                relay.receive(0, response(request, mtype=mtype, **fields), remote, 5)
                assert relay.counters == {counter: n}, (counter, relay.counters)
                # RFC 7252 section 4.2: what nobody waits for is rejected, if it is confirmable;
                # what the rules of the Recipient discard is not.
                resets = []
                if mtype == CON and counter in ("unmatched_response", "wrong_source"):
                    resets = [(RST, request.mid, remote)]
                assert [(m.mtype, m.mid, to) for m, to in taken(relay, 5)] == resets, counter
            # The flow is still there for the true answer.
            relay.receive(0, response(request), SERVER, 6)
            assert len(taken(relay, 6)) == 1


def test_a_recipient_of_a_wrong_length_is_none_and_of_two_the_first_counts():
    # RFC 7252 sections 5.4.3 and 5.4.5.
    for value in (b"", 256 * b"x"):
        relay = new()
        relay.receive(0, get(recipient=None, more=[(65020, value)]), UE, 0)
        assert relay.counters == {"missing_recipient": 1} and taken(relay) == []
        request = forwarded(relay, get(mid=8))
        more = [(65020, value)]
        relay.receive(0, response(request, recipient=None, more=more), SERVER, 5)
        assert relay.counters == {"missing_recipient": 2} and taken(relay, 5) == []
    relay = new()
    request = forwarded(relay, get(more=[(65020, b"coap://other.example")]))
    relay.receive(
        0,
        get(recipient=b"coap://other.example", mid=8, more=[(65020, b"coap://scm.example")]),
        UE,
        5,
    )
    assert relay.counters == {"foreign_recipient": 1} and taken(relay, 5) == []


def test_any_number_of_unknown_elective_options_passes_and_an_unsafe_one_among_them_does_not():
    # RFC 7252 sections 5.4.1 and 5.7.1.
    many = [(3000 + 4 * i, b"") for i in range(100)]
    relay = new()
    request = forwarded(relay, get(more=many))
    assert bytes(request.tail()) == bytes(Message(200).decode(get(more=many)).tail())
    relay.receive(0, response(request, more=many), SERVER, 5)
    ((answer, remote),) = taken(relay, 5)
    assert answer.code == CONTENT and remote == UE and bytes(answer.tail())[-5:] == b"\xffbody"
    unsafe = sorted(many + [(3002, b"")])
    relay.receive(0, get(mid=8, more=unsafe), UE, 10)
    assert taken(relay, 10)[0][0].code == 0x82
    request = forwarded(relay, get(mid=9), 20)
    relay.receive(0, response(request, more=unsafe), SERVER, 25)
    assert taken(relay, 25)[0][0].code == 0xA2


def test_a_ue_cannot_reset_the_request_of_another_with_the_address_of_the_server():
    relay = new()
    relay.link_up(OTHER_ID.encode(), 0, OTHER)
    # One UE sees the message IDs of the relay's messages to it: here that of a response of 4.05.
    relay.receive(0, get(code=2, mtype=NON), UE, 0)
    ((seen, _),) = taken(relay)
    relay.receive(0, get(OTHER_ID, mid=8), OTHER, 0)
    ((request, _),) = taken(relay)
    for ahead in range(-3, 4):
        mid = (seen.mid + ahead) & 0xFFFF
        relay.receive(0, packet(RST, 0, mid, b"", ()), SERVER, 5)
    assert taken(relay, 5) == [] and relay.counters["unmatched_empty"] == 7
    relay.receive(0, response(request, recipient=OTHER_ID), SERVER, 6)
    ((answer, remote),) = taken(relay, 6)
    assert (answer.code, remote) == (CONTENT, OTHER)


def test_a_confirmable_answer_that_nobody_waits_for_gets_a_reset_at_once():
    relay = new()
    for text in ("44450602 6e6f7065 ff 62", "44830603 6e6f7065"):  # 4.03 without Observe, too
        relay.receive(0, unhex(text), SERVER, 5)
        ((reset, remote),) = taken(relay, 5)
        assert (reset.mtype, reset.view[2:4], remote) == (RST, unhex(text)[2:4], SERVER)


def test_the_same_message_id_with_another_token_is_another_request():
    # A UE without entropy that was restarted: its message IDs begin where they began before.
    relay = new()
    first = forwarded(relay)
    relay.receive(0, response(first), SERVER, 5)
    taken(relay, 5)
    second = forwarded(relay, get(token=b"anew"), 10)
    relay.receive(0, response(second), SERVER, 15)
    ((answer, _),) = taken(relay, 15)
    assert (answer.mtype, answer.mid, answer.token()) == (ACK, 7, b"anew")
    # Both are known: a repetition of either gets the response of its own.
    for token in (b"toke", b"anew"):
        relay.receive(0, get(token=token), UE, 20)
        ((answer, _),) = taken(relay, 20)
        assert answer.token() == token and relay.counters["duplicate"]


def test_after_link_down_nothing_reaches_the_ue():
    relay = new()
    request = forwarded(relay)
    relay.link_down(UE_ID.encode())
    relay.receive(0, response(request), SERVER, 5)
    assert relay.counters == {"recipient_not_linked": 1}
    relay.receive(0, get(mid=8), UE, 6)
    relay.receive(0, get(), UE, 6)
    assert relay.counters == {"recipient_not_linked": 1, "not_linked": 2}
    assert taken(relay, 6) == [] and relay.wait_ms(6) is None


def test_link_down_stops_an_answer_that_is_being_repeated():
    relay = new()
    request = forwarded(relay)
    relay.step(1000)
    taken(relay, 1000)  # the empty acknowledgement
    relay.receive(0, response(request), SERVER, 1500)
    assert len(taken(relay, 1500)) == 1
    relay.link_down(UE_ID.encode())
    assert relay.wait_ms(1500) is None and taken(relay, 9000) == []


def test_other_codes_pass_unless_the_relay_is_strict():
    for code in (0x43, 0x80, 0x81, 0x86, 0x9D, 0xA0, 0xA3):
        relay = new()
        request = forwarded(relay)
        relay.receive(0, response(request, code), SERVER, 5)
        ((message, _),) = taken(relay, 5)
        assert message.code == code
        relay = new(strict_codes=True)
        request = forwarded(relay)
        relay.receive(0, response(request, code), SERVER, 5)
        assert relay.counters == {"code_not_relayed": 1} and taken(relay, 5) == []
    for code in (0x45, 0x83, 0x84):
        relay = new(strict_codes=True)
        request = forwarded(relay)
        relay.receive(0, response(request, code), SERVER, 5)
        assert len(taken(relay, 5)) == 1


def test_a_strict_relay_says_nothing_of_its_own_and_takes_the_next_copy_for_new():
    relay = new(strict_codes=True, max_flows=1)
    relay.link_up(OTHER_ID.encode(), 0, OTHER)
    request = forwarded(relay)
    for _ in range(3):
        relay.receive(0, get(OTHER_ID), OTHER, 0)
    assert taken(relay) == [] and relay.counters == {"busy": 3}
    relay.receive(0, response(request), SERVER, 5)
    taken(relay, 5)
    relay.receive(0, get(OTHER_ID), OTHER, 6)
    assert [remote for _, remote in taken(relay, 6)] == [SERVER]


def test_the_name_of_the_server_may_be_spelled_in_another_way():
    relay = new()
    assert forwarded(relay, get(recipient=b"COAP://SCM.Example")).uint(17) == 65001


def test_a_recipient_option_with_an_unsafe_number_passes_all_the_same():
    for number in (65020, 65022, 65019):
        relay = new(recipient_option=number)
        options = [(15, b"ue-uri=" + UE_ID.encode()), (number, b"coap://scm.example")]
        request = forwarded(relay, packet(CON, GET, 7, b"toke", options))
        answer = packet(ACK, CONTENT, request.mid, request.token(), [(number, UE_ID.encode())])
        relay.receive(0, answer, SERVER, 5)
        ((message, remote),) = taken(relay, 5)
        assert (message.code, remote, relay.counters) == (CONTENT, UE, {}), number


def test_equal_message_ids_and_tokens_of_two_ues_are_kept_apart():
    relay = new()
    relay.link_up(OTHER_ID.encode(), 0, OTHER)
    relay.receive(0, get(), UE, 0)
    relay.receive(0, get(OTHER_ID), OTHER, 0)
    (one, _), (two, _) = taken(relay)
    assert one.token() != two.token() and one.mid != two.mid
    relay.receive(0, response(two, recipient=OTHER_ID), SERVER, 5)
    relay.receive(0, response(one), SERVER, 6)
    answers = taken(relay, 6)
    assert [remote for _, remote in answers] == [OTHER, UE]
    assert [message.option(65020) for message, _ in answers] == [OTHER_ID.encode(), UE_ID.encode()]


def test_a_duplicate_request_goes_up_once():
    relay = new()
    forwarded(relay)
    relay.receive(0, get(), UE, 100)
    assert taken(relay, 100) == [] and relay.counters == {"duplicate": 1}


def test_a_slow_server_gets_an_acknowledgement_sent_and_a_separate_response_later():
    relay = new()
    request = forwarded(relay)
    assert relay.wait_ms(0) == 1000 and relay.wait_ms(1500) == 0
    relay.step(1000)
    ((ack, remote),) = taken(relay, 1000)
    assert (ack.mtype, ack.code, ack.mid, remote) == (ACK, 0, 7, UE)
    relay.receive(0, response(request), SERVER, 1800)
    ((message, remote),) = taken(relay, 1800)
    assert (message.mtype, message.token(), remote) == (CON, b"toke", UE)
    relay.step(5000)
    assert len(taken(relay, 5000)) == 1  # not acknowledged by the UE: again


def test_a_non_confirmable_request_stays_one():
    relay = new()
    request = forwarded(relay, get(mtype=NON))
    assert request.mtype == NON
    relay.receive(0, response(request, mtype=NON, mid=99), SERVER, 5)
    ((message, _),) = taken(relay, 5)
    assert (message.mtype, message.token()) == (NON, b"toke")


def test_other_methods_and_options_are_refused_with_a_reason():
    cases = (
        (get(code=2), 0x85, {"not_get": 1}, None),
        (get(more=[(35, b"coap://x")]), 0xA5, {}, 35),
        (get(more=[(39, b"coap")]), 0xA5, {}, 39),
        (get(more=[(2050, b"x")]), 0x82, {}, 2050),
        (get(more=[(16, b"\x01")]), 0xA8, {}, None),
        (get(more=[(16, b"")]), 0x80, {}, None),
        (get(more=[(16, b"\x00\x05")]), 0x80, {}, None),
    )
    for datagram, code, counters, option in cases:
        relay = new()
        relay.receive(0, datagram, UE, 0)
        ((message, remote),) = taken(relay)
        assert (message.code, remote) == (code, UE)
        assert message.option(65020) == UE_ID.encode() and message.uint(12) == 257
        assert problem_of(message.payload())[0]
        assert relay.counters == counters and not relay.flows(), (code, relay.counters)
        if option:
            assert bytes((0x27,)) + _cbor_uint(option) in message.payload()


def _cbor_uint(number):
    from msgin5g.cbor.encoder import dumps

    return dumps(number)


def test_safe_unknown_options_pass_and_the_hop_limit_falls():
    relay = new()
    request = forwarded(relay, get(more=[(16, b"\x05"), (65000, b"safe"), (65001, b"critical")]))
    assert request.option(16) == b"\x04"
    assert request.option(65000) == b"safe" and request.option(65001) == b"critical"


def test_a_full_relay_says_busy_with_a_time_for_everybody():
    relay = new(max_flows=2, max_rate=10)
    ages = []
    for n in range(6):
        ue_id = "urn:x:ue:" + str(n)
        relay.link_up(ue_id.encode(), 0, ue_address(20 + n))
        relay.receive(0, get(ue_id), ue_address(20 + n), 0)
        for message, remote in taken(relay):
            if remote != SERVER:
                assert message.code == 0xA3 and message.option(65020) == ue_id.encode()
                ages.append(message.uint(14))
    assert len(ages) == 4 and relay.counters == {"busy": 4}
    assert ages[0] >= 1 and ages == sorted(ages)


def test_a_ue_that_asks_and_asks_leaves_room_for_others():
    relay = new(max_flows=16, max_rate=100)
    other = "urn:x:ue:other"
    relay.link_up(other.encode(), 0, ue_address(30))
    for mid in range(20):  # as one with No-Response does, which the server never answers
        relay.receive(0, get(mid=mid, token=b"tok" + bytes([mid])), UE, 0)
    codes = [message.code for message, remote in taken(relay) if remote == UE]
    assert codes == [0xA3] * 16 and relay.counters == {"busy": 16}
    relay.receive(0, get(other), ue_address(30), 0)
    ((request, remote),) = [m for m in taken(relay) if m[0].code == GET]
    assert remote == SERVER and request.option(15) == b"ue-uri=" + other.encode()
    # What it has got an answer for gives it room again.
    relay.receive(0, response(request, CONTENT, other), SERVER, 1)
    assert relay.links.of_ue(other.encode()).n_requests == 0
    relay.link_down(UE_ID.encode())
    assert not relay.flows()


def test_a_ue_that_observes_anew_at_each_of_its_starts_is_not_kept_out():
    relay = new(max_flows=16, max_rate=100)
    transport = relay.links.of_ue(UE_ID.encode())
    for mid in range(10):
        relay.receive(0, get(mid=mid, token=b"tok" + bytes([mid]), more=[(6, b"")]), UE, mid)
        ((request, _),) = taken(relay, mid)
        relay.receive(0, response(request, more=[(6, b"\x01")]), SERVER, mid)
        ((answer, _),) = taken(relay, mid)
        assert answer.code == CONTENT and transport.n_requests == 0, mid
    assert relay.counters == {} and relay.n_observing == 1
    relay.link_down(UE_ID.encode())
    assert transport.n_requests == 0 and not relay.flows()


def test_the_server_is_asked_at_most_at_the_configured_rate():
    relay = new(max_flows=20, max_rate=10)
    asked_at = []
    for now in range(0, 10000, 50):
        relay.step(now)
        relay.receive(0, get(mid=now, token=b"abcd"), UE, now)
        for message, remote in taken(relay, now):
            if remote == SERVER:
                asked_at.append(now)
                relay.receive(0, response(message), SERVER, now)
        taken(relay, now)
    assert len(asked_at) >= 99
    for i in range(len(asked_at) - 10):
        assert asked_at[i + 10] - asked_at[i] >= 1000, i


def test_a_server_that_is_gone_is_reported_once_and_forgotten():
    relay = new()
    forwarded(relay)
    out = []
    now = 0
    while relay.wait_ms(now) is not None:
        now += max(relay.wait_ms(now), 1)
        relay.step(now)
        out.extend(taken(relay, now))
    assert now == 93000
    assert relay.counters == {"server_timeout": 1}
    late = [message for message, remote in out if remote == UE]
    assert [(m.mtype, m.code) for m in late] == [(ACK, 0), (NON, 0xA4)]
    assert late[1].option(65020) == UE_ID.encode()


def test_discovery_is_answered_for_linked_peers():
    relay = new()
    core = packet(CON, GET, 5, b"d", [(11, b".well-known"), (11, b"core")])
    relay.receive(0, core, UE, 0)
    ((message, _),) = taken(relay)
    assert message.code == CONTENT and message.uint(12) == 40
    relay.receive(0, core, STRANGER, 0)
    assert taken(relay) == []


def test_the_link_table_is_bounded_and_one_address_is_one_ue():
    relay = new(max_links=2)
    assert not relay.link_up(OTHER_ID.encode(), 0, UE)
    assert relay.link_up(OTHER_ID.encode(), 0, OTHER)
    assert not relay.link_up(b"urn:x:3", 0, STRANGER)
    assert relay.link_up(UE_ID.encode(), 0, STRANGER)  # it has moved
    relay.receive(0, get(), UE, 0)
    assert relay.counters == {"not_linked": 1}
    relay.receive(0, get(), STRANGER, 0)
    assert len(taken(relay)) == 1


def test_an_idle_relay_allocates_nothing():
    relay = new()
    request = forwarded(relay)
    relay.receive(0, response(request), SERVER, 5)
    taken(relay, 5)
    relay.step(6)
    now = 5000

    def idle():
        relay.step(now)
        relay.transmit(now)
        relay.wait_ms(now)
        relay.poll()

    no_alloc(idle)
