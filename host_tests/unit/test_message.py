"""The message format, RFC 7252 section 3 and RFC 8974 section 2.1."""

from msgin5g_testkit.checks import raises, unhex
from msgin5g.coap.message import (
    BufferTooSmall,
    Message,
    MessageFormatError,
    datagram_of,
    encode,
    insert,
    size_of,
    uint_bytes,
)
from msgin5g.coap.numbers import ACCEPT, CON, GET, NON, URI_PATH, URI_QUERY
from msgin5g.coap.retransmission import set_header

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
    answer = Message().decode(NOT_FOUND)
    fields = (2, 0x84, 0x1234, unhex("a1b2c3d4"), options_of(answer), answer.payload())
    assert encoded(*fields) == NOT_FOUND


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
        for mtype in range(4):
            message = Message().decode(encoded(mtype, 1, 0x1234, token, [(11, b"a")]))
            assert message.token() == token, size
            assert (message.mtype, message.code, message.mid) == (mtype, 1, 0x1234), size
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
    )
    for text, reason in errors:
        with raises(MessageFormatError, reason):
            Message().decode(unhex(text))


ANY = 0x3FFFFFFF  # all options below 30 are understood


def test_options_beyond_the_table_are_left_out_if_nobody_reads_them():
    # RFC 7252 section 5.4.1: an elective option that is not known is ignored.
    unknown = [(60000 + 2 * i, b"v") for i in range(200)]
    known = [(4, b"etag"), (12, b"\xfd\xe9"), (65020, b"urn:x:ue:7")]
    for max_options in (4, 32, 64):
        for options in (known[:2] + unknown + known[2:], sorted(3 * unknown[:3] + known)):
            datagram = encoded(CON, 0x45, 7, b"tok", options, b"payload")
            message = Message(max_options).decode(datagram)
            assert [message.option(number) for number, _ in known] == [v for _, v in known]
            assert message.n_options <= max_options and message.payload() == b"payload"
            assert message.critical(0) == 0
            assert bytes(message.tail()) == datagram[7:]  # an intermediary passes them all on
    # The next message is not changed by that.
    assert options_of(message.decode(REQUEST)) == OPTIONS


def test_a_table_is_full_with_one_option_more_than_it_has_room_for():
    for n, is_full in ((3, False), (4, False), (5, True)):
        options = [(60000 + 4 * i, b"v") for i in range(n)]
        message = Message(4).decode(encoded(0, 1, 1, b"", options))
        assert message.is_full == is_full, n
        assert options_of(message) == ([] if is_full else options)
        # Known ones stay, and leave room for known ones only.
        options = sorted([(4, b"e"), (65020, b"r")] + options)
        message = Message(4).decode(encoded(0, 1, 1, b"", options))
        assert message.is_full
        assert options_of(message) == [(4, b"e"), (65020, b"r")], n
    # The last place is filled.
    options = [(11, b"a"), (11, b"b"), (60000, b"x"), (65001, b"c"), (65002, b"d")]
    message = Message(4).decode(encoded(0, 1, 1, b"", options))
    assert options_of(message) == options[:2] + options[3:] and message.critical(ANY, 65001) == 0


def test_the_first_of_equal_options_is_found_wherever_it_stands():
    numbers = (4, 6, 11, 11, 12, 14, 15, 15, 15, 17, 65020, 65020)
    options = [(number, bytes((1, i))) for i, number in enumerate(numbers)]
    for start in range(len(numbers)):
        for end in range(start, len(numbers) + 1):
            message = Message(12).decode(encoded(0, 1, 1, b"", options[start:end]))
            for number in range(1, 20):
                found = [value for n, value in options[start:end] if n == number]
                assert message.option(number) == (found[0] if found else None), (start, number)
                if found:
                    assert message.uint(number) == 256 + found[0][1]
            found = [value for n, value in options[start:end] if n == 65020]
            assert message.option(65020) == (found[0] if found else None)
            assert message.option(65019) is None and message.option(65021) is None


def test_options_of_the_message_before_are_not_found_in_a_shorter_one():
    numbers = (1, 4, 6, 11, 15, 60)
    message = Message(len(numbers))
    for n in range(len(numbers), -1, -1):
        buf = encoded(CON, GET, 7, b"", [(number, b"x") for number in numbers[:n]])
        message.decode(buf)
        found = [message.find(number) for number in numbers]
        assert found == list(range(n)) + (len(numbers) - n) * [-1], n
        assert message.find(14) == message.find(61) == -1, "the table may be full"


def test_a_critical_or_unsafe_option_beyond_the_table_is_not_overlooked():
    elective = [(60000 + 4 * i, b"") for i in range(40)]
    for number in (60001, 60003, 60018):
        message = Message(8).decode(encoded(0, 1, 1, b"", sorted(elective + [(number, b"")])))
        assert message.critical(ANY) == (number if number & 1 else 0)
        assert message.left_out == (number if number == 60018 else 0)
    path = [(11, b"a")] * 40
    message = Message(32).decode(encoded(0, 1, 1, b"", path))
    assert message.critical(ANY) == 11 and message.n_options == 32
    assert Message(64).decode(encoded(0, 1, 1, b"", path)).critical(ANY) == 0


