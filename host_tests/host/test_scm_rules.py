"""The rules of the configuration management server, each at its bounds, without a network."""

import asyncio
import json
import os
import time

import cbor2
import pytest
from aiocoap import GET, Message
from aiocoap.numbers.optionnumbers import OptionNumber

from msgin5g_tools.scm_server import identity, json_write, link_format, options, query, resources
from msgin5g_tools.scm_server import store, ue_config, ue_config_check
from msgin5g_tools.scm_server.echo import Verifier
from msgin5g_tools.scm_server.config_data import compact, parse_object
from msgin5g_tools.line_writer import LineWriter
from msgin5g_tools.scm_server.problem import Problem, ScmError, printable
from msgin5g_tools.scm_server.server import ScmServer
from msgin5g_tools.scm_server.settings import Settings, address, address_text

# RFC 7252 table 4, RFC 7641, RFC 7959, RFC 9175, RFC 7967.
SIZES = (
    (1, 0, 8, True),  # If-Match
    (3, 1, 255, False),  # Uri-Host
    (5, 0, 0, False),  # If-None-Match
    (7, 0, 2, False),  # Uri-Port
    (11, 0, 255, True),  # Uri-Path
    (17, 0, 2, False),  # Accept
    (23, 0, 3, False),  # Block2
    (27, 0, 3, False),  # Block1
    (35, 1, 1034, False),  # Proxy-Uri
    (39, 1, 255, False),  # Proxy-Scheme
)
ELECTIVE = ((4, 1, 8), (6, 0, 3), (12, 0, 2), (28, 0, 4), (60, 0, 4), (252, 1, 40), (258, 0, 1))


def test_every_option_has_the_lengths_of_its_rfc():
    for number, low, high, _ in SIZES:
        assert options.fits(number, low) and options.fits(number, high), number
        assert not options.fits(number, high + 1) and not options.fits(number, low - 1), number
    for number, low, high in ELECTIVE:
        assert options.fits(number, low) and options.fits(number, high), number
        assert not options.fits(number, high + 1) and not options.fits(number, low - 1), number
    assert options.fits(15, 0) and options.fits(15, 65535)
    assert options.fits(9999, 0) and options.fits(9999, 65535)


def request(*numbers):
    message = Message(code=GET)
    for number, value in numbers:
        message.opt.add_option(OptionNumber(number).create_option(decode=value))
    return message


def test_a_critical_option_that_may_not_be_repeated_or_here_is_not_understood():
    for number, low, _, repeatable in SIZES:
        value = b"a" * low
        twice = request((number, value), (number, value))
        assert options.unprocessed(twice, 65020) == ([] if repeatable else [number]), number
        assert options.unprocessed(request((number, value)), 65020) == [], number
        assert options.unprocessed(request((number, value)), 65020, (number,)) == [number], number
    assert options.unprocessed(request((9999, b"")), 65020) == [9999]
    assert options.unprocessed(request((9999, b"")), 9999) == []


def test_a_recipient_is_a_text_of_1_to_255_bytes():
    for value, known in ((b"", None), (b"u:1", "u:1"), (b"u" * 255, "u" * 255), (b"u" * 256, None),
                         (b"\xff", None)):  # fmt: skip
        assert options.recipient(request((65020, value)), 65020) == known, value
    assert options.recipient(request(), 65020) is None


def test_an_address_is_host_and_port():
    assert address("192.0.2.1:0", "bind") == ("192.0.2.1", 0)
    assert address("[2001:db8::1]:65535", "bind") == ("2001:db8::1", 65535)
    for text in ("192.0.2.1:65536", "192.0.2.1", ":5683", "2001:db8::1:5683", "a:5683 ", "a:-1"):
        with pytest.raises(ScmError, match=r"^bind: .* is not HOST:PORT"):
            address(text, "bind")
    assert address_text("192.0.2.1", 5683) == "192.0.2.1:5683"
    assert address_text("2001:db8::1", 5683) == "[2001:db8::1]:5683"


def test_an_array_of_documents_is_the_cbor_of_a_list_however_many_there_are():
    for n in (0, 1, 23, 24, 255, 256, 65_536):
        assert store.array([b"\x07"] * n) == cbor2.dumps([7] * n), n


