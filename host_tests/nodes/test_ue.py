"""The constrained UE, TS 24.538 6.2.2.2: what it asks, what it takes, what it makes of it."""

from msgin5g_testkit.checks import no_alloc, unhex, xorshift
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import (
    ACK,
    BAD_REQUEST,
    CON,
    CONTENT,
    FORBIDDEN,
    GATEWAY_TIMEOUT,
    NON,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
)
from msgin5g.intermediary.numbers import BAD_OPTION, NOT_ACCEPTABLE
from msgin5g.ue import ConstrainedUe
import ue_alone
from builders import (
    DATA,
    OTHER_ID,
    RELAY,
    UE_ID,
    document,
    FakeConfiguration,
    drain,
    names,
    ue_settings,
)

_INTERNAL_SERVER_ERROR = 0xA0  # no firmware sends it


def alone(now=0, **settings):
    """A UE whose first request has been taken from it: (ue, request)."""
    ue = ConstrainedUe(ue_settings(**settings), xorshift(3), FakeConfiguration(), RELAY, now)
    ue.step(now)
    _, datagram, remote = ue.transmit(now)
    assert remote == RELAY
    return ue, Message(32).decode(bytes(datagram))


def answer(request, mtype=ACK, code=CONTENT, recipient=UE_ID, token=None, mid=None, payload=None):
    buf = bytearray(1152)
    options = [(12, b"\xfd\xe9")]
    if code != CONTENT:
        options = []
    if recipient:
        options.append((65020, recipient.encode()))
    if payload is None:
        payload = dumps([document(UE_ID, DATA)])
    n = encode(
        buf,
        mtype,
        code,
        request.mid if mid is None else mid,
        request.token() if token is None else token,
        options,
        payload,
    )
    return bytes(buf[:n])


def rejected(code, title=None, detail=None):
    return {"event": "rejected", "code": code, "title": title, "detail": detail}


def test_the_bytes_of_the_request():
    _ue, request = alone(
        ue_id="urn:x:ue:0007",
        server_recipient="coap://cms.example",
        content_format=65080,
    )
    assert request.mtype == CON and len(request.token()) == 4
    # Everything after the token of the 104 bytes of the request in unit/test_message.py.
    assert bytes(request.tail()) == unhex(
        "b5 73752d7563 02 7631 0c 76616c2d7365727669636573 07 6d7367696e3567"
        "0d04 75652d636f6e66696775726174696f6e73 4d07 75652d7572693d75726e3a783a75653a30303037"
        "22 fe38 edfcde05 636f61703a2f2f636d732e6578616d706c65"
    )
    assert request.size == 104


def test_vendor_type_and_serial_number_are_asked_for_when_they_are_set():
    _, request = alone(ue_vendor="acme", ue_type="35123456", ue_snr="42")
    queries = [request.value(i) for i in range(request.n_options) if request.numbers[i] == 15]
    assert queries == [b"ue-uri=" + UE_ID.encode(), b"ue-vendor=acme", b"ue-type=35123456",
                       b"ue-snr=42"]  # fmt: skip


def test_a_ue_applies_the_document_for_its_type_and_observes_it_without_queries():
    for ranges, settings in (
        ([{"tac": "35123456"}], {}),
        ([{"tac": "35123456", "snrs": ["000042"]}], {"ue_snr": "42"}),
        ([{"tac": "35123456", "snrRange": {"low": "1", "high": "99"}}], {"ue_snr": "42"}),
    ):
        ue, request = alone(ue_vendor="acme", ue_type="35123456", observe=True, **settings)
        body = dumps([document("", DATA, "type", valUeIds={"imeiRanges": ranges})])
        ue.receive(0, answer(request, payload=body), RELAY, 5)
        assert ue.poll()["event"] == "applied", ranges
        ue.step(5)
        request = Message(32).decode(bytes(ue.transmit(5)[1]))
        options = [(request.numbers[i], request.value(i)) for i in range(request.n_options)]
        assert [o for o in options if o[0] in (6, 11, 15)][-2:] == [
            (11, b"type"),
            (15, b"ue-uri=" + UE_ID.encode()),
        ]
        assert request.uint(6) == 0


def test_what_a_ue_cannot_process_gets_a_reset_at_once():
    # RFC 7252 section 4.2: a response with an unknown token, and a request: a UE serves nothing.
    for text, counter in (
        ("44450602 6e6f7065 ff 62", "unmatched_response"),
        ("44830602 6e6f7065", "unmatched_response"),  # the last notification: without Observe
        ("41010603 71 b178", "request_to_ue"),
    ):
        ue, _ = alone()
        ue.client.require_recipient = False
        ue.receive(0, unhex(text), RELAY, 5)
        assert ue.transmit(5) == (0, b"\x70\0" + unhex(text)[2:4], RELAY), text
        assert ue.transmit(5) is None and ue.counters == {counter: 1}
        # A non-confirmable one is ignored.
        ue.receive(0, bytes((unhex(text)[0] | 0x10,)) + unhex(text)[1:], RELAY, 6)
        assert ue.transmit(6) is None and ue.counters == {counter: 2}


