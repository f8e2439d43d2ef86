"""What a UE makes of one answer: format, size, parts, long texts, and events that nobody polls."""

from builders import DATA, RELAY, UE_ID, FakeConfiguration, document, drain, names, ue_settings
from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, encode, uint_bytes
from msgin5g.coap.numbers import (
    ACK,
    BLOCK2,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    FORBIDDEN,
    OBSERVE,
    RST,
)
from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import Store
from msgin5g.scm.client import problem_of
from msgin5g.ue import ConstrainedUe

BODY = dumps([document(UE_ID, DATA)])
VALID = 0x43


def alone(configuration=None, **settings):
    """A UE and its first request."""
    configuration = configuration or FakeConfiguration()
    ue = ConstrainedUe(ue_settings(**settings), xorshift(3), configuration, RELAY, 0)
    return ue, asked(ue, 0)


def asked(ue, now):
    ue.step(now)
    _, datagram, _ = ue.transmit(now)
    return Message(32).decode(bytes(datagram))


def answer(request, more=(), payload=BODY, code=CONTENT, mtype=ACK, mid=None):
    options = list(more) + [(65020, UE_ID.encode())]
    buf = bytearray(1152)
    mid = request.mid if mid is None else mid
    return bytes(buf[: encode(buf, mtype, code, mid, request.token(), options, payload)])


def test_a_2_05_in_text_plain_is_refused():
    for number in (0, 40, 50, 257, 65000, 65535):  # text/plain, link-format, JSON, ...
        ue, request = alone()
        ue.receive(0, answer(request, [(CONTENT_FORMAT, uint_bytes(number))]), RELAY, 5)
        events = drain(ue)
        assert [e["event"] for e in events] == ["refused", "backing_off"], number
        assert events[0]["reasons"] == ["Content-Format " + str(number)]
        assert ue.configuration.n_applied == 0 and ue.client.etag is None
    for number in (60, 65001):
        ue, request = alone()
        ue.receive(0, answer(request, [(CONTENT_FORMAT, uint_bytes(number))]), RELAY, 5)
        assert names(ue) == ["applied"], number


def test_an_answer_has_room_for_32_options_that_the_ue_knows():
    for n_etags, expected, counters in (
        (31, ["applied"], {}),
        (32, [], {"missing_recipient": 1}),  # which is the 33rd
    ):
        ue, request = alone()
        ue.receive(0, answer(request, [(ETAG, b"e")] * n_etags), RELAY, 5)
        assert (names(ue), ue.counters) == (expected, counters), n_etags


def test_bytes_after_the_documents_are_refused():
    one = BODY[1:]  # without the head of the array
    for body, reasons in (
        (one, None),
        (BODY, None),
        (b"\x9f" + one + b"\xff", None),
        (one + b"\x00", ["bytes after the documents"]),
        (BODY + b"\x00", ["bytes after the documents"]),
        (BODY + BODY, ["bytes after the documents"]),
        (b"\x9f" + one + b"\xff\xff", ["bytes after the documents"]),
    ):
        ue, request = alone()
        ue.receive(0, answer(request, payload=body), RELAY, 5)
        event = drain(ue)[0]
        assert (event["event"], event.get("reasons")) == (
            "refused" if reasons else "applied",
            reasons,
        ), body


def test_a_common_part_does_not_replace_the_on_network_one_before_or_after_it():
    def part(kind, user):
        return {"configType": kind, "configData": DATA.replace("user-7", user)}

    on_network, common, other = (
        part("ON_NETWORK", "mine"),
        part("COMMON", "everybody's"),
        part("OFF_NETWORK", "the other one's"),
    )
    for parts, user in (
        ([on_network, common], "mine"),
        ([common, on_network], "mine"),
        ([common, on_network, common], "mine"),
        ([other, on_network, common, other], "mine"),
        ([on_network], "mine"),
        ([common], "everybody's"),
        ([other, common, other], "everybody's"),
    ):
        manager = ConfigurationManager(Store(MemoryFlash()), Schema())
        ue, request = alone(manager)
        body = dumps([document(UE_ID, DATA, ueConfigs=parts)])
        ue.receive(0, answer(request, payload=body), RELAY, 5)
        assert names(ue)[0] == "applied", parts
        assert manager.configuration["MSGin5G-UE-Service-id"] == user + "@example.com", parts


