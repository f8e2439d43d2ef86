"""`msgin5g wireshark`: what tshark shows, against what `msgin5g decode` says."""

import json
import subprocess
import sys

import cbor2
import pytest
from click.testing import CliRunner
from fuzz_bytes import Chance, mutate
from peers import program

from msgin5g_tools.commands.decode import decode
from msgin5g_tools.commands.wireshark import wireshark
from msgin5g_tools.decode.capture_writer import CaptureWriter
from msgin5g_tools.paths import ROOT
from msgin5g_tools.wireshark import NAME, dissector

from msgin5g.coap.message import encode
from msgin5g.coap.numbers import ACK, BLOCK2, CON, CONTENT, CONTENT_FORMAT, GET

LUA = ROOT / "tools" / "wireshark" / NAME
RECIPIENT = 65020
UE = ("127.0.0.7", 65401)
RELAY = ("127.0.0.1", 65401)
SERVER = ("127.0.0.2", 5683)
TYPES = {"0": "CON", "1": "NON", "2": "ACK", "3": "RST"}
CONFIGURATION = {
    "MSGin5G-Server-address": "coap://msgin5g.example.com",
    "MSGin5G-UE-Service-id": "sensor-7@example.com",
    "Segment-size": 1024,
}
DOCUMENT = {
    "ueConfigDocId": "ue-0007",
    "valServiceDomain": "example.com",
    "valServiceId": "msgin5g",
    "valUeIds": {"uris": ["urn:x-msgin5g:ue:0007", "urn:x-msgin5g:ue:0008"]},
    "ueConfigs": [{"configType": "ON_NETWORK", "configData": json.dumps(CONFIGURATION)}],
}


def tshark(*arguments):
    """The output of tshark with the dissector; it says nothing of an error."""
    done = subprocess.run(
        [program("tshark", "tshark"), "-X", f"lua_script:{LUA}", *map(str, arguments)],
        capture_output=True,
        timeout=300,
        check=False,
    )
    errors = done.stderr.decode()
    assert done.returncode == 0 and "Lua" not in errors, errors
    return done.stdout.decode()


def capture(path, *messages):
    """A capture of (source, target, datagram); the path of the file."""
    with open(path, "wb") as file:
        writer = CaptureWriter(file)
        for i, (source, target, datagram) in enumerate(messages):
            writer.write(1700000000 + i / 100, source, target, datagram)
    return path


def message(code, options, payload=b"", mtype=ACK, mid=0x1234, token=b"\xa1\xb2"):
    buf = bytearray(len(payload) + 2000)
    return bytes(buf[: encode(buf, mtype, code, mid, token, options, payload)])


def response(payload, content_format, recipient=b"urn:x-msgin5g:ue:0007", **more):
    number = content_format.to_bytes(2, "big").lstrip(b"\0")
    return message(CONTENT, [(CONTENT_FORMAT, number), (RECIPIENT, recipient)], payload, **more)


