"""Which requests an intermediary takes, and when it says that a UE is to come again."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import Message, encode, insert, uint_bytes
from msgin5g.coap.numbers import CON, FETCH, GET, MAX_AGE, POST, URI_QUERY
from msgin5g.coap.ticks import add
from msgin5g.relay import Relay
from msgin5g.scm.request import ScmRequest
from builders import SERVER, relay_settings, ue_address

START = 0x3FFFFFFF - 5000  # the clock wraps meanwhile
UE = ue_address(2)
UE_ID = b"urn:x-msgin5g:ue:Abc"
RECIPIENT = b"coap://scm.example"


def new(ue_id=UE_ID, **settings):
    relay = Relay(relay_settings(**settings), xorshift(5), SERVER, START)
    assert relay.link_up(ue_id, 0, UE)
    return relay


def get(mid=1, ue_id=UE_ID, more=(), code=GET, recipient=RECIPIENT, mtype=CON):
    options = ScmRequest("msgin5g", [ue_id], recipient).options()
    for number, value in more:
        insert(options, number, value)
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, mtype, code, mid, b"t%d" % mid, options)])


def said(relay, datagram, remote=UE, now=START):
    """The Messages that a datagram leads to, as (Message, remote)."""
    relay.receive(0, datagram, remote, now)
    out = []
    while True:
        item = relay.transmit(now)
        if item is None:
            return out
        out.append((Message(32).decode(bytes(item[1])), item[2]))


def test_the_scheme_of_ones_own_ue_uri_may_be_spelled_in_any_case_and_the_rest_may_not():
    for spelled, passes in (
        (UE_ID, True),
        (b"URN:x-msgin5g:ue:Abc", True),
        (b"Urn:x-msgin5g:ue:Abc", True),
        (b"urn:x-msgin5g:ue:abc", False),
        (b"urn:X-msgin5g:ue:Abc", False),
        (b"xurn:x-msgin5g:ue:Abc", False),
        (b"urn:x-msgin5g:ue:Abcd", False),
        (b"=urn:x-msgin5g:ue:Abc", False),
        (b"rn:x-msgin5g:ue:Abc", False),
        (b"", False),
    ):
        relay = new()
        out = said(relay, get(ue_id=spelled))
        assert [remote for _, remote in out] == passes * [SERVER], spelled
        assert relay.counters == ({} if passes else {"wrong_ue_uri": 1}), spelled


def test_a_uri_with_a_host_may_be_spelled_in_any_case_up_to_its_path():
    ue_id = b"sip:// Host/Path".replace(b" ", b"")
    for spelled, passes in ((b"SIP://hOST/Path", True), (b"sip://Host/path", False)):
        relay = new(ue_id)
        assert [remote for _, remote in said(relay, get(ue_id=spelled))] == passes * [SERVER]


def test_each_unsafe_option_that_is_understood_passes_and_each_other_one_is_named():
    understood = {3: b"h", 6: b"\1", 7: b"\1", 11: b"p", 14: b"\1", 15: b"a=b", 23: b"\6",
                  27: b"\6", 258: b"", 65019: b""}  # fmt: skip
    for number in list(range(1, 45)) + [258, 259, 262, 2050, 65019]:
        relay = new(recipient_option=65019)
        options = ScmRequest("msgin5g", [UE_ID], RECIPIENT, 65019).options()
        if number == 65019:
            more = []
        else:
            more = [(number, understood.get(number, b"v"))]
        for one in more:
            insert(options, *one)
        buf = bytearray(1152)
        out = said(relay, bytes(buf[: encode(buf, CON, GET, 1, b"t", options)]))
        ((message, remote),) = out
        if number & 2 and number not in understood:
            assert (message.code, remote) == (0xA5 if number in (35, 39) else 0x82, UE), number
        else:
            assert (message.code, remote) == (GET, SERVER), number


def test_each_unsafe_option_of_a_response_that_is_not_understood_makes_it_a_5_02():
    understood = (3, 6, 7, 11, 14, 15, 23, 27, 258)
    for number in list(range(1, 45)) + [258, 259, 262, 2050]:
        relay = new()
        ((request, _),) = said(relay, get())
        options = [(65020, UE_ID)]
        insert(options, number, b"\1")
        buf = bytearray(200)
        size = encode(buf, 2, 69, request.mid, request.token(), options, b"body")
        ((message, remote),) = said(relay, bytes(buf[:size]), SERVER)
        passes = not number & 2 or number in understood
        assert (message.code, remote) == (69 if passes else 0xA2, UE), number
        assert relay.counters == ({} if passes else {"option_not_relayed": 1}), number


def test_a_protected_request_is_a_post_or_fetch_with_the_option():
    for code, option, passes in (
        (POST, True, True),
        (FETCH, True, True),
        (GET, True, True),
        (3, True, False),
        (6, True, False),
        (POST, False, False),
        (FETCH, False, False),
    ):
        relay = new()
        ((message, remote),) = said(relay, get(1, UE_ID, [(9, b"")] if option else [], code))
        case = (code, option)
        assert (message.code, remote) == ((code, SERVER) if passes else (0x85, UE)), case
        assert relay.counters == ({} if passes else {"not_get": 1}), case


def test_whose_a_protected_request_is_cannot_be_seen_but_a_get_with_the_option_names_one():
    for code, ids, passes in (
        (POST, (), True),
        (POST, (b"urn:other",), False),
        (GET, (), False),
        (GET, (UE_ID, UE_ID), False),
    ):
        relay = new()
        options = ScmRequest("msgin5g", list(ids), RECIPIENT).options()
        insert(options, 9, b"")
        buf = bytearray(1152)
        out = said(relay, bytes(buf[: encode(buf, CON, code, 1, b"t", options)]))
        assert [remote for _, remote in out] == passes * [SERVER], (code, ids)


def full(**settings):
    """A relay that has no room for another request, with a second and third linked UE."""
    relay = new(max_flows=1, **settings)
    for n in (2, 3):
        assert relay.link_up(b"urn:x:%d" % n, 0, ue_address(10 + n))
    assert [remote for _, remote in said(relay, get())] == [SERVER]
    return relay


def retry_s(relay, n, mid, now):
    """The Max-Age of the 5.03 that UE n gets."""
    address = ue_address(10 + n)
    out = said(relay, get(mid, b"urn:x:%d" % n), address, now)
    (message,) = [message for message, remote in out if remote == address]
    assert message.code == 0xA3
    return message.uint(MAX_AGE)


def test_the_time_to_retry_is_one_second_at_least_and_is_rounded_up():
    for max_rate, ages in ((1, [1, 2]), (20, [1, 2]), (1000, [1, 2])):
        relay = full(max_rate=max_rate)
        assert [retry_s(relay, n, 1, START) for n in (2, 3)] == ages
        assert relay.counters == {"busy": 2}


def test_a_ue_that_asks_too_early_keeps_its_time_and_one_that_asks_at_it_gets_another():
    relay = full(max_rate=1)
    assert [retry_s(relay, n, 1, START) for n in (2, 3)] == [1, 2]
    for mid, ms, n, age in ((2, 999, 2, 1), (3, 1000, 3, 1), (4, 1000, 2, 2), (5, 1000, 3, 1)):
        assert retry_s(relay, n, mid, add(START, ms)) == age, (mid, ms)


def test_after_the_clock_has_wrapped_a_time_to_retry_is_short_again():
    relay = full(max_rate=1)
    assert retry_s(relay, 2, 1, START) == 1
    for mid, ms in ((2, 1 << 29), (3, (1 << 29) + 40000), (4, (1 << 30) - 100000)):
        assert retry_s(relay, 2, mid, add(add(START, ms // 2), ms - ms // 2)) == 1, ms


def test_the_answer_of_a_strict_relay_without_room_leaves_nothing_behind():
    relay = full(strict_codes=True)
    for mid in range(40):
        datagram = get(mid, b"urn:x:2")
        assert said(relay, datagram, ue_address(12)) == [], mid
    assert relay.counters == {"busy": 40} and relay.endpoint.n_incoming == 1


def test_requests_that_got_5_04_late_make_room_for_those_that_come():
    relay = new(max_flows=1)
    now = START
    for mid in range(30):
        assert [remote for _, remote in said(relay, get(mid), UE, now)] == [SERVER], mid
        for _ in range(95):
            now = add(now, 1000)
            relay.step(now)
            while relay.transmit(now):
                pass
    assert relay.counters == {"server_timeout": 30}
    # A late copy of one that has got its 5.04 is no other request.
    assert said(relay, get(29), UE, now)[0][1] == UE and relay.counters["duplicate"] == 1


def core(more=(), code=GET, path=(b".well-known", b"core")):
    options = [(11, segment) for segment in path]
    for number, value in more:
        insert(options, number, value)
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, CON, code, 9, b"c", options)])


def test_its_own_page_is_at_one_path_for_get_in_one_format():
    relay = new()
    for datagram, code in (
        (core(), 0x45),
        (core([(17, b"\x28")]), 0x45),
        (core([(17, b"\x29")]), 0x86),
        (core([(17, b"")]), 0x86),
        (core([(3, b"h"), (7, b"\1"), (URI_QUERY, b"rt=x")]), 0x45),
        (core([(1, b"")]), 0x82),
        (core([(5, b"")]), 0x82),
        (core([(9, b"")]), 0x82),
        (core([(19, b"")]), 0x82),
        (core([(27, b"")]), 0x82),
    ):
        out = said(new(), datagram)
        assert [m.code for m, _ in out] == [code], (datagram, code)
    for datagram in (
        core(code=POST),
        core(path=(b".well-known",)),
        core(path=(b".well-known", b"core", b"x")),
        core(path=(b"core",)),
        core(path=()),
    ):
        relay = new()
        assert said(relay, datagram) == [] and relay.counters == {"missing_recipient": 1}
    ((page, _),) = said(new(), core())
    assert page.payload() == b"</.well-known/core>;ct=40" and page.uint(12) == 40
    assert page.find(23) == -1 and page.token() == b"c" and uint_bytes(40) == page.option(12)
