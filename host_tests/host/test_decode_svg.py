"""`msgin5g decode --pcap FILE --svg FILE.svg`: the messages of a capture as a picture."""

import itertools
import re
import xml.etree.ElementTree as ET

import tour
from click.testing import CliRunner

from msgin5g_tools.commands.decode import decode
from msgin5g_tools.decode.capture_writer import CaptureWriter

GET = bytes.fromhex("44010001a1b2c3d4b573752d7563")
CONTENT = bytes.fromhex("64450001a1b2c3d4")
EMPTY = bytes.fromhex("60000001")
UE, OTHER, RELAY, SERVER = ((f"192.0.2.{n}", 65401) for n in (7, 8, 1, 2))
_SVG = "{http://www.w3.org/2000/svg}"


def written(folder, *messages):
    """A capture of (source, target, datagram), one each second."""
    with (folder / "capture.pcap").open("wb") as file:
        writer = CaptureWriter(file)
        for seconds, (source, target, datagram) in enumerate(messages):
            writer.write(1000 + seconds, source, target, datagram)
    return folder / "capture.pcap"


def drawn(folder, *messages):
    """(the text of the SVG, the last line of the command) for a capture."""
    file = folder / "capture.svg"
    capture = str(written(folder, *messages))
    done = CliRunner().invoke(decode, ["--pcap", capture, "--svg", str(file), "--oneline"])
    assert done.exception is None or done.exit_code == 1, done.output
    return file.read_text(), done.output.splitlines()[-1]


def test_who_asks_is_on_the_left_of_who_is_asked(tmp_path):
    text, counted = drawn(
        tmp_path,
        (SERVER, RELAY, CONTENT),  # its request is from before the capture
        (RELAY, UE, CONTENT),
        (OTHER, RELAY, GET),
        (RELAY, SERVER, GET),
    )
    assert tour.heads(text) == ["192.0.2.7", "192.0.2.8", "192.0.2.1", "192.0.2.2"]
    assert tour.sentences(text) == [
        "192.0.2.2 to 192.0.2.1: ACK 2.05 Content",
        "192.0.2.1 to 192.0.2.7: ACK 2.05 Content",
        "192.0.2.8 to 192.0.2.1: CON GET",
        "192.0.2.1 to 192.0.2.2: CON GET",
    ]
    assert counted == f"{tmp_path / 'capture.svg'}: 4 messages between 4 addresses"
    assert re.search(">3000<", text), "milliseconds since the first message"


def test_participants_that_ask_each_other_are_in_the_order_of_the_first_request(tmp_path):
    ring = [(UE, RELAY, GET), (RELAY, SERVER, GET), (SERVER, UE, GET), (RELAY, UE, GET)]
    assert tour.heads(drawn(tmp_path, *ring)[0]) == ["192.0.2.7", "192.0.2.1", "192.0.2.2"]


def test_programs_of_one_host_are_told_apart_by_their_ports_and_otherwise_are_one(tmp_path):
    here = [("127.0.0.1", port) for port in (5683, 40001, 40002)]
    text, _ = drawn(tmp_path, *((each, here[0], GET) for each in here[1:]))
    assert tour.heads(text) == ["127.0.0.1:40001", "127.0.0.1:40002", "127.0.0.1:5683"]
    text, _ = drawn(tmp_path, *((("192.0.2.9", port), SERVER, GET) for port in (5000, 5001)))
    assert tour.heads(text) == ["192.0.2.9", "192.0.2.2"]


def test_what_is_no_coap_or_an_empty_message_is_drawn_too(tmp_path):
    text, _ = drawn(tmp_path, (UE, RELAY, b"\xc0"), (RELAY, UE, EMPTY), (UE, UE, GET))
    assert tour.sentences(text) == [
        "192.0.2.7:65401 to 192.0.2.1: not CoAP",
        "192.0.2.1 to 192.0.2.7:65401: ACK empty",
        "192.0.2.7:65401 to 192.0.2.7:65401: CON GET",
    ]


def test_long_names_fit_into_their_boxes_which_do_not_overlap(tmp_path):
    long = [(f"192.168.100.{n}", 65401) for n in range(100, 104)]
    text, _ = drawn(tmp_path, *((each, SERVER, GET) for each in long))
    boxes = [
        (int(each.get("x")), int(each.get("x")) + int(each.get("width")))
        for each in ET.fromstring(text).iter(f"{_SVG}rect")
        if each.get("class") == "box"
    ]
    assert len(boxes) == 5
    letters = len("192.168.100.100")
    assert all(end - start >= 7 * letters for start, end in boxes)  # of bold text of 12 px
    pairs = itertools.pairwise(sorted(boxes))
    assert all(end < start for (_, end), (start, _) in pairs)


def test_of_a_long_capture_the_beginning_is_drawn_and_the_rest_is_counted(tmp_path):
    text, counted = drawn(tmp_path, *[(UE, SERVER, GET)] * 1003)
    assert len(tour.sentences(text)) == 1000
    assert counted.endswith("1000 messages between 2 addresses; not drawn: 3")
    many = [((f"192.0.2.{n}", 65401), SERVER, GET) for n in range(50, 100)]
    text, counted = drawn(tmp_path, *many, many[0])
    assert len(tour.heads(text)) == 40 and len(tour.sentences(text)) == 40
    assert counted.endswith("40 messages between 40 addresses; not drawn: 11")


def test_a_capture_from_a_pipe_is_drawn_and_a_damaged_one_as_far_as_it_goes(tmp_path):
    data = written(tmp_path, (UE, SERVER, GET), (SERVER, UE, CONTENT)).read_bytes()
    file = tmp_path / "pipe.svg"
    for cut, n in ((len(data), 2), (len(data) - 1, 1)):
        options = ["--pcap", "-", "--svg", str(file), "--json"]
        done = CliRunner().invoke(decode, options, input=data[:cut])
        assert (done.exit_code, len(tour.sentences(file.read_text()))) == (n % 2, n)
    assert "a capture from stdin" in file.read_text()


def test_a_capture_without_a_datagram_of_these_ports_is_not_drawn(tmp_path):
    file = tmp_path / "capture.svg"
    capture = str(written(tmp_path, (UE, SERVER, GET)))
    options = ["--pcap", capture, "--svg", str(file), "--port", "7"]
    done = CliRunner().invoke(decode, options)
    assert (done.exit_code, file.exists()) == (1, False)
    assert f"Error: {file}: not written, there is nothing to draw" in done.output