def test_a_selection_has_as_many_documents_and_bytes_as_its_limits_allow(tmp_path):
    with store.Store(tmp_path / "scm.db") as opened:
        for name in ("a", "b"):
            opened.put("msgin5g", name, {"valServiceDomain": "e", "configName": name * 100})
        bodies = opened.select("msgin5g")
        size = sum(map(len, bodies))
        for limits, expected in (
            ((2, size), bodies),
            ((2, size - 1), None),
            ((1, size), None),
            ((3, size + 1), bodies),
        ):
            assert opened.select("msgin5g", None, store.Limits(*limits)) == expected, limits
        opened.delete("msgin5g", "b")
        assert opened.select("msgin5g", None, store.Limits(2, 1)) == bodies[:1], "one is whole"


def test_each_number_of_the_settings_has_its_bounds():
    for name, low, high in (
        ("recipient_option", 256, 65535),
        ("content_format", 0, 65535),
        ("max_age", 0, 2**32 - 1),
        ("max_body", 1, 16 * 1024 * 1024),
        ("max_observers", 0, 1_000_000),
        ("max_ues", 1, 100_000_000),
        ("max_connections", 1, 1_000_000),
        ("max_connections_of_host", 1, 1_000_000),
        ("max_documents", 1, 1_000_000),
        ("max_rate", 0, 1_000_000),
    ):
        for value in (low, high):
            assert getattr(Settings(db="x", **{name: value}), name) == value
        for value in (low - 1, high + 1):
            with pytest.raises(ScmError, match=f"{value} is not between {low} and {high}"):
                Settings(db="x", **{name: value})
    for name in ("service_id", "bulk_id"):
        for value in ("i", "i" * 240, "é" * 120):
            assert getattr(Settings(db="x", **{name: value}), name) == value
        for value in ("", "i" * 241, "é" * 120 + "i"):
            with pytest.raises(ScmError, match="is not a text of 1 to 240 bytes"):
                Settings(db="x", **{name: value})
    assert Settings(db="x", gateways=("2001:DB8:0::1",)).gateways == ("2001:db8::1",)
    made = Settings(db="x", recipient="coap://scm.example")
    assert (made.bind, made.tcp, made.ws) == (("127.0.0.1", 5683), None, None)
    assert (made.max_age, made.max_body, made.max_observers) == (60, 65536, 10000)
    assert (made.max_ues, made.max_documents) == (1_000_000, 1000)
    assert (made.max_connections, made.max_connections_of_host) == (500, 50)
    assert (made.poll_s, made.notify_interval_s) == (None, 0.2)
    assert not (made.strict_relay or made.read_only or made.echo)


def test_a_path_names_the_collection_a_document_or_nothing():
    base = ("su-uc", "v1", "val-services", "msgin5g", "ue-configurations")
    for prefix in ((), ("root", "scm")):
        path = (*prefix, *base)
        assert resources.find(path, prefix) == (resources.COLLECTION, "msgin5g", None)
        assert resources.find((*path, "doc"), prefix) == (resources.DOCUMENT, "msgin5g", "doc")
        core = (".well-known", "core")
        assert resources.find(core, prefix) == (resources.CORE, None, None)
        for other in (
            path[:-1], path[1:], (*path, "doc", "x"), (*path, ""), (*core, ""), (),
            (*prefix, "su-uc", "v1", "val-services", "", "ue-configurations"),
            (*prefix, "su-uc", "v2", "val-services", "msgin5g", "ue-configurations"),
            (*prefix, "su-uc", "v1", "val-services", "msgin5g", "ue-configuration"),
        ):  # fmt: skip
            assert resources.find(other, prefix) is None, other
    assert resources.find(base, ("root",)) is None


def test_several_ues_in_one_list_without_the_flag_are_told_how_a_comma_is_written():
    for items, hint in ((("ue-uri=u:1,u:2",), True), (("ue-uri=u:1", "ue-uri=u:2"), False)):
        with pytest.raises(Problem, match="names 2 UEs") as caught:
            query.parse(items, "bulk")
        assert ("%2C" in caught.value.detail) == hint
    assert query.parse(("ue-uri=u:1,u:2", "ue-uri=u:1", "bulkConfFlag=bulk"), "bulk") == (
        query.Selector(None, None, None, ("u:1", "u:2"), True)
    )


