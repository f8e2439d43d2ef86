"""The rules of block-wise transfer, RFC 7959: one UE, and answers that keep or break them."""

from msgin5g_testkit.checks import xorshift
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, encode, uint_bytes
from msgin5g.coap.numbers import (
    ACK,
    BLOCK2,
    CONTENT,
    ETAG,
    GATEWAY_TIMEOUT,
    SERVICE_UNAVAILABLE,
    SIZE2,
    TOO_MANY_REQUESTS,
)
from msgin5g.ue import ConstrainedUe
from builders import RELAY, UE_ID, FakeConfiguration, document, drain, names, ue_settings

TEXT = "".join(["%08d" % n for n in range(80)])
BODY = dumps([document(UE_ID, TEXT)])


def alone(size=64, limit=8192):
    settings = ue_settings(block_size=size, max_document_size=limit)
    ue = ConstrainedUe(settings, xorshift(3), FakeConfiguration(), RELAY, 0)
    return ue, asked(ue)


def asked(ue, now=0):
    ue.step(now)
    _, datagram, _ = ue.transmit(now)
    return Message(32).decode(bytes(datagram))


def block(request, number, more, szx=2, payload=None, etag=b"e", size2=None):
    options = [] if etag is None else [(ETAG, etag)]
    options.append((12, b"\xfd\xe9"))
    if number is not None:
        options.append((BLOCK2, uint_bytes(number << 4 | more << 3 | szx)))
    if size2 is not None:
        options.append((SIZE2, uint_bytes(size2)))
    options.append((65020, UE_ID.encode()))
    if payload is None:
        payload = bytes(16 << szx)
    buf = bytearray(1152)
    token = request.token()
    return bytes(buf[: encode(buf, ACK, CONTENT, request.mid, token, options, payload)])


def reasons(ue):
    events = drain(ue)
    assert [e["event"] for e in events] == ["refused", "backing_off"], events
    return events[0]["reasons"][0]


def test_what_breaks_the_rules_is_refused_and_named():
    first = {"number": 0, "more": 1}
    cases = (
        ([{"number": 1, "more": 1}], "wrong block"),  # it was not asked for
        ([first, {"number": 2, "more": 1}], "wrong block"),  # one is missing
        ([first, {"number": 0, "more": 1}], "wrong block"),  # again
        ([first, {"number": 9, "more": 0}], "wrong block"),  # past the end
        ([{"number": 0, "more": 1, "szx": 3}], "block size"),  # larger than asked
        ([first, {"number": 1, "more": 1, "szx": 3}], "block size"),
        ([{"number": 0, "more": 1, "szx": 7, "payload": bytes(64)}], "block size"),  # reserved
        ([{"number": 0, "more": 1, "payload": bytes(63)}], "block size"),
        ([{"number": 0, "more": 1, "payload": bytes(65)}], "block size"),
        ([{"number": 0, "more": 0, "payload": bytes(65)}], "block size"),
        ([first, {"number": 1, "more": 1, "payload": b""}], "block size"),
        ([{"number": 0, "more": 1, "size2": 8193}], "too large: 8193 bytes, the limit is 8192"),
        ([{"number": 0, "more": 1, "size2": 0xFFFFFFFF}], "too large: 4294967295 bytes"),
        ([{"number": None, "more": 0, "payload": bytes(1024)}], "body is not CBOR: no map"),
    )
    for answers, reason in cases:
        ue, request = alone()
        for fields in answers:
            ue.receive(0, block(request, **fields), RELAY, 5)
            if fields is not answers[-1]:
                request = asked(ue, 5)
        assert reasons(ue).startswith(reason), (answers, reason)
        assert not ue.client.busy and ue.configuration.n_applied == 0


def test_a_body_that_outgrows_the_limit_unannounced_is_refused_there():
    for size2 in (None, 10):
        ue, request = alone(64, 200)
        for number in range(3):
            ue.receive(0, block(request, number, 1, size2=size2), RELAY, 5)
            request = asked(ue, 5)
        ue.receive(0, block(request, 3, 1), RELAY, 5)
        assert reasons(ue) == "too large: 256 bytes, the limit is 200"


def test_busy_in_the_midst_of_a_transfer_is_a_pause_that_is_kept_and_bounded():
    ue, request = alone()
    ue.receive(0, block(request, 0, 1), RELAY, 0)
    now = 0
    for code, max_age_s in (
        (SERVICE_UNAVAILABLE, 7),
        (TOO_MANY_REQUESTS, 3),
        (GATEWAY_TIMEOUT, None),
        (SERVICE_UNAVAILABLE, 1),
        (SERVICE_UNAVAILABLE, 9),
    ):
        request = asked(ue, now)
        assert request.uint(BLOCK2) == 1 << 4 | 2
        options = [] if max_age_s is None else [(14, uint_bytes(max_age_s))]
        options.append((65020, UE_ID.encode()))
        buf = bytearray(99)
        size = encode(buf, ACK, code, request.mid, request.token(), options)
        ue.receive(0, bytes(buf[:size]), RELAY, now)
        if (code, max_age_s) != (SERVICE_UNAVAILABLE, 9):
            assert ue.poll() is None
            assert ue.wait_ms(now) >= 1000 * (max_age_s or 2)
            now += ue.wait_ms(now)
    events = drain(ue)
    assert [e["event"] for e in events] == ["rejected", "backing_off"]
    assert events[1]["seconds"] >= 9
    now += ue.wait_ms(now)
    assert asked(ue, now).uint(BLOCK2) == 2  # from the beginning


def in_blocks():
    for number in range(-(-len(BODY) // 64)):
        yield number, (number + 1) * 64 < len(BODY), BODY[number * 64 : (number + 1) * 64]


def test_the_server_may_go_down_in_size_at_any_block():
    ue, request = alone(256)
    at = 0
    for szx in (4, 3, 3, 1, 0):
        ue.receive(
            0, block(request, at >> (szx + 4), 1, szx, BODY[at : at + (16 << szx)]), RELAY, 5
        )
        at += 16 << szx
        request = asked(ue, 5)
        assert request.uint(BLOCK2) == at >> (szx + 4) << 4 | szx
    while at < len(BODY):
        more = at + 16 < len(BODY)
        ue.receive(0, block(request, at >> 4, more, 0, BODY[at : at + 16]), RELAY, 5)
        at += 16
        request = asked(ue, 5) if more else None
    assert names(ue) == ["applied"]
    assert ue.configuration.data == TEXT.encode()


def test_size2_is_an_estimate_and_the_etag_may_be_missing():
    for size2 in (None, 1, len(BODY) - 1, len(BODY), len(BODY) + 100):
        for etag in (b"e", None):
            ue, request = alone()
            for number, more, part in in_blocks():
                ue.receive(0, block(request, number, more, 2, part, etag, size2), RELAY, 5)
                request = asked(ue, 5) if more else None
            assert names(ue) == ["applied"], (size2, etag)


def test_a_block_that_comes_twice_is_taken_once():
    ue, request = alone()
    for number, more, part in in_blocks():
        answer = block(request, number, more, 2, part)
        ue.receive(0, answer, RELAY, 5)
        request = asked(ue, 5) if more else None
        ue.receive(0, answer, RELAY, 6)
    assert names(ue) == ["applied"]
    assert ue.counters == {"unmatched_response": len(BODY) // 64 + 1}
