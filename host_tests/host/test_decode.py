"""`msgin5g decode`: what a person sees of sound and of malformed datagrams, and of captures."""

import json
import subprocess
import sys

import cbor2
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from msgin5g_tools.commands.decode import decode
from msgin5g_tools.decode.explain import explain
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.decode.oneline import one_line
from msgin5g_tools.decode.sequence_diagram import Entry, SequenceDiagram, entry_fields

from msgin5g.coap.message import encode

# The bytes of unit/test_message.py, encoded by hand.
REQUEST = """44011234a1b2c3d4 b5 73752d7563 02 7631 0c 76616c2d7365727669636573 07 6d7367696e3567
0d04 75652d636f6e66696775726174696f6e73 4d07 75652d7572693d75726e3a783a75653a30303037 22 fe38
edfcde05 636f61703a2f2f636d732e6578616d706c65"""
NOT_FOUND = """64841234a1b2c3d4 c2 0101 edfce300 75726e3a783a75653a30303037 ff a3 20 69
4e6f7420666f756e64 21 77 6e6f20646f63756d656e7420666f722074686973205545 23 1884"""

DATA = {"MSGin5G-Server-address": "coap://msgin5g.example.com", "Segment-size": 1024}
DOCUMENT = {
    "ueConfigDocId": "ue-0007",
    "valServiceDomain": "example.com",
    "valUeIds": {"uris": ["urn:x:ue:0007"]},
    "ueConfigs": [{"configType": "ON_NETWORK", "configData": json.dumps(DATA)}],
}