def test_each_parameter_is_there_once_and_has_its_form():
    good = ("ue-vendor=acme", "ue-type=12345678", "ue-snr=000001", "ue-uri=u:1")
    made = query.Selector("acme", "12345678", "000001", ("u:1",), False)
    assert query.parse(good, "bulk") == made
    for item in good[:3]:
        with pytest.raises(Problem, match="is given twice"):
            query.parse((item, item), "bulk")
    for item, text in (
        ("ue-vendor=", "is empty"), ("ue-type=1234567", "is not 8 digits"),
        ("ue-type=123456789", "is not 8 digits"), ("ue-snr=", "is not 1 to 6 digits"),
        ("ue-snr=1234567", "is not 1 to 6 digits"), ("ue-uri=", "is empty"),
        ("ue-uri=no uri", "is not a URI"), ("ue-model=x", "is unknown"), ("ue-type", "has no '='"),
        ("bulkConfFlag=bulk", "needs ue-uri"), ("bulkConfFlag=x", "is not known here"),
        ("bulkConfFlag=", "is empty"),
    ):  # fmt: skip
        with pytest.raises(Problem, match=text):
            query.parse((item,), "bulk")
    longest = "u:" + "1" * (identity.MAX_URI_SIZE - 2)
    assert query.parse(("ue-uri=" + longest,), "bulk").uris == (longest,)
    with pytest.raises(Problem, match="is longer than 248 bytes"):
        query.parse(("ue-uri=" + longest + "1",), "bulk")


def test_the_recipient_of_an_answer_is_the_only_ue_of_the_request():
    assert query.recipient(("a=b", "ue-uri=u:1", "ue-uri=u:1")) == "u:1"
    assert query.recipient(("ue-uri=" + "u" * 255,)) == "u" * 255
    for items in ((), ("a=b",), ("ue-uri=u:1,u:2",), ("ue-uri=",), ("ue-uri=" + "u" * 256,)):
        assert query.recipient(items) is None, items


def test_an_echo_value_of_the_future_or_of_another_host_verifies_nothing():
    for seconds, good in ((-1, False), (0, True), (60, True), (61, False)):
        now = [1000.0]
        verifier = Verifier(lambda now=now: now[0])
        value = verifier.value("a:1")
        now[0] += seconds
        assert not verifier.check("b:1", value) and not verifier.check("a:1", value[:-1])
        assert not verifier.check("a:1", None)
        assert verifier.check("a:1", value) == good, seconds
        assert verifier.check("a:1", None) == good, seconds


def test_the_detail_of_a_problem_has_at_most_240_characters():
    for n, text in ((240, "d" * 240), (241, "d" * 239 + "…")):
        made = Problem(132, "d" * n, (9,), size1=5)
        assert made.detail == text
        again = made.with_code(128)
        assert (again.detail, again.unprocessed, again.options) == (text, (9,), {"size1": 5})
    assert printable("a\x1b\nb\u202e\u00e9") == "a\\x1b\\nb\\u202e\u00e9"


def test_a_filter_of_links_compares_names_words_and_beginnings():
    link = link_format.Link("/a/b", {"rt": "one two", "title": "one two"})
    for item, passes in (
        ("rt=one", True), ("rt=two", True), ("rt=one two", False), ("rt=tw*", True),
        ("rt=wo*", False), ("title=one two", True), ("title=one", False), ("title=one*", True),
        ("href=/a/b", True), ("href=/a*", True), ("href=/b", False), ("if=x", False),
        ("rt", True), ("*", True),
    ):  # fmt: skip
        assert link_format.matches(link, item) == passes, item
    assert link_format.text([link, link_format.Link("/c", {})]) == (
        b'</a/b>;rt="one two";title="one two",</c>'
    )


def test_ids_of_ues_are_written_short_only_where_that_is_complete():
    def entry(ids):
        document = {"valServiceId": "msgin5g", "valUeIds": ids}
        return json.loads(json_write.write((), (), [("msgin5g", "doc", document)]))["documents"][0]

    uris, ranges = ["u:1"], [{"tac": "12345678"}]
    assert entry({"uris": uris})["ues"] == uris
    both = entry({"uris": uris, "imeiRanges": ranges})
    assert both["ues"] == uris and both["imeiRanges"] == ranges and "valUeIds" not in both
    for ids in ({}, {"imeiRanges": ranges, "uris": uris}, {"uris": uris, "x": 1}, {"x": 1}):
        made = entry(ids)
        assert made["valUeIds"] == ids and "ues" not in made, ids


def test_what_json_cannot_hold_is_not_plain():
    for value in (1, "a", None, True, 1.5, [1, {"a": []}], {"$cbor": 1, "b": 2}):
        assert json_write.is_plain(value), value
    for value in (b"", float("nan"), float("inf"), {1: 2}, {"$cbor": "00"}, [b""], {"a": b""}):
        assert not json_write.is_plain(value), value
    assert compact(parse_object('{"b": 1, "a": "é"}')) == '{"b":1,"a":"é"}'
    for text in ("[]", "1", "{", '{"a":1,"a":2}', '{"a":NaN}', "[" * 100_000):
        assert parse_object(text) is None, text[:9]