def test_what_is_not_for_this_ue_has_no_effect_but_a_count():
    ue, request = alone()
    cases = (
        (answer(request, recipient=OTHER_ID), RELAY, "foreign_recipient"),
        (answer(request, NON, recipient=OTHER_ID), RELAY, "foreign_recipient"),
        (answer(request, CON, recipient=OTHER_ID), RELAY, "foreign_recipient"),
        (answer(request, code=FORBIDDEN, recipient=OTHER_ID), RELAY, "foreign_recipient"),
        (answer(request, recipient=None), RELAY, "missing_recipient"),
        (answer(request, CON, recipient=None), RELAY, "missing_recipient"),
        (answer(request, token=b"evil"), RELAY, "unmatched_response"),
        (answer(request, CON, token=b""), RELAY, "unmatched_response"),
        (answer(request, mid=request.mid ^ 1), RELAY, "unmatched_response"),
        (answer(request), ("192.168.4.1", 5683), "wrong_source"),
        (answer(request), ("192.168.4.9", 65401), "wrong_source"),
    )
    for datagram, remote, counter in cases:
        before = ue.counters.get(counter, 0)
        wait_ms = ue.wait_ms(5)
        ue.receive(0, datagram, remote, 5)
        assert ue.counters.get(counter) == before + 1, counter
        # RFC 7252 section 4.2: only what is not for this UE is dropped without a word.
        if datagram[0] >> 4 == 4 and counter == "unmatched_response":
            assert ue.transmit(5) == (0, b"\x70\0" + datagram[2:4], RELAY)
        assert ue.transmit(5) is None and ue.poll() is None, counter
        assert ue.wait_ms(5) == wait_ms, counter
    ue.receive(0, answer(request), RELAY, 10)
    assert names(ue) == ["applied"]
    ue.receive(0, answer(request, NON, mid=4711), RELAY, 11)  # a second answer
    assert ue.counters["unmatched_response"] == 4
    assert ue.poll() is None and ue.transmit(11) is None and ue.configuration.n_applied == 1


def test_without_a_relay_in_between_the_recipient_may_be_missing():
    ue, request = alone(require_recipient=False)
    ue.receive(0, answer(request, recipient=None), RELAY, 5)
    assert names(ue) == ["applied"]
    ue, request = alone(require_recipient=False)
    ue.receive(0, answer(request, recipient=OTHER_ID), RELAY, 5)
    assert names(ue) == []


def test_the_case_of_scheme_and_host_does_not_matter():
    ue, request = alone()
    ue.receive(0, answer(request, recipient="URN:x-msgin5g:ue:0007"), RELAY, 5)
    assert names(ue) == ["applied"]


def test_every_answer_has_its_outcome():
    from msgin5g.cbor.encoder import dumps

    problem = dumps({-1: "Forbidden", -2: "not this one", -4: 131})
    cases = (
        (FORBIDDEN, problem, rejected("4.03", "Forbidden", "not this one")),
        (NOT_FOUND, b"", rejected("4.04")),
        (BAD_REQUEST, b"\xff\xff", rejected("4.00")),
        (UNAUTHORIZED, b"", rejected("4.01")),
        (BAD_OPTION, b"", rejected("4.02")),
        (NOT_ACCEPTABLE, b"", rejected("4.06")),
        (TOO_MANY_REQUESTS, b"", rejected("4.29")),
        (_INTERNAL_SERVER_ERROR, b"", rejected("5.00")),
        (SERVICE_UNAVAILABLE, b"", rejected("5.03")),
        (GATEWAY_TIMEOUT, b"", {"event": "timeout"}),
        (0x44, b"", rejected("2.04")),
        (CONTENT, dumps([]), {"event": "refused", "reasons": ["the array of documents is empty"]}),
        (CONTENT, dumps([document(OTHER_ID, DATA)]),
         {"event": "refused", "reasons": ["no document is for this UE"]}),
        (CONTENT, b"not CBOR",
         {"event": "refused", "reasons": ["body is not CBOR: no map"]}),
        (CONTENT, b"", {"event": "refused", "reasons": ["body is not CBOR: cut off"]}),
    )  # fmt: skip
    for code, payload, event in cases:
        ue, request = alone()
        ue.receive(0, answer(request, code=code, payload=payload), RELAY, 5)
        events = drain(ue)
        assert events[0] == event, (code, events)
        assert events[1]["event"] == "backing_off"
        assert ue.configuration.n_applied == 0
        assert ue.wait_ms(6) > 1000


