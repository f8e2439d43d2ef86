"""The relay answers: No-Response, long tokens, critical options, its own page; and its turns."""

from msgin5g_testkit.checks import xorshift
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import insert
from msgin5g.coap.numbers import ACCEPT, ACK, BLOCK2, CON, CONTENT, GET, NO_RESPONSE, NON
from msgin5g.coap.ticks import add
from msgin5g.relay import Relay
from msgin5g.scm.request import ScmRequest
from builders import SERVER, UE_ID, relay_settings, ue_address
from datagrams import packet, taken

UE = ue_address(2)


def new(**settings):
    relay = Relay(relay_settings(**settings), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    return relay


def get(mtype=CON, mid=7, token=b"toke", more=(), ue_id=UE_ID):
    options = ScmRequest("msgin5g", [ue_id.encode()], b"coap://scm.example").options()
    for number, value in more:
        insert(options, number, value)
    return packet(mtype, GET, mid, token, options)


def core(more=(), mtype=CON, mid=9, token=b"c"):
    options = [(11, b".well-known"), (11, b"core")]
    for number, value in more:
        insert(options, number, value)
    return packet(mtype, GET, mid, token, options)


def asked(relay, datagram, now=0):
    """The one request that goes up for a datagram."""
    relay.receive(0, datagram, UE, now)
    ((message, remote),) = taken(relay, now)
    assert remote == SERVER
    return message


def response(request, code=CONTENT, ue_id=UE_ID):
    options = [(65020, ue_id.encode())]
    return packet(ACK, code, request.mid, request.token(), options, b"body")


def test_no_response_suppresses_the_classes_it_names_and_no_others():
    # (value of the option, codes that are sent, codes that are not)
    cases = (
        (b"", (0x45, 0x84, 0xA0), ()),
        (b"\x02", (0x84, 0xA0), (0x45, 0x43)),
        (b"\x08", (0x45, 0xA0), (0x80, 0x84)),
        (b"\x10", (0x45, 0x84), (0xA0, 0xA3)),
        (b"\x1a", (), (0x45, 0x84, 0xA4)),
        (b"\x05", (0x45, 0x84, 0xA0), ()),
    )
    for value, some, none in cases:
        for code in some + none:
            for mtype in (CON, NON):
                relay = new()
                request = asked(relay, get(mtype, more=[(NO_RESPONSE, value)]))
                assert request.option(NO_RESPONSE) == value
                relay.receive(0, response(request, code), SERVER, 5)
                answers = [m for m, remote in taken(relay, 5) if remote == UE]
                case = (value, code, mtype)
                if code in some:
                    assert [m.code for m in answers] == [code], case
                elif mtype == CON:
                    assert [(m.mtype, m.code, m.mid) for m in answers] == [(ACK, 0, 7)], case
                    relay.receive(0, get(more=[(NO_RESPONSE, value)]), UE, 6)
                    assert [m.code for m, _ in taken(relay, 6)] == [0]  # repeated, like any reply
                else:
                    assert answers == [], case
                assert not relay.flows()


def test_no_response_holds_for_what_the_relay_says_itself_and_for_its_timeout():
    relay = new()
    relay.receive(0, get(more=[(NO_RESPONSE, b"\x08"), (2050, b"x")]), UE, 0)
    assert [m.code for m, _ in taken(relay)] == [0]
    relay.receive(0, core(more=[(NO_RESPONSE, b"\x02")]), UE, 0)
    assert [m.code for m, _ in taken(relay)] == [0]
    for value, codes in ((b"\x02", [0]), (b"", [0, 0xA4])):
        relay = new()
        asked(relay, get(more=[(NO_RESPONSE, value)]))
        said = []
        now = 0
        while relay.wait_ms(now) is not None:
            now += max(relay.wait_ms(now), 1)
            relay.step(now)
            said += [m.code for m, remote in taken(relay, now) if remote == UE]
        assert now == 93000 and said == codes, value


def test_a_request_that_the_server_did_not_answer_and_that_wants_no_answer_can_be_repeated():
    relay = new()
    again = get(more=[(NO_RESPONSE, b"\x1a")])
    for start in (0, 100000):
        asked(relay, again, start)
        relay.step(start + 93000)
        taken(relay, start + 93000)
        assert not relay.flows() and relay.endpoint.n_incoming == 0


def test_tokens_of_any_length_come_back_as_they_were():
    for size in (0, 1, 8, 9, 12, 13, 268, 269, 300, 700):
        token = bytes(n & 255 for n in range(size))
        relay = new()
        request = asked(relay, get(token=token))
        assert len(request.token()) == 4
        relay.receive(0, response(request), SERVER, 5)
        ((answer, _),) = taken(relay, 5)
        assert answer.token() == token and answer.payload() == b"body"
        # Separately, refused, and for its own page.
        request = asked(relay, get(token=token, mid=8), 10)
        relay.step(1010)
        taken(relay, 1010)
        relay.receive(0, response(request), SERVER, 2000)
        ((answer, _),) = taken(relay, 2000)
        assert (answer.mtype, answer.token()) == (CON, token)
        relay.receive(0, get(token=token, mid=9, more=[(35, b"coap://x")]), UE, 2100)
        relay.receive(0, core(token=token, mid=10), UE, 2100)
        assert [(m.code, m.token()) for m, _ in taken(relay, 2100)] == [
            (0xA5, token),
            (CONTENT, token),
        ]


def test_what_does_not_fit_beside_a_long_token_is_a_5_02():
    relay = new()
    request = asked(relay, get(token=900 * b"t"))
    options = [(65020, UE_ID.encode())]
    payload = 300 * b"x"
    relay.receive(
        0, packet(ACK, CONTENT, request.mid, request.token(), options, payload), SERVER, 5
    )
    ((answer, _),) = taken(relay, 5)
    assert (answer.code, answer.token()) == (0xA2, 900 * b"t")
    assert answer.option(65020) == UE_ID.encode() and answer.uint(12) == 257
    assert relay.counters == {"too_large": 1} and not relay.flows()
    request = asked(relay, get(mid=8, token=1020 * b"t"))
    relay.receive(
        0, packet(ACK, CONTENT, request.mid, request.token(), options, payload), SERVER, 6
    )
    assert [m.code for m, _ in taken(relay, 6)] == [0xA2] and not relay.flows()


def test_a_separate_response_that_cannot_be_forwarded_is_acknowledged_and_so_is_its_repeat():
    for more, payload, counter in (
        ([], 300 * b"x", "too_large"),
        ([(65006, b"x")], b"x", "option_not_relayed"),  # unsafe, and not understood
    ):
        relay = new()
        request = asked(relay, get(token=900 * b"t"))
        relay.receive(0, packet(ACK, 0, request.mid, b"", []), SERVER, 5)
        options = sorted(more + [(65020, UE_ID.encode())])
        for now, codes in ((10, [0xA2]), (20, [])):
            down = packet(CON, CONTENT, 0x1234, request.token(), options, payload)
            relay.receive(0, down, SERVER, now)
            sent = taken(relay, now)
            to_server = [(m.mtype, m.code, m.mid) for m, remote in sent if remote == SERVER]
            assert to_server == [(ACK, 0, 0x1234)], (counter, now)
            assert [m.code for m, remote in sent if remote == UE] == codes, (counter, now)
        assert relay.counters == {counter: 1, "duplicate": 1} and not relay.flows()


def test_exactly_1152_bytes_pass_and_1153_become_a_5_02_with_a_long_token():
    recipient = [(65020, UE_ID.encode())]
    rest = len(packet(ACK, CONTENT, 0, b"", recipient)) - 4 + 1  # options and payload marker
    # An extended token length takes one byte, or two (RFC 8974 section 2.1).
    for size, head in ((5, 4), (8, 4), (12, 4), (13, 5), (100, 5), (268, 5), (269, 6), (700, 6)):
        token = bytes(n & 255 for n in range(size))
        for at_once in (True, False):
            for mtype in (CON, NON):
                for total, code in ((1152, CONTENT), (1153, 0xA2)):
                    relay = new()
                    request = asked(relay, get(mtype, token=token))
                    now = 5 if at_once else 1500
                    relay.step(now)
                    taken(relay, now)
                    payload = bytes(total - head - size - rest)
                    down = packet(
                        ACK if mtype == CON else NON,
                        CONTENT,
                        request.mid if mtype == CON else 99,
                        request.token(),
                        recipient,
                        payload,
                    )
                    assert len(down) <= 1152
                    relay.receive(0, down, SERVER, now)
                    ((answer, remote),) = taken(relay, now)
                    case = (size, at_once, mtype, total)
                    assert remote == UE and answer.code == code, case
                    assert answer.token() == token and not relay.flows(), case
                    if code == CONTENT:
                        assert answer.size == 1152 and answer.payload() == payload, case
                        assert relay.counters == {}, case
                    else:
                        assert relay.counters == {"too_large": 1}, case


def test_observe_in_an_answer_to_a_plain_get_is_a_plain_answer():
    relay = new()
    request = asked(relay, get())
    options = [(6, b"\x05"), (65020, UE_ID.encode())]
    relay.receive(
        0, packet(ACK, CONTENT, request.mid, request.token(), options, b"body"), SERVER, 5
    )
    ((answer, _),) = taken(relay, 5)
    assert (answer.code, answer.payload()) == (CONTENT, b"body")
    assert not relay.flows() and relay.n_observing == 0 and relay.wait_ms(5) is None
    # What follows with its token is nobody's, which a Reset says (RFC 7641 section 3.6).
    options[0] = (6, b"\x06")
    relay.receive(0, packet(CON, CONTENT, 0x1267, request.token(), options), SERVER, 10)
    ((reset, remote),) = taken(relay, 10)
    assert (reset.mtype, reset.code, reset.mid, remote) == (3, 0, 0x1267, SERVER)


def test_its_own_page_knows_few_options_and_names_the_first_that_it_does_not():
    def answer(more):
        relay = new()
        relay.receive(0, core(more), UE, 0)
        ((message, _),) = taken(relay)
        return message

    fine = (
        [],
        [(15, b"rt=x")],
        [(3, b"relay.example")],
        [(7, b"\xff\x79")],
        [(ACCEPT, b"\x28")],
        [(BLOCK2, b"\x06")],
        [(BLOCK2, b"\x01")],
        [(BLOCK2, b"\x0e")],
        [(65000, b"elective")],
        [(60, b""), (NO_RESPONSE, b"")],
    )
    for more in fine:
        message = answer(more)
        assert message.code == CONTENT and message.uint(12) == 40, more
        assert message.payload() == b"</.well-known/core>;ct=40"
    critical = ([(1, b"x")], [(5, b"")], [(9, b"x")], [(BLOCK2, bytes(4))], [(27, b"")],
                [(35, b"coap://x")], [(65001, b"x")], [(0xFFFF, b"")])  # fmt: skip
    for more in critical:
        message = answer(more)
        assert message.code == 0x82 and message.uint(12) == 257, more
        assert b"\x27" + dumps(more[0][0]) in message.payload(), more
        assert message.option(65020) == UE_ID.encode()
    assert answer([(ACCEPT, b"\x3c")]).code == 0x86


def test_critical_options_that_are_safe_pass_and_unsafe_ones_are_named():
    for number in (65001, 65005, 1, 5, 9, 17):
        request = asked(new(), get(more=[(number, b"x")] if number != 17 else []))
        assert number in list(request.numbers), number
    for number in (65003, 19, 31, 2, 65006, 65535):
        relay = new()
        relay.receive(0, get(more=[(number, b"x")]), UE, 0)
        ((message, remote),) = taken(relay)
        assert (message.code, remote) == (0x82, UE), number
        assert b"\x27" + dumps(number) in message.payload()


# Its turns


def rush(by_wait, start):
    """(ms, datagram) of all that a relay sends while UEs ask too often and the server is slow."""
    relay = Relay(relay_settings(max_rate=4, max_flows=9), xorshift(5), SERVER, start)
    coming = []
    for n in range(20):
        ue_id = "urn:x:ue:" + str(n)
        relay.link_up(ue_id.encode(), 0, ue_address(20 + n))
        mtype = NON if n % 5 == 4 else CON
        coming.append((37 * n, get(mtype, 100 + n, ue_id=ue_id), ue_address(20 + n)))
    sent = []
    ms = 0
    n_asked = 0
    while ms < 130000:
        now = add(start, ms)
        for item in [c for c in coming if c[0] == ms]:
            coming.remove(item)
            relay.receive(0, item[1], item[2], now)
        relay.step(now)
        for message, remote in taken(relay, now):
            sent.append((ms, remote, message.mtype, message.code, message.mid))
            if remote == SERVER and message.code == GET:
                n_asked += 1
                if n_asked % 3:
                    i = message.find(15)
                    ue_id = message.value(i)[7:].decode()
                    coming.append(
                        (ms + 400 * (n_asked % 7), response(message, 0x45, ue_id), SERVER)
                    )
        if by_wait:
            wait_ms = relay.wait_ms(now)
            assert wait_ms != 0, ms
            at = [c[0] for c in coming] + [130000 if wait_ms is None else ms + wait_ms]
            ms = max(min(at), ms + 1)
        else:
            ms += 1
    return sent


def test_looked_at_only_when_it_wants_to_be_the_relay_sends_the_same_at_the_same_moments():
    for start in (0, 0x3FFFFFFF - 2000):
        each = rush(False, start)
        assert len(each) > 50
        assert rush(True, start) == each


def test_requests_wait_for_their_turn_first_come_first_served_and_some_are_turned_away():
    sent = rush(True, 0)
    first = {}
    for ms, remote, mtype, code, mid in sent:
        if remote == SERVER and code == GET and mid not in first:
            first[mid] = ms
    at = sorted(first.values())
    assert all(at[i + 4] - at[i] >= 1000 for i in range(len(at) - 4))
    assert at[:8] == [0, 37, 74, 111, 1000, 1037, 1074, 1111]
    busy = [ms for ms, _, _, code, _ in sent if code == 0xA3]
    # Four a second are asked at once and four are held; the others come again.
    assert len(busy) >= 20 - 8 - 1 and len(first) + len(busy) == 20


def test_a_held_request_dies_with_its_link():
    relay = new(max_rate=1)
    relay.link_up(b"urn:x:2", 0, ue_address(3))
    asked(relay, get())
    relay.receive(0, get(ue_id="urn:x:2"), ue_address(3), 10)
    assert taken(relay, 10) == [] and relay.wait_ms(10) == 990
    relay.link_down(b"urn:x:2")
    relay.step(1010)
    assert [remote for _, remote in taken(relay, 1010)] == [UE]  # an acknowledgement
    assert relay.held_back == []


def test_a_recipient_has_at_most_255_bytes():
    for size in (254, 255, 256):
        server = "coap://" + "s" * (size - 7)
        relay = new(server_recipient=server)
        options = ScmRequest("msgin5g", [UE_ID.encode()], server.encode()).options()
        relay.receive(0, packet(CON, GET, 7, b"toke", options), UE, 0)
        out = taken(relay)
        assert [remote for _, remote in out] == ([SERVER] if size < 256 else []), size
