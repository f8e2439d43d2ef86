"""`msgin5g decode --pcap`: captures of every kind, filtered, cut off and damaged."""

import struct

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from msgin5g_tools.commands.decode import decode
from msgin5g_tools.decode.explain import explain
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.decode.capture import Capture, CaptureError

DATAGRAM = bytes.fromhex("44011234a1b2c3d4 b5 73752d7563 02 7631")


def run(*arguments):
    done = CliRunner().invoke(decode, [*arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def udp(payload, source=65401, target=5683):
    return struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload


def ipv4(segment, fragment=0):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, fragment, 64, 17, 0)
    return head + bytes((127, 0, 0, 2)) + bytes((127, 0, 0, 3)) + segment


def ipv6(segment):
    options = bytes((17, 0)) + bytes(6)
    head = struct.pack(">IHBB", 0x60000000, 8 + len(segment), 0, 64)
    return head + bytes(15) + b"\x01" + bytes(15) + b"\x02" + options + segment


def pcap(link_type, frames, order="<", magic=0xA1B2C3D4):
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for i, frame in enumerate(frames):
        data += struct.pack(order + "IIII", 10, i * 500, len(frame), len(frame)) + frame
    return data


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


SEGMENT = udp(DATAGRAM)
FRAME_SIZE = 20 + len(SEGMENT)


def test_a_capture_of_every_link_type(tmp_path):
    file = tmp_path / "capture.pcap"
    for link_type, frame in (
        (1, bytes(12) + b"\x08\x00" + ipv4(SEGMENT)),
        (1, bytes(12) + b"\x81\x00\x00\x07\x86\xdd" + ipv6(SEGMENT)),
        (0, b"\x02\x00\x00\x00" + ipv4(SEGMENT)),
        (101, ipv6(SEGMENT)),
        (228, ipv4(SEGMENT)),
        (113, bytes(14) + b"\x08\x00" + ipv4(SEGMENT)),
        (276, b"\x86\xdd" + bytes(18) + ipv6(SEGMENT)),
    ):
        file.write_bytes(pcap(link_type, [frame]))
        status, text = run("--pcap", str(file))
        assert status == 0, link_type
        assert "-> 127.0.0.3:5683\nCON GET" in text or "-> [::2]:5683\nCON GET" in text, link_type
        assert text.startswith("#1  0.000000 s  "), link_type


def test_a_capture_is_filtered_by_port_and_reports_fragments(tmp_path):
    file = tmp_path / "capture.pcap"
    frames = [
        ipv4(udp(b"dns", 53, 5353)),
        ipv4(SEGMENT),
        ipv4(SEGMENT, fragment=0x2000),
        ipv4(SEGMENT)[:30],
        ipv4(udp(b"\xc0", 61616, 61617)),
    ]
    for order, magic in (("<", 0xA1B2C3D4), (">", 0xA1B2C3D4), ("<", 0xA1B23C4D)):
        file.write_bytes(pcap(101, frames, order, magic))
        status, text = run("--pcap", str(file))
        assert (status, text.count("MID")) == (0, 1), text
        assert (
            "1 of 5 frames have a datagram of UDP port 5683, 65401; fragments not reassembled: 1"
            in text
        )
    status, text = run("--pcap", str(file), "--port", "61616")
    assert status == 1 and "#5  0.000002 s  127.0.0.2:61616 -> 127.0.0.3:61617" in text


def pcapng(order):
    data = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    resolution = struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0)
    data += block(1, struct.pack(order + "HHI", 101, 0, 0) + resolution, order)
    data += block(5, b"statistics..", order)
    frame = ipv4(SEGMENT)
    for i in (1, 2):
        head = struct.pack(order + "IIIII", 0, 0, i * 10**9, len(frame), len(frame))
        data += block(6, head + frame, order)
    return data + block(3, struct.pack(order + "I", len(frame)) + frame, order)


def test_pcapng_of_both_byte_orders():
    for order in "<>":
        found = list(Capture(pcapng(order)).datagrams())
        assert [(d.number, d.seconds) for d in found] == [(1, 0), (2, 1), (3, 0)], order
        assert all(d.payload == DATAGRAM for d in found)
        assert found[0].source == ("127.0.0.2", 65401)


def test_pcapng_of_two_interfaces_each_with_its_link_type_and_clock():
    data = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(1, struct.pack("<HHI", 101, 0, 0))  # raw IP, microseconds
    data += block(1, struct.pack("<HHIHHB3xHH", 1, 0, 0, 9, 1, 3, 0, 0))  # Ethernet, milliseconds
    raw, ethernet = ipv4(SEGMENT), bytes(12) + b"\x08\x00" + ipv4(SEGMENT)
    for interface, ticks, frame in ((0, 2000000, raw), (1, 2500, ethernet)):
        head = struct.pack("<IIIII", interface, 0, ticks, len(frame), len(frame))
        data += block(6, head + frame)
    found = list(Capture(data).datagrams())
    assert [(d.seconds, d.payload) for d in found] == [(0, DATAGRAM), (0.5, DATAGRAM)]
    file_of_interface_7 = data + block(6, struct.pack("<IIIII", 7, 0, 0, 0, 0))
    try:
        list(Capture(file_of_interface_7).datagrams())
        raise AssertionError("an interface that the file does not describe")
    except CaptureError as error:
        assert str(error) == f"byte {len(data)}: a damaged block, or one without interface"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_capture_is_read_as_far_as_it_goes(data):
    ethernet = bytes(12) + b"\x08\x00" + ipv4(SEGMENT)
    whole = data.draw(
        st.sampled_from([pcapng("<"), pcap(1, [ethernet] * 2), pcap(101, [ipv6(SEGMENT)] * 2)])
    )
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.integers(0, 255))
    try:
        for datagram in Capture(bytes(damaged)).datagrams():
            assert explain(datagram.payload, Registry()).heading
    except CaptureError as error:
        assert "\n" not in str(error)


def test_a_file_that_is_no_capture_or_is_cut_off_is_one_line(tmp_path):
    file = tmp_path / "capture"
    whole = pcap(101, [ipv4(SEGMENT), ipv4(SEGMENT)])
    for data, reason in (
        (b"", "neither pcap nor pcapng"),
        (b"hello, world, this is text", "neither pcap nor pcapng"),
        (
            whole[:-1],
            f"byte {56 + FRAME_SIZE}: the file ends within a frame of {FRAME_SIZE} bytes",
        ),
        (whole[:30], "byte 24: the file ends within a header"),
        (pcap(147, [b"x"]), "frame 1: link type 147 is not supported"),
    ):
        file.write_bytes(data)
        status, text = run("--pcap", str(file))
        assert (status, f"{file}: {reason}\n" in text) == (1, True), text
    assert run("--pcap", str(tmp_path / "absent")) == (
        1,
        f"Error: {tmp_path / 'absent'}: No such file or directory\n",
    )
    for size in range(len(whole)):
        try:
            list(Capture(whole[:size]).datagrams())
        except CaptureError:
            pass