def test_a_document_that_the_store_refuses_is_reported_with_its_reasons():
    ue, request = alone()
    ue.configuration.reasons = ["Segment-size: must be a whole number"]
    ue.receive(0, answer(request), RELAY, 5)
    event = ue.poll()
    assert event["event"] == "refused"
    assert event["reasons"] == ["Segment-size: must be a whole number"]


def test_a_document_for_this_ue_is_found_among_others():
    from msgin5g.cbor.encoder import dumps

    mine = DATA.replace("user-7", "mine")
    docs = [
        document(OTHER_ID, DATA),
        {"valServiceDomain": "x", "ueConfigs": [{"configType": "ON_NETWORK", "configData": DATA}]},
        document(UE_ID, mine, extra=[1, {"deep": None}], UeConfigDocId="other-spelling"),
    ]
    docs[2].pop("ueConfigDocId")
    docs[2]["ueConfigs"].insert(0, {"configType": "COMMON", "configData": "{}"})
    docs[2]["ueConfigs"].append({"configType": "LATER", "configData": 5 * "x"})
    ue, request = alone()
    ue.receive(0, answer(request, payload=dumps(docs)), RELAY, 5)
    assert names(ue) == ["applied"]
    assert ue.configuration.data == mine.encode() + b"{}"
    assert ue.client.document_id == b"other-spelling"


def test_keys_of_the_common_part_reach_the_application_behind_those_of_on_network():
    from msgin5g.cbor.encoder import dumps
    from manager_board import Board

    on_network = {"configType": "ON_NETWORK", "configData": DATA}
    common = {"configType": "COMMON", "configData": '{"blink-ms": 250, "Segment-size": 512}'}
    later = {"configType": "LATER", "configData": '{"blink-ms": 1}'}
    rival = {
        "configType": "COMMON",
        "configData": DATA.replace("user-7", "rival")[:-1] + ',"a":1}',
    }
    for parts, more in (
        ([on_network, common, later], {"blink-ms": 250, "Segment-size": 512}),
        ([later, common, on_network], {"blink-ms": 250, "Segment-size": 512}),
        ([rival, on_network], {"a": 1}),  # never two values: that of ON_NETWORK counts
        ([on_network, rival], {"a": 1}),
        ([on_network], {}),
        # More parts of one type: the first of them has the say, and none is dropped.
        ([common, rival, on_network, rival], {"blink-ms": 250, "Segment-size": 512, "a": 1}),
    ):
        board = Board(trial_ms=0)
        ue = ConstrainedUe(ue_settings(), xorshift(3), board.manager, RELAY, board.now)
        ue.step(board.now)
        request = Message(32).decode(bytes(ue.transmit(board.now)[1]))
        payload = dumps([document(UE_ID, DATA, ueConfigs=parts)])
        ue.receive(0, answer(request, payload=payload), RELAY, board.now)
        assert names(ue) == ["applied"]
        expected = {
            "MSGin5G-Server-address": "coap://msgin5g.example:5683",
            "MSGin5G-UE-Service-id": "user-7@example.com",
        }
        expected.update(more)
        assert board.manager.configuration == expected, parts
        board.reset()
        assert board.manager.configuration == expected, parts


def test_only_a_404_with_the_ues_own_recipient_removes_the_configuration():
    from manager_board import Board

    board = Board("one", on_deleted="remove")
    ue = ConstrainedUe(ue_settings(), xorshift(3), board.manager, RELAY, board.now)
    ue.step(board.now)
    request = Message(32).decode(bytes(ue.transmit(board.now)[1]))
    for recipient in (None, OTHER_ID):
        datagram = answer(request, code=NOT_FOUND, recipient=recipient, payload=b"")
        ue.receive(0, datagram, RELAY, board.now)
        assert names(ue) == [] and board.runs() == "one"
    own = answer(request, code=NOT_FOUND, payload=b"")
    ue.receive(0, own, ("192.168.4.9", 65401), board.now)
    assert names(ue) == [] and board.runs() == "one"
    ue.receive(0, own, RELAY, board.now)
    assert names(ue) == ["rejected", "removed", "backing_off"] and board.runs() is None


