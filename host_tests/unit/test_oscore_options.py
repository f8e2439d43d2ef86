"""Options of a message whose outer options are merged with its inner ones (RFC 8613 section 8)."""

from msgin5g_testkit.checks import unhex
from msgin5g.coap.message import Message, encode
from msgin5g.oscore.protect import add_option, drop_option


def options_of(message):
    return [(message.numbers[i], message.value(i)) for i in range(message.n_options)]


def encoded(*fields):
    buf = bytearray(64)
    return bytes(buf[: encode(buf, *fields)])


def test_an_option_is_dropped_from_its_place_and_added_in_its_order():
    options = [(6, b""), (11, b"a"), (11, b"b"), (60, b"z")]
    datagram = encoded(0, 1, 1, b"", options, b"later")
    for i in range(4):
        message = Message(5).decode(datagram)
        drop_option(message, i)
        assert options_of(message) == options[:i] + options[i + 1 :], i
    at = len(datagram) - 5
    for number, place in ((1, 0), (6, 1), (7, 1), (11, 3), (12, 3), (60, 4), (61, 4)):
        message = Message(5).decode(datagram)
        assert add_option(message, number, at, at + 2), number
        expected = options[:place] + [(number, b"la")] + options[place:]
        assert options_of(message) == expected, number
        assert not add_option(message, number, at, at + 2) and options_of(message) == expected


def test_options_are_added_in_order_and_dropped_by_their_place():
    message = Message(4).decode(unhex("40010001 61aa 51bb ff 7061796c6f6164 01 02"))
    assert add_option(message, 8, 15, 17) and add_option(message, 3, 16, 17)
    assert not add_option(message, 5, 14, 15)
    assert [message.numbers[i] for i in range(4)] == [3, 6, 8, 11]
    assert [message.value(i) for i in range(4)] == [b"\x01", b"\xaa", b"d\x01", b"\xbb"]
    drop_option(message, 1)
    drop_option(message, 2)
    assert [message.numbers[i] for i in range(message.n_options)] == [3, 8]
    assert message.option(3) == b"\x01"