def run(*arguments, stdin=None):
    """(exit status, what is printed) of the command."""
    done = CliRunner().invoke(decode, [*arguments], input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def content(payload, content_format=65001):
    """A 2.05 in hex with an ETag, a Content-Format and a Max-Age."""
    head = bytes.fromhex("64451234a1b2c3d4 42beef") + b"\x82" + content_format.to_bytes(2, "big")
    return (head + bytes.fromhex("213c ff") + payload).hex()


def test_the_worked_request_is_explained_line_by_line():
    status, text = run("--content-format", "65080", REQUEST)
    assert status == 0
    assert text.split("\n") == [
        "CON GET (0.01), MID 0x1234, token a1b2c3d4, 104 bytes",
        "     11 Uri-Path        su-uc",
        "     11 Uri-Path        v1",
        "     11 Uri-Path        val-services",
        "     11 Uri-Path        msgin5g",
        "     11 Uri-Path        ue-configurations",
        "     15 Uri-Query       ue-uri=urn:x:ue:0007",
        "     17 Accept          65080  application/vnd.3gpp.seal-ue-config-info+cbor",
        "  65020 Recipient       coap://cms.example",
        "",
    ]


def test_the_worked_rejection_shows_its_problem_details_by_name():
    status, text = run(NOT_FOUND)
    assert status == 0
    assert text == (
        "ACK 4.04 Not Found, MID 0x1234, token a1b2c3d4, 69 bytes\n"
        "     12 Content-Format  257  application/concise-problem-details+cbor\n"
        "  65020 Recipient       urn:x:ue:0007\n"
        "  payload, 40 bytes: problem details\n"
        "      {\n"
        '        "title": "Not found",\n'
        '        "detail": "no document for this UE",\n'
        '        "response-code": "4.04"\n'
        "      }\n"
    )


def test_a_configuration_is_shown_with_its_json_text_unfolded():
    for body, what in (([DOCUMENT], "array of 1 UeConfigDoc"), (DOCUMENT, "UeConfigDoc")):
        status, text = run(content(cbor2.dumps(body)))
        assert status == 0
        assert "      4 ETag            beef\n" in text
        assert "     14 Max-Age         60 s\n" in text
        assert f" bytes: {what}, configData unfolded\n" in text
        shown = json.loads(text[text.index(" unfolded\n") + 10 :])
        shown = shown[0] if isinstance(shown, list) else shown
        assert shown["ueConfigs"] == [{"configType": "ON_NETWORK", "configData": DATA}]
        assert shown["valUeIds"] == DOCUMENT["valUeIds"]


def test_a_payload_that_is_not_what_it_says_is_shown_as_bytes():
    whole = cbor2.dumps([DOCUMENT])
    for payload, what in (
        (whole[:-1], f"not CBOR after byte {len(whole) - 1}: "),
        (b"\xd8\x1c\x81\xd8\x1d\x00", "not CBOR after byte "),  # an array that holds itself
        (b"\x81" * 300, "not CBOR after byte "),
        (b"\xa2\x61a\1\x61a\2", "not CBOR after byte "),  # two equal keys
        (whole + b"\x00", "unfolded, and more from byte"),
    ):
        status, text = run(content(payload))
        assert (status, what in text) == (0, True), text
    xml = {"ueConfigs": [{"configType": "COMMON", "configData": "<a/>"}]}
    assert "configData is XML" in run(content(cbor2.dumps(xml)))[1]


def test_every_kind_of_option_is_readable():
    options = [
        (3, b"host"),
        (4, b"\xbe\xef"),
        (5, b""),
        (6, b""),
        (14, b"\x01\x51\x80"),
        (16, b"\x05"),
        (23, b"\x1e"),
        (60, b"\x01\x00\x00\x00\x00"),
        (252, b"\x01\x02"),
        (64963, b"A"),
        (65020, b"\xff"),
    ]
    buf = bytearray(100)
    datagram = bytes(buf[: encode(buf, 0, 1, 0x1234, b"", options)]).hex()
    status, text = run(datagram)
    assert status == 0, text
    for line in (
        "      3 Uri-Host        host",
        "      4 ETag            beef",
        "      5 If-None-Match",
        "      6 Observe         0  register",
        "     14 Max-Age         86400 s",
        "     16 Hop-Limit       5",
        "     23 Block2          block 1, more follow, 1024 bytes a block",
        "     60 Size1           0100000000  (5 bytes, not 0 to 4: not recognised)",
        "    252 Echo            0102",
        '  64963 unknown         41 "A"  (critical, unsafe to forward)',
        "  65020 Recipient       ff  (not UTF-8)",
    ):
        assert line + "\n" in text, (line, text)


@pytest.mark.parametrize(
    ("datagram", "position", "reason"),
    [
        ("", 0, "the datagram ends within the header of 4 bytes"),
        ("400112", 3, "the datagram ends within the header of 4 bytes"),
        ("c0011234", 0, "version 3: CoAP is version 1"),
        ("4f011234", 0, "token length 15 is reserved"),
        ("48011234a1b2", 6, "the token has 2 of 8 bytes"),
        ("4d011234", 4, "the datagram ends within the token length"),
        ("40001234ff", 4, "an empty message (0.00) ends with its header: 1 byte too many"),
        ("40e11234", 1, "code 7.01: class 7 is reserved, for signalling over TCP only"),
        ("40211234", 1, "code 1.01: class 1 is reserved"),
        ("40011234ff", 4, "a payload marker without a payload"),
        ("40011234b161f1", 6, "option delta 15 is reserved"),
        ("40011234b1611f", 6, "option length 15 is reserved"),
        ("40011234b161d1", 6, "the datagram ends within an option delta"),
        ("40011234b1610d", 6, "the datagram ends within an option length"),
        ("40011234b57375", 4, "option 11 has 2 of 5 bytes"),
        ("40011234e0ffffe0ff00", 4, "option number 65804 is above 65535"),
    ],
)
def test_what_is_wrong_is_said_with_its_byte(datagram, position, reason):
    status, text = run(datagram)
    assert status == 1
    assert text.endswith(f"  byte {position}: {reason}\n"), text


def test_all_options_are_shown_however_many_they_are():
    status, text = run("40011234" + "e0ea5d" + "10" * 99)
    assert status == 0 and text.count("unknown") == 100, text


def test_what_was_sound_before_the_fault_is_shown_and_the_byte_is_marked():
    status, text = run(REQUEST.replace("edfcde05", "edfcde15"))
    assert status == 1
    assert text.startswith("CON GET (0.01), MID 0x1234, token a1b2c3d4, 104 bytes, malformed\n")
    assert "     17 Accept          65080  experimental\n" in text
    assert "  ... 3a 30 30 30 37 22 fe 38 [ed] fc de 15 63 6f 61 70 3a ...\n" in text
    assert text.endswith("  byte 82: option 65020 has 18 of 34 bytes\n")


def test_what_our_endpoints_discard_is_said():
    for datagram, reason in (
        ("60011234", "a request in an ACK is discarded"),
        ("70451234", "a Reset with a code is discarded"),
        ("40011234ff" + "00" * 1200, "1205 bytes: more than 1152 are discarded"),
    ):
        status, text = run(datagram)
        assert (status, text.endswith(f"  {reason}\n")) == (1, True), text


def test_several_datagrams_pieces_of_one_and_a_paste():
    status, text = run("40001234", "0x70 00 12 34")
    assert (status, text.count("Empty (0.00)")) == (0, 2)
    status, text = run(*REQUEST.split())
    assert (status, text.count("MID")) == (0, 1)
    assert run("40:00:12:34")[1].startswith("CON Empty (0.00), MID 0x1234, 4 bytes")
    status, text = run("4000123g")
    assert (status, "not hex: 'g' at digit 8" in text) == (1, True)
    assert run("400")[0] == 1
    assert run()[0] == 2


def test_lines_from_stdin_and_the_trace_of_a_role():
    hexed = "".join(REQUEST.split())
    trace = {"event": "datagram", "direction": "out", "remote": "127.0.0.3:65401", "hex": hexed}
    lines = [
        json.dumps({"event": "started", "role": "ue"}),
        json.dumps(trace),
        f"datagram direction=in hex={hexed} remote=127.0.0.3:65401",
        "backing_off seconds=5",
        f"msgin5g> \r\x1b[Kdatagram direction=in hex={hexed} remote=127.0.0.3:65401",
        "",
        hexed,
        "nonsense",
    ]
    status, text = run("-", stdin="\n".join(lines))
    assert status == 1
    assert text.count("CON GET (0.01)") == 4
    assert text.startswith('{"event": "started", "role": "ue"}\nto 127.0.0.3:65401\nCON GET')
    assert "\nbacking_off seconds=5\n" in text
    assert text.endswith("line 8: not hex: 'n' at digit 1\n")


def test_what_a_peer_sent_does_not_move_the_cursor():
    status, text = run("40011234 b5 1b5b324a0a")
    assert (status, "\x1b" in text, "\\x1b[2J\\n" in text) == (0, False, True)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda data: b"\x44\x45\0\0" + data))