def test_other_errors_than_404_remove_nothing():
    from manager_board import Board

    for code in (FORBIDDEN, BAD_REQUEST, UNAUTHORIZED, SERVICE_UNAVAILABLE, GATEWAY_TIMEOUT):
        board = Board("one", on_deleted="remove")
        ue = ConstrainedUe(ue_settings(), xorshift(3), board.manager, RELAY, board.now)
        ue.step(board.now)
        request = Message(32).decode(bytes(ue.transmit(board.now)[1]))
        ue.receive(0, answer(request, code=code, payload=b""), RELAY, board.now)
        assert "removed" not in names(ue) and board.runs() == "one", code


def test_a_reset_of_the_request_is_a_rejection():
    ue, request = alone()
    ue.receive(0, bytes((0x70, 0, request.mid >> 8, request.mid & 255)), RELAY, 5)
    assert drain(ue)[0]["title"] == "Reset by the peer"


def test_unknown_elective_options_are_ignored_however_many_they_are():
    # RFC 7252 section 5.4.1. The Recipient comes after all of them.
    ue, request = alone()
    buf = bytearray(1152)
    options = [(12, b"\xfd\xe9")] + [(60000 + 2 * i, b"v") for i in range(100)]
    options.append((65020, UE_ID.encode()))
    payload = dumps([document(UE_ID, DATA)])
    n = encode(buf, CON, CONTENT, 0x0602, request.token(), options, payload)
    ue.receive(0, bytes(buf[:n]), RELAY, 5)
    assert names(ue) == ["applied"] and ue.counters == {}


def test_a_document_with_two_equal_keys_is_refused():
    # RFC 8949 section 5.6: not the last one, and not the first.
    ue, request = alone()
    good = dumps([document(UE_ID, DATA)])
    assert good[1] >> 5 == 5
    payload = good[:1] + bytes((good[1] + 2,)) + good[2:] + b"\x61z\1\x61z\2"
    ue.receive(0, answer(request, payload=payload), RELAY, 5)
    event = drain(ue)[0]
    assert event["event"] == "refused" and "a key that comes twice" in event["reasons"][0]


def test_a_critical_option_that_cannot_be_processed_ends_the_request_and_is_rejected():
    # RFC 7252 section 5.4.1: one that is not known, is of a wrong length, or is there twice.
    for options in (
        [(65001, b"x")],
        [(9, b"")],
        [(23, bytes(5))],
        [(23, b"\6"), (23, b"\6")],
    ):
        for mtype in (CON, NON, ACK):
            ue, request = alone()
            buf = bytearray(200)
            every = sorted(options + [(65020, UE_ID.encode())])
            mid = request.mid if mtype == ACK else 0x0604
            n = encode(buf, mtype, CONTENT, mid, request.token(), every, b"\x80")
            ue.receive(0, bytes(buf[:n]), RELAY, 5)
            # Section 4.2: a Reset, and only for what is confirmable. Nothing is repeated.
            if mtype == CON:
                assert ue.transmit(5) == (0, b"\x70\0\x06\x04", RELAY)
            assert ue.transmit(5) is None and ue.transmit(4000) is None
            assert ue.counters == {"critical_option": 1}
            refused, backing_off = drain(ue)
            assert refused["event"] == "refused" and str(options[0][0]) in refused["reasons"][0]
            assert backing_off["event"] == "backing_off"
            # For another UE it is dropped without a word.
            ue, request = alone()
            every = sorted(options + [(65020, OTHER_ID.encode())])
            n = encode(buf, mtype, CONTENT, request.mid, request.token(), every, b"\x80")
            ue.receive(0, bytes(buf[:n]), RELAY, 5)
            assert ue.transmit(5) is None and ue.counters == {"foreign_recipient": 1}


def test_a_configured_ue_that_waits_allocates_nothing():
    ue, request = alone()
    ue.receive(0, answer(request), RELAY, 5)
    drain(ue)
    ue.step(6)
    now = 5000

    def idle():
        ue.step(now)
        ue.transmit(now)
        ue.wait_ms(now)
        ue.poll()

    no_alloc(idle)
    assert ue.wait_ms(now) > 40000


def test_what_waited_is_asked_for_again_only_when_it_was_refused_for_want_of_something():
    for event, try_again, asks in (
        (("refused", ("storage: full",)), True, True),
        (("refused", ("a rule",)), False, False),
        (("confirmed", ()), True, False),
    ):
        ue = ue_alone.alone(start_delay_s=3600)
        before = ue.own_wait_ms(0)
        events = [event]
        ue.configuration.try_again = try_again
        ue.configuration.step = lambda now, events=events: events.pop() if events else None
        ue.step(0)
        assert ue.poll()["event"] == event[0]
        after = ue.own_wait_ms(0)
        assert before > 20_000 and (after < 20_000) == asks, (event, after)