def fields_of(path, *names, options=()):
    """For each frame the values of each field: {name: list of text}."""
    wanted = [word for name in names for word in ("-e", name)]
    text = tshark(*options, "-r", path, "-T", "fields", "-E", "aggregator=|", *wanted)
    rows = [line.split("\t") for line in text.splitlines()]
    return [
        {name: cell.split("|") if cell else [] for name, cell in zip(names, row, strict=True)}
        for row in rows
    ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The capture of a run of the demo, in a folder with a space and an umlaut."""
    folder = tmp_path_factory.mktemp("wire shärk")
    command = (sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "demo")
    done = subprocess.run(
        [*command, "--json", "--pcap", folder / "demo.pcap"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder / "demo.pcap"


def decoded(path):
    """What `msgin5g decode --json` says of each datagram of a capture."""
    done = CliRunner().invoke(decode, ["--pcap", str(path), "--json"])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def payload_of(row):
    """The payload that `decode` shows as JSON, or None."""
    for i, line in enumerate(row["lines"]):
        if line.lstrip().startswith("payload, "):
            return json.loads("\n".join(row["lines"][i + 1 :]))
    return None


def test_tshark_and_decode_agree_on_every_message_of_the_demo(demo):
    messages = decoded(demo)
    frames = fields_of(
        demo,
        "coap.type",
        "coap.mid",
        "coap.token",
        "msgin5g.recipient",
        "msgin5g.problem.title",
        "msgin5g.problem.detail",
        "msgin5g.problem.response_code",
        "ueconfigdoc.id",
        "ueconfigdoc.val_service_domain",
        "ueconfigdoc.val_service_id",
        "ueconfigdoc.uri",
        "ueconfigdoc.config_type",
        "ueconfigdoc.server_address",
        "ueconfigdoc.ue_service_id",
        "ueconfigdoc.segment_size",
    )
    assert len(frames) == len(messages) > 10
    n_documents = n_problems = 0
    for frame, said in zip(frames, messages, strict=True):
        assert TYPES[frame["coap.type"][0]] == said["type"]
        assert int(frame["coap.mid"][0]) == said["mid"]
        assert frame["coap.token"] == [said["token"]]
        assert frame["msgin5g.recipient"] == [said["recipient"]]
        payload = payload_of(said)
        if isinstance(payload, list):
            n_documents += 1
            (document,) = payload
            (config,) = document["ueConfigs"]
            data = config["configData"]
            assert frame["ueconfigdoc.id"] == [document["ueConfigDocId"]]
            assert frame["ueconfigdoc.val_service_domain"] == [document["valServiceDomain"]]
            assert frame["ueconfigdoc.val_service_id"] == [document["valServiceId"]]
            assert frame["ueconfigdoc.uri"] == document["valUeIds"]["uris"]
            assert frame["ueconfigdoc.config_type"] == [config["configType"]]
            assert frame["ueconfigdoc.server_address"] == [data["MSGin5G-Server-address"]]
            assert frame["ueconfigdoc.ue_service_id"] == [data["MSGin5G-UE-Service-id"]]
            assert frame["ueconfigdoc.segment_size"] == [str(data["Segment-size"])]
        else:
            assert frame["ueconfigdoc.id"] == []
        if isinstance(payload, dict):
            n_problems += 1
            assert frame["msgin5g.problem.title"] == [payload["title"]]
            assert frame["msgin5g.problem.response_code"] == [payload["response-code"]]
            if "detail" in payload:
                assert frame["msgin5g.problem.detail"] == [payload["detail"]]
    assert n_documents >= 3 and n_problems >= 4


def test_both_directions_are_named_on_the_link_and_on_the_server_side(demo):
    ways = set()
    for row, frame in zip(
        decoded(demo),
        fields_of(demo, "msgin5g.leg", "msgin5g.direction"),
        strict=True,
    ):
        is_request = row["code"] == "0.01"
        (leg,), (direction,) = frame.values()
        assert direction == ("to the server" if is_request else "to the UE")
        assert (leg == "server") == (":5683" in row["where"]), row["where"]
        ways.add((leg, direction))
    assert len(ways) == 4


def test_a_person_reads_recipient_and_document_in_the_verbose_output(demo):
    text = tshark("-r", demo, "-V")
    for line in (
        "MSGin5G Configuration over CoAP, link, to the server, Recipient coap://scm.example",
        "    Recipient: urn:x-msgin5g:ue:0007",
        "    Content-Format: 65001  application/vnd.3gpp.seal-ue-config-info+cbor",
        "    ueConfigDocId: ue-0007",
        "                MSGin5G-Server-address: coap://msgin5g.example.com",
        "        detail: urn:x-msgin5g:ue:0008 is not allowed",
    ):
        assert f"\n{line}\n" in text, line
    assert ", server side, to the UE, Recipient urn:x-msgin5g:ue:0009" in tshark("-r", demo)


def test_documents_in_cbor_under_each_format_and_in_json(tmp_path):
    binary = cbor2.dumps([DOCUMENT])
    text = json.dumps(DOCUMENT, indent=1).encode()
    without_format = message(CONTENT, [(RECIPIENT, b"urn:x-msgin5g:ue:0007")], binary)
    path = capture(
        tmp_path / "documents.pcap",
        (RELAY, UE, response(binary, 65001)),
        (RELAY, UE, response(binary, 60)),
        (RELAY, UE, without_format),
        (RELAY, UE, response(text, 50)),
        (RELAY, UE, response(cbor2.dumps(DOCUMENT), 65001)),
        (RELAY, UE, response(cbor2.dumps([DOCUMENT, DOCUMENT]), 65001)),
    )
    rows = fields_of(path, "ueconfigdoc.uri", "ueconfigdoc.ue_service_id")
    expected = [[DOCUMENT["valUeIds"]["uris"], ["sensor-7@example.com"]]] * 5
    assert [list(row.values()) for row in rows[:5]] == expected
    assert rows[5]["ueconfigdoc.ue_service_id"] == ["sensor-7@example.com"] * 2


def test_numbers_beside_the_elements_of_a_document_are_exact(tmp_path):
    values = {"a": 0.1, "b": 1e300, "c": -1.5, "d": 2**40, "e": -7, "f": float("-inf"), "g": 0.0,
              "h": 2**64 - 1, "i": True, "j": None, "k": 5e-324}  # fmt: skip
    extended = {**DOCUMENT, **values}
    datagrams = [response(cbor2.dumps(extended, canonical=c), 65001) for c in (False, True)]
    path = capture(tmp_path / "numbers.pcap", *((RELAY, UE, each) for each in datagrams))
    expected = ["a: 0.1", "b: 1e+300", "c: -1.5", "d: 1099511627776", "e: -7", "f: -inf", "g: 0",
                "h: 18446744073709551616 (rounded)", "i: true", "j: null",
                "k: 4.9406564584125e-324"]  # fmt: skip
    for row in fields_of(path, "ueconfigdoc.other"):
        shown = [text.replace("g: 0.0", "g: 0") for text in row["ueconfigdoc.other"]]
        assert sorted(shown) == expected


def test_a_document_in_blocks_is_shown_once_it_is_whole(tmp_path):
    body = cbor2.dumps([DOCUMENT])
    messages = []
    for i in range(0, len(body), 128):
        number, more = i // 128, i + 128 < len(body)
        block = (number << 4 | more << 3 | 3).to_bytes(1, "big")
        token = bytes((number, 7))
        request = message(GET, [(BLOCK2, bytes((number << 4 | 3,)))], b"", CON, number, token)
        options = [(CONTENT_FORMAT, b"\xfd\xe9"), (BLOCK2, block), (RECIPIENT, b"urn:x")]
        answer = message(CONTENT, options, body[i : i + 128], ACK, number, token)
        messages += [(UE, RELAY, request), (RELAY, UE, answer)]
    assert len(messages) > 4
    rows = fields_of(capture(tmp_path / "blocks.pcap", *messages), "ueconfigdoc.id")
    assert [row["ueconfigdoc.id"] for row in rows] == [[]] * (len(rows) - 1) + [["ue-0007"]]


def test_the_numbers_and_the_port_of_a_deployment_are_preferences(tmp_path):
    datagram = message(
        CONTENT,
        [(CONTENT_FORMAT, b"\xfd\xea"), (65021, b"urn:x-msgin5g:ue:0009")],
        cbor2.dumps([DOCUMENT]),
    )
    path = capture(tmp_path / "c.pcap", (("127.0.0.1", 7000), ("127.0.0.9", 7000), datagram))
    names = ("msgin5g.recipient", "msgin5g.leg", "ueconfigdoc.id")
    options = ("recipient_option:65021", "content_format:65002", "port:7000")
    options = [word for option in options for word in ("-o", f"msgin5g.{option}")]
    (row,) = fields_of(path, *names, options=options)
    assert list(row.values()) == [["urn:x-msgin5g:ue:0009"], ["link"], ["ue-0007"]]
    assert fields_of(path, *names) == [{name: [] for name in names}]


def test_text_of_a_peer_cannot_write_to_the_terminal(tmp_path):
    hostile = {**DOCUMENT, "ueConfigDocId": "a\x1b[2J\u202eb", "more\nkey": "\x9bK"}
    path = capture(
        tmp_path / "hostile.pcap",
        (RELAY, UE, response(cbor2.dumps([hostile]), 65001, b"urn:\x1b]0;x\x07\xe2\x80\xae")),
        (RELAY, UE, response(cbor2.dumps([hostile]), 65001, b"\xff\xfe")),
        (RELAY, UE, response(json.dumps(hostile).encode() + b'"\xff"', 50, b"")),
    )
    for arguments in (("-V",), ("-T", "fields", "-e", "msgin5g.recipient"), ()):
        text = tshark("-r", path, *arguments)
        assert not {c for c in text if not c.isprintable()} - {"\n", "\t"}, arguments
    assert "fffe  (not UTF-8)" in text or "fffe  (not UTF-8)" in tshark("-r", path, "-V")
    assert "0 bytes, not 1 to 255: not recognised" in tshark("-r", path, "-V")


def test_malformed_bytes_are_no_error_of_the_dissector(tmp_path):
    deep = b"\x81" * 5000
    seeds = [
        response(cbor2.dumps([DOCUMENT, {**DOCUMENT, "x": [1.5, None, 2**63, b"\1"]}]), 65001),
        response(json.dumps([DOCUMENT]).encode(), 50),
        response(cbor2.dumps({-1: "No", -2: "Why", -4: 132, -8: [1, 2]}), 257),
        message(GET, [(17, b"\xfd\xe9"), (RECIPIENT, b"coap://scm.example")], b"", CON),
        response(deep, 65001),
        response(b"[" * 5000, 50),
        response(b"\xbf" + cbor2.dumps("ueConfigs") + b"\x9f" * 20, 60),
    ]
    chance = Chance(14)
    messages = [(RELAY, UE, seed) for seed in seeds]
    for i in range(6000):
        datagram = bytearray(seeds[i % len(seeds)])
        mutate(datagram, chance, seeds)
        messages.append((SERVER if i % 2 else UE, RELAY, bytes(datagram[:60000])))
    path = capture(tmp_path / "fuzz.pcap", *messages)
    short = tmp_path / "short.pcap"
    cut_frames(path, short)
    for file in (path, short):
        text = tshark("-r", file, "-O", "msgin5g,ueconfigdoc,coap")
        # Wireshark's own dissector of CBOR stops at a depth, and calls that its bug.
        wrong = [line for line in text.splitlines() if "Lua Error" in line or "MSGin5G:" in line]
        assert not wrong
        assert text.count("\nMSGin5G Configuration over CoAP") > 3000


def cut_frames(path, shortened):
    """A copy of a capture with at most 90 bytes of each frame."""
    data, out, i = path.read_bytes(), bytearray(), 24
    out += data[:24]
    while i < len(data):
        size = int.from_bytes(data[i + 8 : i + 12], "little")
        out += data[i : i + 8] + min(size, 90).to_bytes(4, "little") + data[i + 12 : i + 16]
        out += data[i + 16 : i + 16 + min(size, 90)]
        i += 16 + size
    shortened.write_bytes(out)


def test_install_puts_the_dissector_where_tshark_finds_it(tmp_path, monkeypatch, demo):
    home = tmp_path / "Zuhause ä"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for _ in range(2):  # the second time replaces the file
        done = CliRunner().invoke(wireshark, ["--install"])
        assert done.exit_code == 0, done.output
    (file,) = home.rglob("*.lua")
    assert f"installed {file};" in done.output
    shown = subprocess.run(
        [program("tshark", "tshark"), "-r", demo, "-T", "fields", "-e", "msgin5g.recipient"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b"urn:x-msgin5g:ue:0007" in shown.stdout


def test_print_and_a_folder_of_ones_own_and_what_is_in_the_way(tmp_path):
    assert CliRunner().invoke(wireshark, ["--print"]).output == dissector()
    done = CliRunner().invoke(wireshark, ["--install", "--folder", str(tmp_path / "a" / "b")])
    assert done.exit_code == 0 and (tmp_path / "a" / "b" / NAME).read_text() == dissector()
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(wireshark, ["--install", "--folder", str(tmp_path / "file" / "b")])
    assert done.exit_code == 1 and done.output.count("\n") == 1
    assert done.output == f"Error: {tmp_path / 'file' / 'b' / NAME}: Not a directory\n"
    for arguments in ((), ("--install", "--print"), ("--folder", "x")):
        done = CliRunner().invoke(wireshark, [*arguments])
        assert done.exit_code == 2 and "give --install [--folder PATH] or --print" in done.output
