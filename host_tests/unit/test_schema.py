"""The strict JSON reader and the declared schema."""

from msgin5g_testkit.checks import raises
from msgin5g.config.schema import Schema, redact, server_address
from msgin5g.config.json import JsonError, loads

_GOOD = (
    b'{"MSGin5G-Server-address": "coap://192.0.2.1:5683", '
    b'"MSGin5G-UE-Service-id": "sip:ue7@example.com", "Segment-size": 1024}'
)


def _document(address='"a:1"', identity='"x"', more=""):
    text = '{"MSGin5G-Server-address": ' + address + ', "MSGin5G-UE-Service-id": ' + identity
    return text + more + "}"


def _reasons(text, schema=None):
    configuration, reasons = (schema or Schema()).check(text)
    assert (configuration is None) == bool(reasons), (text, configuration, reasons)
    return reasons


# Strict JSON


def test_values_of_every_kind_come_out():
    value = loads(b' {"a": [true, false, null, 0, -7, 1.5, -2e3, "x"], "b": {}, "c": []} ')
    assert value["a"] == [True, False, None, 0, -7, 1.5, -2000.0, "x"]
    assert type(value["a"][3]) is int
    assert type(value["a"][6]) is float
    assert (value["b"], value["c"]) == ({}, [])
    assert loads(b"9007199254740991") == 9007199254740991
    assert loads(b'"top"') == "top"


def test_escapes_become_the_characters_they_stand_for():
    assert loads(b'"\\"\\\\\\/\\b\\f\\n\\r\\t"') == '"\\/\x08\x0c\n\r\t'
    assert loads(b'"a\\u00e9\\u20AC\\uD83D\\uDE00z"').encode() == (
        b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"
    )


