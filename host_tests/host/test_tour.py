"""docs/tour.md: each picture shows what the firmware does today, to everybody, in few bytes."""

import json
import re
import shlex
import xml.etree.ElementTree as ET

import pytest
import tour
from click.testing import CliRunner

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.demo.recording import last_picture
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.decode.sequence_diagram import Entry
from msgin5g_tools.decode.sequence_svg import sequence_svg
from msgin5g_tools.paths import ROOT

_PAGE = (ROOT / "docs" / "tour.md").read_text()
_PICTURES = [tour.IMAGES / name for name in re.findall(r"\]\(images/(.*?\.svg)\)", _PAGE)]
_MAX_SIZE = 40_000
_MAX_CHART_SIZE = 60_000
_SVG = "{http://www.w3.org/2000/svg}"
_GET = bytes.fromhex("44011234a1b2c3d4b573752d7563")


@pytest.mark.parametrize("file", tour.VIRTUAL)
def test_a_picture_of_the_virtual_network_has_the_messages_of_a_run_today(file):
    shown = tour.sentences((tour.IMAGES / file).read_text())
    assert shown == tour.sentences(tour.drawn(tour.VIRTUAL[file]()))
    assert len(shown) > 5


def labels(picture):
    """The texts of a chart, without the numbers at the axes, which the drawing library chooses."""
    texts = [text.text for text in ET.parse(picture).getroot().iter(f"{_SVG}text")]
    return [text for text in texts if re.search("[a-z]", text)]


def test_the_chart_shows_the_figures_that_the_command_beside_it_draws_today(tmp_path):
    command = re.search(r"^    (msgin5g simulate .*)$", _PAGE, re.MULTILINE)[1]
    *words, file = shlex.split(command)[1:]
    done = CliRunner().invoke(msgin5g, [*words, str(tmp_path / file)])
    assert done.exit_code == 0, done.output
    shown, today = labels(tour.IMAGES / "simulate.svg"), labels(tmp_path / file)
    assert len(today) > 10 and shown == today, f"draw docs/images/simulate.svg anew: {command}"
    words_for_it = re.search(
        r"!\[(.*?)\]\(docs/images/simulate", (ROOT / "README.md").read_text()
    )[1]
    for role, n in re.findall(r"(relay|gateway): (\d+) requests at the server", " ".join(today)):
        assert re.search(rf"\b{n} (?:requests at the server )?with a {role}", words_for_it), role


@pytest.mark.parametrize("picture", _PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_small_needs_nothing_from_elsewhere_and_has_a_title(picture):
    text = picture.read_text()
    chart = picture.name == "simulate.svg"
    assert len(text.encode()) < (_MAX_CHART_SIZE if chart else _MAX_SIZE)
    assert not re.search(r"(?:href|src)=\"(?!#)|url\((?!['\"]?#)|@import|<script", text)
    root = ET.fromstring(text)
    if not chart:  # matplotlib gives it none: the page's text for it must do
        assert root.findtext(f"{_SVG}title") and root.findtext(f"{_SVG}desc")
    if "terminal" not in picture.name:
        assert "prefers-color-scheme" in text and "dark" in text


def test_the_page_shows_each_picture_and_has_words_for_it():
    assert len(_PICTURES) == 6
    made = {picture.name for picture in tour.IMAGES.glob("tour-*.svg")}
    assert {picture.name for picture in _PICTURES} == made | {"simulate.svg"}
    assert all(len(words) > 40 for words in re.findall(r"!\[(.*?)\]", _PAGE))


def test_the_recording_is_the_run_of_the_pictures_beside_it():
    header, *events = map(json.loads, (tour.IMAGES / "tour-demo.cast").read_text().splitlines())
    assert (header["version"], header["width"]) == (2, 112)
    times = [seconds for seconds, _, _ in events]
    assert times == sorted(times)
    output = last_picture("".join(text for _, _, text in events))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert "As expected, in" in plain and "starting server" not in plain
    shown = "".join(ET.parse(tour.IMAGES / "tour-demo-terminal.svg").getroot().itertext())
    for line in plain.splitlines():
        assert "".join(line.split()) in re.sub(r"\s", "", shown), line


def test_a_diagram_shows_hostile_and_broken_messages_as_plain_text():
    entries = [
        Entry(0, "<b>&", "server", _GET, "a & b\x1b[31m"),
        Entry(0.1, "server", "<b>&", b"\x00", ""),
    ]
    text = sequence_svg("<i>", "&", [["<b>&"], ["server"]], entries, Registry())
    first, second = tour.sentences(text)
    assert first.startswith("<b>& to server: CON GET, a & b") and "\x1b" not in text
    assert second == "server to <b>&: not CoAP"
