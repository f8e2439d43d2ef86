"""Text from the network: what a terminal would execute is escaped, all else stays."""

import json

import msgin5g.node as node_module
from msgin5g_testkit.checks import raises
from msgin5g.coap.text import printable, unsafe_at
from msgin5g.node import Node

# Written with numbers: an editor would act on some of them.
UNSAFE = (
    list(range(0x20))
    + list(range(0x7F, 0xA0))
    + [0x061C, 0x200E, 0x200F, 0x2028, 0x2029]
    + list(range(0x202A, 0x202F))
    + list(range(0x2066, 0x206A))
)
SAFE = [0x20, 0x7E, 0xA0, 0xA1, 0xE9, 0x0618, 0x061B, 0x061D, 0x065C, 0x200D, 0x2010, 0x2027,
        0x202F, 0x2030, 0x2065, 0x206A, 0x6F22, 0x1F600]  # fmt: skip


class _Role:
    receive = transmit = None


def lines_of(event, as_json):
    """What a node prints for an event."""
    node = Node(_Role(), [])
    node.as_json = as_json
    lines = []
    node_module.print = lines.append
    try:
        node.print_event(event)
    finally:
        del node_module.print
    return lines


def test_each_unsafe_character_is_escaped_wherever_it_stands_and_no_other():
    for number in UNSAFE:
        escape = "\\u%04x" % number
        for before, after in (("", ""), ("a", "b"), ("\u00e9", "\u6f22"), ("", "\n")):
            text = before + chr(number) + after
            expected = before + escape + after.replace("\n", "\\u000a")
            assert printable(text.encode()) == expected, number
            assert unsafe_at(text.encode()) == len(before.encode()), number
    for number in SAFE:
        text = "a" + chr(number) + "b" + chr(number)
        assert printable(text.encode()) == text, number
        assert unsafe_at(text.encode()) == -1, number
    assert printable(b"") == ""


def test_bytes_that_are_no_text_are_an_error_and_not_read_past_their_end():
    for octets in (b"\xff", b"\x1b\xff", b"a\xc2", b"\xe2\x80", b"\x07\xe2", b"\xd8"):
        with raises(UnicodeError):
            printable(octets)


def test_an_event_is_one_line_that_a_terminal_only_shows():
    hostile = "\x1b]0;X\x07\x1b[2J Forbidden\napplied configuration={}\x9b2J\u202e\u2028"
    shown = (
        "\\u001b]0;X\\u0007\\u001b[2J Forbidden\\u000aapplied configuration={}"
        "\\u009b2J\\u202e\\u2028"
    )
    event = {"event": "rejected", "title": hostile}
    assert lines_of(event, False) == ["rejected title=" + shown]
    (line,) = lines_of(event, True)
    assert unsafe_at(line.encode()) == -1 and json.loads(line) == event
    for value in ({"key" + hostile: hostile}, [hostile], {"a": [{"b": hostile}]}):
        for as_json in (False, True):
            event = {"event": "applied", "configuration": value}
            (line,) = lines_of(event, as_json)
            assert unsafe_at(line.encode()) == -1, line
            assert not as_json or json.loads(line) == event


def test_without_memory_for_a_copy_nothing_unsafe_is_printed_either():
    def no_memory(event):
        raise MemoryError

    real = node_module.json
    for text, whole in (("\x9b2J", False), ("\u202e", False), ("\u00e9", True)):
        written = []

        class Json:
            dumps = no_memory

            @staticmethod
            def dump(event, stream):
                written.append(event)

        node_module.json = Json
        event = {"event": "applied", "configuration": {"a": [text]}}
        try:
            lines = lines_of(event, True)
        finally:
            node_module.json = real
        if whole:
            assert written == [event] and lines == [""]
        else:
            assert not written and json.loads(lines[0]) == {"event": "applied"}