def test_a_critical_option_of_a_wrong_length_or_that_is_repeated_is_as_one_that_is_not_known():
    # RFC 7252 sections 5.4.3, 5.4.5 and 5.10; RFC 7959 section 2.1.
    right = ((1, 0), (1, 8), (3, 1), (3, 255), (5, 0), (7, 0), (7, 2), (9, 0), (11, 0), (11, 255),
             (15, 0), (15, 255), (17, 0), (17, 2), (23, 0), (23, 3), (27, 3), (65021, 1),
             (65021, 255))  # fmt: skip
    wrong = ((1, 9), (3, 0), (3, 256), (5, 1), (7, 3), (11, 256), (15, 256), (17, 3), (23, 4),
             (23, 5), (27, 4), (65021, 0), (65021, 256), (13, 1), (35, 3), (65001, 1))  # fmt: skip
    for cases, is_right in ((right, True), (wrong, False)):
        for number, size in cases:
            message = Message().decode(encoded(0, 1, 1, b"", [(number, size * b"x")]))
            expected = 0 if is_right else number
            assert message.critical(ANY, 65021) == expected, (number, size)
            assert (message.find(number) >= 0) == is_right or number in (13, 35, 65001)
            # One that the reader does not understand is never right.
            assert message.critical(0) == number
    for number in (1, 11, 15):
        twice = encoded(0, 1, 1, b"", [(number, b"a"), (number, b"b")])
        assert Message().decode(twice).critical(ANY) == 0, number
    for number in (3, 5, 7, 9, 17, 23, 27, 65021):
        value = b"" if number == 5 else b"x"
        twice = encoded(0, 1, 1, b"", [(number, value), (number, value)])
        assert Message().decode(twice).critical(ANY, 65021) == number


def test_an_elective_option_of_a_wrong_length_is_not_there_and_of_several_the_first_counts():
    right = ((4, 1), (4, 8), (6, 0), (6, 3), (12, 0), (12, 2), (14, 0), (14, 4), (28, 4), (252, 1),
             (252, 40), (258, 0), (258, 1), (65020, 1), (65020, 255))  # fmt: skip
    wrong = ((4, 0), (4, 9), (6, 4), (12, 3), (14, 5), (28, 5), (252, 0), (252, 41), (258, 2),
             (65020, 0), (65020, 256))  # fmt: skip
    for cases, is_right in ((right, True), (wrong, False)):
        for number, size in cases:
            value = size * b"\1"
            options = [(2, b"?"), (number, value), (number, b"\2")]
            message = Message().decode(encoded(0, 1, 1, b"", options))
            assert message.option(number) == (value if is_right else None), (number, size)
            assert message.critical(0) == 0
            if not is_right:
                assert message.uint(number) is None and message.find(number) == -1


def test_a_path_has_no_dots():
    # RFC 7252 section 5.10.1.
    for segment, critical in (
        (b".", 11),
        (b"..", 11),
        (b"...", 0),
        (b".a", 0),
        (b"a.", 0),
        (b"", 0),
    ):
        datagram = encoded(0, 1, 1, b"", [(11, b"a"), (11, segment), (11, b"b")])
        assert Message().decode(datagram).critical(ANY) == critical, segment


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


def test_a_message_fits_a_buffer_of_its_own_size_and_none_that_is_smaller():
    # A larger buffer costs a board time: each store of a slice moves what lies behind it.
    edges = (0, 1, 12, 13, 14, 268, 269, 270, 600)
    cases = [(b"t" * n, OPTIONS, b"p") for n in edges]
    cases += [(b"tok", [(n, b"")], b"") for n in edges]
    cases += [(b"tok", [(11, b"a"), (11 + n, b"")], b"") for n in edges]
    cases += [(b"tok", [(11, b"a"), (12, b"v" * n)], b"") for n in edges]
    cases += [(b"tok", [(300, b"v" * n)], b"p" * n) for n in edges]
    for token, options, payload in cases:
        size = size_of(token, options, payload)
        buf = bytearray(size)
        assert encode(buf, CON, GET, 7, token, options, payload) == size
        message = Message().decode(buf)
        assert message.token() == token
        assert options_of(message) == options and message.payload() == payload
        with raises(BufferTooSmall):
            encode(bytearray(size - 1), CON, GET, 7, token, options, payload)


def test_a_message_is_made_without_type_and_message_id_which_it_gets_when_it_is_sent():
    for n in (0, 1, 12, 13, 268, 269, 600):
        token = b"t" * n
        size = size_of(token, OPTIONS, b"p")
        assert datagram_of(size - 1, GET, token, OPTIONS, b"p") is None
        datagram = datagram_of(size, GET, token, OPTIONS, b"p")
        set_header(datagram, NON, 0x1234)
        buf = bytearray(size)
        encode(buf, NON, GET, 0x1234, token, OPTIONS, b"p")
        assert datagram == buf, n


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