def test_a_server_that_has_stopped_leaves_no_task_and_the_environment_as_it_was(
    tmp_path, monkeypatch
):
    async def serve():
        settings = Settings(db=str(tmp_path / "scm.db"), bind=("127.0.0.1", 0))
        events = []
        server = ScmServer(settings, events.append)
        async with server:
            assert [event["event"] for event in events] == ["started"]
        await server.stop()
        assert [event["event"] for event in events] == ["started", "stopped"]
        await asyncio.sleep(0)
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
        assert not [name for name in names if "_poll_database" in name], names

    for before in (None, "1"):
        if before:
            monkeypatch.setenv("AIOCOAP_REUSE_PORT", before)
        else:
            monkeypatch.delenv("AIOCOAP_REUSE_PORT", raising=False)
        asyncio.run(serve())
        assert os.environ.get("AIOCOAP_REUSE_PORT") == before


def fault_of(document):
    """What is said about a document that is put as `doc`."""
    with pytest.raises(Problem) as caught:
        ue_config_check.require(document, "msgin5g", "doc")
    return caught.value.detail


def test_what_is_wrong_with_a_document_is_told_with_its_place_and_how_much_more_there_is():
    good = {"valServiceDomain": "example.com"}
    ue_config_check.require(good, "msgin5g", "doc")
    assert fault_of({}) == "valServiceDomain: is missing"
    said = fault_of({**good, "valServiceId": "other"})
    assert said == "valServiceId: is not 'msgin5g' as in the path"
    wrong = {**good, "valServiceId": "other", "ueConfigDocId": "x"}
    assert fault_of(wrong).endswith("as in the path (and 1 more)")
    ue_config_check.require(
        {**good, "valServiceId": "msgin5g", "ueConfigDocId": "doc"}, "msgin5g", "doc"
    )


def test_what_could_not_be_sent_again_unchanged_is_refused_wherever_it_stands():
    good = {"valServiceDomain": "example.com"}
    for value in ([1, ["a\ud800"]], {"a": ["\udfff"]}, {"\ud800": 1}, ("\ud800",)):
        assert "is not Unicode text" in fault_of({**good, "x": value}), value
    assert "is of a kind that is not supported (set)" in fault_of({**good, "x": [{1}]})
    assert "which is not a text" in fault_of({**good, 5: 1})
    deep = 1
    for _ in range(ue_config.MAX_DEPTH - 2):
        deep = [deep]
    ue_config_check.require({**good, "x": deep}, "msgin5g", "doc")
    assert "is nested deeper than 16" in fault_of({**good, "x": [deep]})


def lines_of(reader):
    """What has been written to a pipe, line by line."""
    with os.fdopen(reader) as pipe:
        return pipe.read().splitlines()


def test_lines_are_written_in_their_order_and_those_without_room_are_counted():
    reader, writer = os.pipe()
    lines = LineWriter(writer, "{} dropped".format)
    for n in range(50):
        lines.write(f"line {n} \u00e9\ud800")
    lines.close()
    os.close(writer)
    assert lines_of(reader) == [f"line {n} \u00e9\\ud800" for n in range(50)]
    assert lines.n_dropped == 0

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    full = os.write(writer, b"x" * 10**6)  # the reader takes nothing now
    lines = LineWriter(writer, "{} dropped".format, max_lines=2)
    for _ in range(3):
        lines.write("lost")
        while lines.n_dropped == 0:
            time.sleep(0.001)
    while lines.n_dropped < 3:
        time.sleep(0.001)
    os.read(reader, full)
    lines.write("seen")
    lines.close()
    os.close(writer)
    assert lines_of(reader) == ["3 dropped", "seen"]


def test_a_reader_that_has_gone_ends_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    lines = LineWriter(writer, "{} dropped".format)
    lines.write("nobody reads it")
    lines.write("nor this")
    lines.close()
    os.close(writer)
    assert lines.n_dropped == 0


def test_a_path_prefix_has_segments_of_1_to_255_bytes():
    for prefix, segments in (("a", ("a",)), ("a/b", ("a", "b")), ("s" * 255, ("s" * 255,))):
        assert Settings(db="x", path_prefix=prefix).prefix == segments
    for prefix in ("s" * 256, "a//b", "a/../b", "."):
        with pytest.raises(ScmError, match="path prefix"):
            Settings(db="x", path_prefix=prefix)