def test_utf8_passes_as_it_is():
    for text in (b"\xc2\x80", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xf0\x90\x80\x80", b"\x7f"):
        assert loads(b'"' + text + b'"').encode() == text, text
    assert loads(b'"\xf4\x8f\xbf\xbf"').encode() == b"\xf4\x8f\xbf\xbf"


def test_what_is_not_json_is_refused():
    for text in (
        b"~ ~tru~nul~True~truex~nan~NaN~Infinity~-Infinity"
        b"~01~-01~+1~1.~.5~1e~1e+~-~--1~1-1~0x1~1_0~1 2"
        b"~[1,]~[,]~[1 2]~[~[1~[1,~[}~[]]"
        b"~{'a': 1}~{a: 1}~{1: 1}~{,}~{]~{} {}~{}x~{}\x00~/* c */ {}"
        b'~{"a": 1,}~{"a" 1}~{"a": }~{"a"~{"a":~{"a": 1'
        b"~\x00~\xff~\xef\xbb\xbf{}"
        b'~"~"a~"a\\~"a\nb"~"\x00"~"\x1f"~"\\x41"~"\\"~"\\U0041"'
        b'~"\\u12"~"\\u12g4"~"\\u"~"\\u+123"~"\\u 123"~"\\u1_23"'
    ).split(b"~"):
        with raises(JsonError, "JSON: "):
            loads(text)


def test_two_escapes_stand_for_one_character_beyond_the_16_bits():
    for text, code in ((b"\\ud800\\udc00", 0x10000), (b"\\udbff\\udfff", 0x10FFFF),
                       (b"\\ud83d\\ude00", 0x1F600), (b"\\ud7ff", 0xD7FF), (b"\\ue000", 0xE000),
                       (b"\\uffff", 0xFFFF)):  # fmt: skip
        assert loads(b'"' + text + b'"') == chr(code), text


def test_half_a_surrogate_pair_is_refused():
    for text in (b"\\ud800", b"\\udc00", b"\\ud800x", b"\\ud800\\u0041", b"\\ud800\\ud800"):
        with raises(JsonError, "surrogate"):
            loads(b'"' + text + b'"')


def test_bytes_that_are_not_utf8_are_refused():
    for text in (
        b"\x80 \xbf \xc0\xaf \xc1\x81 \xc3 \xc3( \xe2\x82 \xe2(\xac \xe0\x9f\xbf \xed\xa0\x80"
        b" \xed\xbf\xbf \xf0\x8f\xbf\xbf \xf0\x9f\x98 \xf4\x90\x80\x80 \xf5\x80\x80\x80"
        b" \xf8\x88\x80\x80\x80 \xff a\xfe"
    ).split(b" "):
        with raises(JsonError, "UTF-8"):
            loads(b'"' + text + b'"')


def test_a_first_byte_that_its_second_does_not_fit_is_reported_where_it_stands():
    # RFC 3629 section 4: too long, a surrogate, beyond U+10FFFF.
    for text in (
        b"\xc0\xaf \xc1\xbf \xe0\x80\x80 \xe0\x9f\xbf \xed\xa0\x80 \xed\xbf\xbf"
        b" \xf0\x80\x80\x80 \xf0\x8f\xbf\xbf \xf4\x90\x80\x80 \xf5\x80\x80\x80 \xff\xbf"
    ).split(b" "):
        assert _reasons(b'{"a": "xy' + text + b'z"}') == ["configData: JSON: not UTF-8 at byte 9"]


def test_a_long_key_twice_is_reported_by_its_first_32_characters():
    key = b"abcdefgh" * 5
    assert _reasons(b'{"' + key + b'": 1, "' + key + b'": 2}') == [
        "configData: JSON: key " + 4 * "abcdefgh" + " twice at byte 90"
    ]


def test_a_key_twice_is_refused_however_it_is_spelt():
    for text in (b'{"a": 1, "a": 1}', b'{"a": 1, "\\u0061": 2}', b'[{"k": {"b": 0, "b": 0}}]'):
        with raises(JsonError, "twice"):
            loads(text)
    assert loads(b'{"a": {"a": 1}, "b": {"a": {"a": 2}}}')["b"]["a"]["a"] == 2


def test_depth_has_a_limit():
    assert loads(b"[" * 8 + b"]" * 8)
    with raises(JsonError, "nested too deep"):
        loads(b"[" * 9 + b"]" * 9)
    with raises(JsonError, "nested too deep"):
        loads(b'{"a":' * 400)


def test_numbers_that_a_board_cannot_hold_are_refused():
    assert loads(b"-9007199254740992") == -9007199254740992
    for text in (b"9007199254740992", b"-9007199254740993", b"1" * 32):
        with raises(JsonError, "2**53"):
            loads(text)
    for text in (b"3.5e38", b"-1e39", b"1e400", b"1E+99999"):
        with raises(JsonError, "3.4e38"):
            loads(text)
    with raises(JsonError, "32 characters"):
        loads(b"0." + b"1" * 31)


# The schema of TS 24.538 clause 7.2.3


def test_a_good_configuration_has_no_reasons():
    configuration, reasons = Schema().check(_GOOD)
    assert reasons == []
    assert configuration["MSGin5G-Server-address"] == "coap://192.0.2.1:5683"
    assert configuration["MSGin5G-UE-Service-id"] == "sip:ue7@example.com"
    assert configuration["Segment-size"] == 1024
    assert Schema().check(str(_GOOD, "utf-8")) == (configuration, [])


def test_a_key_has_the_value_of_the_first_text_that_has_it():
    schema = Schema()
    schema.declare("blink_ms", int, default=500)
    common = b'{"Segment-size": 64, "blink_ms": 250, "more": {"a": 1}}'
    configuration, reasons = schema.check((_GOOD, common))
    assert reasons == []
    assert configuration["Segment-size"] == 1024
    assert (configuration["blink_ms"], configuration["more"]) == (250, {"a": 1})
    for texts, reason in (
        ((_GOOD, b"<xml/>"), "configData: XML is not taken, only JSON"),
        ((_GOOD, b"[]"), "configData: not a JSON object"),
        ((_GOOD, b'{"a": 1, "a": 1}'), "configData: JSON: key a twice at byte 12"),
        ((_GOOD, b'{"blink_ms": "x"}'), "blink_ms: must be of type int"),
        ((_GOOD, b'{"a":' + 8 * b"[" + 8 * b"]" + b"}"),
         "configData: JSON: nested too deep at byte 12"),
        ((_GOOD, b'{"a": "' + 4096 * b"x" + b'"}'), "configData: more than 4096 bytes"),
        ((_GOOD, b'{"a": "' + (4088 - len(_GOOD)) * b"x" + b'"}'),
         "configData: more than 4096 bytes"),
    ):  # fmt: skip
        assert schema.check(texts) == (None, [reason]), texts
    fits = (_GOOD, b'{"a": "' + (4087 - len(_GOOD)) * b"x" + b'"}')
    assert schema.check(fits)[1] == []


def test_a_text_with_the_separator_of_stored_texts_is_not_json():
    assert _reasons(_GOOD + b"\x1e{}")[0].startswith("configData: JSON: text after the end")


def test_unknown_keys_are_kept():
    configuration, reasons = Schema().check(_document(more=', "x-new": [1, {"y": null}]'))
    assert reasons == []
    assert configuration["x-new"] == [1, {"y": None}]


def test_every_bad_key_has_its_verdict():
    assert _reasons(b"{}") == ["MSGin5G-Server-address: missing", "MSGin5G-UE-Service-id: missing"]
    assert _reasons(_document("1", '""', ', "Segment-size": 63')) == [
        "MSGin5G-Server-address: must be of type str",
        "MSGin5G-UE-Service-id: size 0, less than 1",
        "Segment-size: 63, less than 64",
    ]


def test_segment_size_is_an_integer_in_its_range():
    for good in ("64", "65535"):
        assert not _reasons(_document(more=', "Segment-size": ' + good)), good
    for bad, rule in (
        ("65536", "65536, more than 65535"),
        ("-1", "-1, less than 64"),
        ("1024.0", "must be of type int"),
        ("true", "must be of type int"),
        ('"1024"', "must be of type int"),
        ("null", "must be of type int"),
    ):
        assert _reasons(_document(more=', "Segment-size": ' + bad)) == ["Segment-size: " + rule]


def test_a_ue_service_id_is_a_short_text_without_blanks():
    for good in ("x", "urn:x-msgin5g:ue:0007", "+4915112345678", "\u00e9", "x" * 255):
        assert not _reasons(_document(identity='"' + good + '"')), good
    for bad in ("", " ", "a b", "a\\nb", "a\\u0000", "a\x7f", "x" * 256, "\u00e9" * 128):
        assert _reasons(_document(identity='"' + bad + '"')), bad


def test_server_addresses_are_told_apart():
    for text, parts in (
        ("coap://scm.example", ("coap", "scm.example", 5683)),
        ("coaps://scm.example", ("coaps", "scm.example", 5684)),
        ("COAP+TCP://SCM.example/", ("coap+tcp", "scm.example", 5683)),
        ("coaps+tcp://h:1/a/b?c=d", ("coaps+tcp", "h", 1)),
        ("coap+ws://h", ("coap+ws", "h", 80)),
        ("coaps+ws://h?q", ("coaps+ws", "h", 443)),
        ("coap://[2001:db8::1]", ("coap", "2001:db8::1", 5683)),
        ("coap://[::ffff:192.0.2.1]:61616/x", ("coap", "::ffff:192.0.2.1", 61616)),
        ("192.0.2.1:5683", ("", "192.0.2.1", 5683)),
        ("my-host_1.example:65535", ("", "my-host_1.example", 65535)),
        ("[fe80::1]:5683", ("", "fe80::1", 5683)),
        ("msgin5g.example.com", ("", "msgin5g.example.com", 5683)),
        ("192.0.2.1", ("", "192.0.2.1", 5683)),
        ("[2001:db8::1]", ("", "2001:db8::1", 5683)),
    ):
        assert server_address(text) == parts, text
        assert not _reasons(_document('"' + text + '"')), text


def test_what_is_no_server_address_is_refused():
    for text in (
        "|host|host:|host:0|host:65536|host:123456|host:x|host:-1|:1|http://h|coap//h|coap:/h"
        "|coap://|coap://:5683|coap://h:|coap://h:x|coap://u@h|coap://h#f|coap://h/a#f"
        "|coap://a b|a b:1|host:1 |h\u00f6:1|[]:1|[::1]x|[::1|[::g]:1|[1.2.3.4]:1"
        "|::1:5683|coap://[::1|coap://[::1]5|host:\u0661|coap://h\u212a:1|coap://h/ x|coap://h:1:2"
        "|coap://" + "h" * 249
    ).split("|"):
        reasons = _reasons(_document('"' + text + '"'))
        assert len(reasons) == 1, text
        assert reasons[0].startswith("MSGin5G-Server-address: "), reasons


# What the application declares


def test_the_application_declares_more_keys():
    schema = Schema()
    schema.declare("blink_ms", int, default=500, low=50, high=10000)
    schema.declare("label", str, required=True, high=4)
    schema.declare("gain", float, low=-1, high=1)
    schema.declare("on", bool, default=False)
    schema.declare("map", dict, high=1)
    schema.declare("steps", list, low=1)
    schema.declare("even", int, fault=lambda n: "must be even" if n % 2 else None)
    configuration, reasons = schema.check(_document(more=', "label": "\u20ac"'))
    assert reasons == []
    assert (configuration["blink_ms"], configuration["on"]) == (500, False)
    assert "gain" not in configuration
    good = ', "label": "x", "gain": 1, "on": true, "map": {}, "steps": [0], "even": 2'
    assert schema.check(_document(more=good))[0]["on"] is True
    bad = ', "blink_ms": 1, "label": "\u20acab", "gain": 1.5, "on": 1, "map": {"a": 1, "b": 2}'
    assert _reasons(_document(more=bad + ', "steps": [], "even": 3'), schema) == [
        "blink_ms: 1, less than 50",
        "label: size 5, more than 4",
        "gain: 1.5, more than 1",
        "on: must be of type bool",
        "map: size 2, more than 1",
        "steps: size 0, less than 1",
        "even: must be even",
    ]
    assert "label: missing" in _reasons(_document(), schema)


def test_reasons_do_not_give_strings_away():
    schema = Schema()
    schema.declare("pin", str, high=2)
    reasons = _reasons(_document('"secret word"', '"secret word"', ', "pin": "secret"'), schema)
    assert len(reasons) == 3
    for reason in reasons:
        assert "secret" not in reason


def test_reasons_do_not_give_numbers_of_keys_that_sound_secret_away():
    schema = Schema()
    schema.declare("door-secret", int, low=1000, high=9999)
    schema.declare("api-token", str, low=8)
    schema.declare("blink-ms", int, low=50)
    more = ', "door-secret": %d, "api-token": "x", "blink-ms": 20'
    for value, rule in ((123, "less than 1000"), (12345, "more than 9999")):
        assert _reasons(_document(more=more % value), schema) == [
            "door-secret: (not shown), " + rule,
            "api-token: size (not shown), less than 8",
            "blink-ms: 20, less than 50",
        ]


def test_each_word_that_makes_a_key_secret_hides_its_value():
    words = ("pass", "secret", "token", "psk", "credential", "private", "key")
    for word in words:
        for key in (word, "my-" + word + "-2", word.upper(), "Wifi" + word[0].upper() + word[1:]):
            for value in ("swordfish", 4711, True, ["swordfish"], {"a": "swordfish"}):
                assert redact(value, key) == "(not shown)", key
                assert redact({"a": [{key: value}], "n": 5}) == {
                    "a": [{key: "(not shown)"}],
                    "n": 5,
                }
        schema = Schema()
        schema.declare("my-" + word, int, low=5000)
        assert _reasons(_document(more=', "my-%s": 4711' % word), schema) == [
            "my-%s: (not shown), less than 5000" % word
        ]
    for key in ("MSGin5G-Server-address", "Segment-size", "blink-ms", ""):
        assert redact("plain", key) == "plain"


# Whole documents


def test_xml_is_recognised():
    for text in (b"<x/>", b' \n<?xml version="1.0"?>', "<seal-UE-configuration/>"):
        assert _reasons(text) == ["configData: XML is not taken, only JSON"]


def test_a_document_must_be_one_object_of_limited_size():
    for text in (b"[]", b"1", b'"x"', b"null"):
        assert _reasons(text) == ["configData: not a JSON object"]
    assert _reasons(b" " * 4097) == ["configData: more than 4096 bytes"]
    assert _reasons(_GOOD, Schema(max_size=50)) == ["configData: more than 50 bytes"]
    assert not Schema().check(_GOOD + b" " * (4096 - len(_GOOD)))[1]


def test_a_fault_in_the_json_is_the_reason():
    assert _reasons(b"{") == ["configData: JSON: no key at byte 1"]
    assert _reasons(b'{"a": 1, "a": 2}') == ["configData: JSON: key a twice at byte 12"]


def test_no_cut_and_no_changed_byte_raises():
    schema = Schema()
    for end in range(len(_GOOD)):
        assert _reasons(_GOOD[:end], schema), end
    for at in range(len(_GOOD)):
        for byte in (0, 0x22, 0x2C, 0x39, 0x5C, 0x75, 0x7B, 0x7D, 0x80, 0xC3, 0xF4, 0xFF):
            schema.check(_GOOD[:at] + bytes((byte,)) + _GOOD[at + 1 :])


def test_a_text_of_code_points_that_no_utf_8_has_is_refused():
    for text in (chr(0xD800), '{"a": "' + chr(0xDFFF) + '"}'):
        (reason,) = Schema().check(text)[1][:1]
        assert reason.split("-")[0] == "MSGin5G" or reason.split(":")[0] == "configData", reason
