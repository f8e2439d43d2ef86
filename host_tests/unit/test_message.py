"""The message format, RFC 7252 section 3 and RFC 8974 section 2.1."""

from checks import raises, unhex
from msgin5g.coap.message import (
    BufferTooSmall,
    Message,
    MessageFormatError,
    encode,
    insert,
    uint_bytes,
)
from msgin5g.coap.numbers import ACCEPT, CON, GET, URI_PATH, URI_QUERY

# Encoded by hand: a request of 104 bytes, and a 4.04 of 69.
REQUEST = unhex(
    "44011234a1b2c3d4 b5 73752d7563 02 7631 0c 76616c2d7365727669636573 07 6d7367696e3567"
    "0d04 75652d636f6e66696775726174696f6e73 4d07 75652d7572693d75726e3a783a75653a30303037"
    "22 fe38 edfcde05 636f61703a2f2f636d732e6578616d706c65"
)
NOT_FOUND = unhex(
    "64841234a1b2c3d4 c2 0101 edfce300 75726e3a783a75653a30303037 ff a3 20 69"
    "4e6f7420666f756e64 21 77 6e6f20646f63756d656e7420666f722074686973205545 23 1884"
)
OPTIONS = [
    (URI_PATH, b"su-uc"),
    (URI_PATH, b"v1"),
    (URI_PATH, b"val-services"),
    (URI_PATH, b"msgin5g"),
    (URI_PATH, b"ue-configurations"),
    (URI_QUERY, b"ue-uri=urn:x:ue:0007"),
    (ACCEPT, b"\xfe\x38"),
    (65020, b"coap://cms.example"),
]


def options_of(message):
    return [(message.numbers[i], message.value(i)) for i in range(message.n_options)]


def encoded(*fields):
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, *fields)])


def test_the_worked_request_is_located_field_by_field():
    message = Message().decode(REQUEST)
    assert (message.mtype, message.code, message.mid) == (CON, GET, 0x1234)
    assert message.token() == unhex("a1b2c3d4")
    assert options_of(message) == OPTIONS
    assert message.payload() == b""


def test_the_worked_answer_has_its_payload():
    message = Message().decode(NOT_FOUND)
    assert (message.mtype, message.code) == (2, 0x84)
    assert message.uint(12) == 257
    assert message.option(65020) == b"urn:x:ue:0007"
    assert message.payload()[:2] == b"\xa3\x20"
    assert message.option(4) is None and message.uint(14, 60) == 60


def test_encoding_gives_the_worked_bytes():
    assert encoded(CON, GET, 0x1234, unhex("a1b2c3d4"), OPTIONS) == REQUEST
    assert encoded(2, 0x84, 0x1234, unhex("a1b2c3d4"), [], b"", NOT_FOUND[8:]) == NOT_FOUND


def test_every_form_of_delta_and_length_goes_both_ways():
    # The edges of the forms: 0-12 direct, 13-268 one byte more, 269 and above two.
    numbers = (0, 1, 12, 13, 14, 268, 269, 270, 65535)
    sizes = (0, 1, 12, 13, 14, 268, 269, 270, 600)
    for number in numbers:
        for size in sizes:
            for previous in (0, number):
                options = [(previous, b""), (number, b"x" * size)]
                datagram = encoded(1, 0x45, 7, b"", options, b"p")
                message = Message().decode(datagram)
                assert options_of(message) == options, (previous, number, size)
                assert message.payload() == b"p"


def test_extended_tokens_go_both_ways():
    for size in (0, 1, 8, 9, 12, 13, 14, 268, 269, 270, 1000):
        token = bytes([i & 255 for i in range(size)])
        message = Message().decode(encoded(0, 1, 1, token, [(11, b"a")]))
        assert message.token() == token, size
        assert message.option(11) == b"a"


def test_every_format_error_is_named():
    errors = (
        ("", "too short"),
        ("400112", "too short"),
        ("00011234", "version"),
        ("80011234", "version"),
        ("c0011234", "version"),
        ("44011234", "token"),
        ("44011234a1b2c3", "token"),
        ("49011234" + "00" * 8, "token"),
        ("4f011234" + "00" * 20, "token"),
        ("4d011234", "token"),
        ("4e01123400", "token"),
        ("4e0112340001", "token"),
        ("4000123400", "not empty"),
        ("41001234aa", "not empty"),
        ("40001234ff01", "not empty"),
        ("40211234", "code class"),
        ("403f1234", "code class"),
        ("40c01234", "code class"),
        ("40ff1234", "code class"),
        ("40011234ff", "no payload"),
        ("40011234b161ff", "no payload"),
        ("40011234b2", "length"),
        ("40011234b261", "length"),
        ("40011234bd", "length"),
        ("40011234be00", "length"),
        ("40011234bf" + "61" * 20, "length"),
        ("40011234f0", "delta"),
        ("40011234f1" + "61" * 20, "delta"),
        ("40011234d0", "delta"),
        ("40011234e000", "delta"),
        ("40011234e0fef3e00001", "number"),
        ("40011234e0ffff", "number"),
        ("40011234" + "10" * 65, "options"),
    )
    for text, reason in errors:
        with raises(MessageFormatError, reason):
            Message().decode(unhex(text))


def test_every_prefix_of_a_message_is_a_message_or_a_format_error():
    for size in range(len(NOT_FOUND)):
        try:
            Message().decode(NOT_FOUND[:size])
        except MessageFormatError:
            pass


def test_what_does_not_fit_is_our_error():
    with raises(BufferTooSmall):
        encode(bytearray(40), 0, 1, 1, b"abcd", OPTIONS)
    with raises(BufferTooSmall):
        encode(bytearray(40), 0, 1, 1, b"abcd", [], b"x" * 40)
    with raises(BufferTooSmall):
        encode(bytearray(40), 0, 1, 1, b"a" * 36, [])
    with raises(BufferTooSmall):
        encode(bytearray(40), 0, 1, 1, b"abcd", [], b"", b"x" * 40)


def test_uints_have_no_leading_zeros():
    for number, raw in ((0, b""), (1, b"\x01"), (255, b"\xff"), (256, b"\x01\x00")):
        assert uint_bytes(number) == raw
    message = Message().decode(
        encoded(0, 1, 1, b"", [(6, b""), (14, b"\x01\x00"), (28, b"12345")])
    )
    assert message.uint(6) == 0
    assert message.uint(14) == 256
    assert message.uint(28, 9) == 9  # longer than any uint option: as if it were not there


def test_insert_keeps_the_order():
    options = [(11, b"a"), (11, b"b"), (15, b"q")]
    insert(options, 11, b"c")
    insert(options, 4, b"e")
    insert(options, 60, b"")
    assert options == [(4, b"e"), (11, b"a"), (11, b"b"), (11, b"c"), (15, b"q"), (60, b"")]