@settings(max_examples=300, deadline=None)
def test_any_bytes_whatever_are_explained(datagram):
    explanation = explain(datagram, Registry())
    lines = [explanation.heading, *explanation.lines, explanation.fault or ""]
    assert all(line.isprintable() for line in lines), lines
    fields = entry_fields(Entry(0, "a", "b", datagram, ""), Registry())
    assert fields["size"] == len(datagram)
    assert len(SequenceDiagram([["a"], ["b"]]).line(Entry(0, "a", "b", datagram, "")).plain) < 120


def test_it_works_as_a_command(repository):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from msgin5g_tools.cli import main; main()",
            "decode",
            *REQUEST.split(),
        ],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("CON GET (0.01), MID 0x1234") and "\x1b" not in done.stdout


def test_one_line_for_each_datagram():
    status, text = run("--oneline", "--content-format", "65080", REQUEST, NOT_FOUND)
    assert (status, text.splitlines()) == (
        0,
        [
            "CON GET            0x1234  a1b2c3d4  ue-configurations?ue-uri=urn:x:ue:0007"
            "  Recipient coap://cms.example  104 bytes",
            "ACK 4.04 Not Found 0x1234  a1b2c3d4  Recipient urn:x:ue:0007"
            "  69 bytes: no document for this UE",
        ],
    )
    status, text = run("--oneline", content(cbor2.dumps([DOCUMENT])), "60001234", "80011234")
    assert status == 1
    lines = text.splitlines()
    assert lines[0].endswith(" bytes: array of 1 UeConfigDoc")
    assert lines[1] == "ACK Empty          0x1234  4 bytes"
    assert lines[2].startswith("4 bytes, not CoAP: byte 0: version 2") and len(lines) == 3


def test_one_line_of_a_block_and_of_a_notification():
    head = bytes.fromhex("61451234a1 6105 62fde9 b10b ff") + bytes(16)
    assert run("--oneline", head.hex())[1] == (
        "ACK 2.05 Content   0x1234  a1  Observe 5  block 0  29 bytes\n"
    )


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_one_line_is_one_line_whatever_the_bytes(data):
    for datagram in (data, bytes.fromhex("4401123401020304") + data):
        line, _, fault = one_line(datagram, Registry())
        assert all(c.isprintable() for c in line + (fault or ""))


def test_oneline_reads_the_trace_of_a_running_relay():
    event = {"event": "datagram", "direction": "out", "remote": "127.0.0.7:65401",
             "hex": NOT_FOUND.replace(" ", "").replace("\n", "")}  # fmt: skip
    status, text = run("--oneline", "-", stdin=json.dumps(event) + "\nstarted  role=relay\n")
    lines = text.splitlines()
    assert status == 0 and lines[1] == "started  role=relay"
    assert lines[0].startswith("to 127.0.0.7:65401  ACK 4.04 Not Found 0x1234")


def test_what_excludes_each_other_is_a_usage_error():
    for arguments in (("--oneline", "--json", REQUEST), ("--live", "lo", REQUEST),
                      ("--live", "lo", "--pcap", "x")):  # fmt: skip
        status, text = run(*arguments)
        assert status == 2 and "exclude each other" in text


def test_a_line_of_a_log_is_printed_as_it_is_whatever_it_says():
    line = "2026-11-29T17:14:17.123Z warning settings: unknown, ignored: typo"
    assert run("--oneline", "-", stdin=f"{line}\n") == (0, f"{line}\n")