def test_a_document_just_over_the_limit_that_comes_whole_in_one_block_is_refused():
    size = len(BODY)
    for more in ((), [(BLOCK2, b"\x06")]):  # without Block2, and with it: number 0, the last one
        ue, request = alone(max_document_size=size - 1)
        ue.receive(0, answer(request, more), RELAY, 5)
        events = drain(ue)
        assert events[0]["event"] == "refused", more
        limit = "too large: %d bytes, the limit is %d" % (size, size - 1)
        assert events[0]["reasons"] == [limit]
        assert ue.configuration.n_applied == 0
        ue, request = alone(max_document_size=size)
        ue.receive(0, answer(request, more), RELAY, 5)
        assert names(ue) == ["applied"], more


def test_a_title_and_a_detail_cannot_drive_a_terminal():
    hostile = "\x1b]0;X\x07\x1b[2J Forbidden\napplied configuration={...}"
    shown = "\\u001b]0;X\\u0007\\u001b[2J Forbidden\\u000aapplied configuration={...}"
    ue, request = alone()
    problem = dumps({-1: hostile, -2: "\u202e" + hostile})
    ue.receive(0, answer(request, (), problem, 0x84), RELAY, 5)
    event = ue.poll()
    assert event["event"] == "rejected" and event["title"] == shown
    assert event["detail"] == "\\u202e" + shown


def test_a_long_title_or_detail_is_cut():
    for size, kept in ((199, 199), (200, 200), (201, 200), (900, 200)):
        for key in (-1, -2):
            problem = {-1: "title", -2: "detail"}
            problem[key] = size * "x"
            ue, request = alone()
            ue.receive(0, answer(request, (), dumps(problem), FORBIDDEN), RELAY, 5)
            event = ue.poll()
            assert event["event"] == "rejected" and event["code"] == "4.03"
            shown = {-1: event["title"], -2: event["detail"]}
            problem[key] = kept * "x"
            assert shown == problem, (size, key)


def test_a_long_title_in_letters_of_several_bytes_is_cut_between_two_of_them():
    for n_before in range(4):
        for letter in ("\u00e4", "\u4e2d", "\U0001f600"):
            text = n_before * "x" + 300 * letter
            title, detail = problem_of(dumps({-1: text, -2: "detail"}))
            assert detail == "detail" and title, (n_before, letter)
            assert text.startswith(title) and 196 < len(title.encode()) <= 200, title
    # What is not UTF-8 at all is not shown.
    assert problem_of(b"\xa1\x20\x63a\xffb") == (None, None)


def test_events_that_nobody_polls_are_16_and_the_oldest_is_dropped_and_counted():
    ue, request = alone()
    ue.receive(0, answer(request, [(ETAG, b"e")]), RELAY, 0)
    now = 0
    for n in range(15):
        now += 60000
        request = asked(ue, now)
        ue.receive(0, answer(request, [(ETAG, b"e")], b"", VALID), RELAY, now)
    assert ue.counters == {} and len(ue.events) == 16
    request = asked(ue, now + 60000)
    ue.receive(0, answer(request, (), b"\xa0"), RELAY, now + 60000)
    # 18 by now: a refusal, and the back-off that follows.
    assert ue.counters == {"events_lost": 2}
    assert names(ue) == ["unchanged"] * 14 + ["refused", "backing_off"]
    assert ue.counters == {"events_lost": 2}


def test_the_17th_event_that_nobody_polls_drops_the_first_one_only():
    ue, request = alone()
    ue.receive(0, answer(request, [(ETAG, b"e")]), RELAY, 0)
    for n in range(1, 17):
        request = asked(ue, n * 60000)
        ue.receive(0, answer(request, [(ETAG, b"e")], b"", VALID), RELAY, n * 60000)
    assert ue.counters == {"events_lost": 1}
    assert names(ue) == ["unchanged"] * 16  # "applied" was the oldest


def test_observe_in_an_answer_to_a_plain_get_is_a_plain_answer():
    ue, request = alone()
    assert request.find(OBSERVE) < 0
    ue.receive(0, answer(request, [(OBSERVE, b"\x05")]), RELAY, 5)
    assert names(ue) == ["applied"] and not ue.client.observing
    assert ue.transmit(5) is None
    # So what comes later with its token is nobody's, which a Reset says (RFC 7641 section 3.6).
    newer = dumps([document(UE_ID, DATA.replace("user-7", "newer"))])
    late = answer(request, [(OBSERVE, b"\x06")], newer, mtype=CON, mid=0x1267)
    ue.receive(0, late, RELAY, 10)
    assert bytes(ue.transmit(10)[1]) == bytes((0x40 | RST << 4, 0, 0x12, 0x67))
    assert ue.poll() is None and ue.configuration.n_applied == 1
    assert asked(ue, 60000).find(OBSERVE) < 0  # and it asks again at the end of Max-Age
