"""`msgin5g demo`: what its users see, that its output is true, and nothing stays behind."""

import json
import os
import re
import subprocess
import sys

import pytest
import tour
from click.testing import CliRunner

from msgin5g_tools.commands.decode import decode
from msgin5g_tools.decode.explain import explain
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.proxy import foreign_copy

COMMAND = "from msgin5g_tools.cli import main; main()"
_UES = [f"urn:x-msgin5g:ue:{n:04}" for n in (7, 8, 9)]
_SERVER = "coap://scm.example"

# What a child of ours leaves behind becomes ours: so all of it is seen.
WITNESS = """
import ctypes, os, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
number, line = int(sys.argv[1]), sys.argv[2]
code = "from msgin5g_tools.cli import main; main()"
command = [sys.executable, "-c", code, "demo", *sys.argv[3:]]
demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
for text in demo.stdout:
    if line in text:
        demo.send_signal(number)
print(demo.wait())
try:
    print("left behind:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("nobody left")
"""


def start(repository, tmp_path, code=COMMAND, *arguments, **environment):
    """The demo, with a temporary directory of its own."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=repository,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, tmp_path):
    """(exit status, what was printed); neither files nor complaints are left."""
    said, complaints = process.communicate(timeout=120)
    assert complaints == ""
    assert list((tmp_path / "tmp").iterdir()) == []
    return process.returncode, said


@pytest.fixture(scope="module")
def two(repository, tmp_path_factory):
    """What two demos at once print, one for a person and one as JSON."""
    places = tmp_path_factory.mktemp("person"), tmp_path_factory.mktemp("json")
    diagram, capture = places[0] / "relay.svg", places[0] / "relay.pcap"
    drawing = ("--diagram", str(diagram), "--pcap", str(capture))
    processes = [
        start(repository, places[0], COMMAND, "demo", *drawing),
        start(repository, places[1], COMMAND, "demo", "--json"),
    ]
    done = [finish(process, place) for process, place in zip(processes, places, strict=True)]
    assert [status for status, _ in done] == [0, 0], done
    return done[0][1], json.loads(done[1][1]), diagram.read_text(), capture


def test_the_diagram_and_the_picture_of_the_tour_show_this_run(two):
    drawn = tour.sentences(two[2])
    assert tour.exchanged(drawn) == tour.exchanged(tour.said(two[1]["ladder"]))
    picture = (tour.IMAGES / "tour-relay.svg").read_text()
    assert tour.exchanged(tour.sentences(picture)) == tour.exchanged(drawn)
    assert len(tour.exchanged(drawn)) > 10


def test_decode_draws_the_capture_of_this_run_as_the_demo_draws_it(two, tmp_path):
    picture = tmp_path / "capture.svg"
    done = CliRunner().invoke(decode, ["--pcap", str(two[3]), "--svg", str(picture)])
    assert done.exit_code == 0 and "13 messages between 5 addresses" in done.output
    # Its participants have addresses, and the demo's have names, in the same order.
    expected, shown = (
        tour.sentences(text) for text in (two[2], picture.read_text(encoding="utf-8"))
    )
    names = dict(zip(tour.heads(picture.read_text()), tour.heads(two[2]), strict=True))
    assert list(names.values()) == ["UE 0007", "UE 0008", "UE 0009", "relay", "server"]
    named = [
        f"{names[source]} to {names[target]}: {what}"
        for source, target, what in (
            re.fullmatch(r"(\S+) to (\S+): (.*)", sentence).groups() for sentence in shown
        )
    ]
    assert named == [sentence.removesuffix(", planted") for sentence in expected]


def test_one_is_configured_one_forbidden_one_unknown(two):
    _, scenario, *_ = two
    assert (scenario["ok"], scenario["errors"]) == (True, [])
    outcomes = [scenario["outcomes"][ue] for ue in _UES]
    assert [(o["event"], o["code"]) for o in outcomes] == [
        ("applied", "2.05"),
        ("rejected", "4.03"),
        ("rejected", "4.04"),
    ]
    assert outcomes[0]["configuration"] == scenario["configuration"] == actors.CONFIGURATION
    assert outcomes[1]["detail"] == f"{_UES[1]} is not allowed"
    assert scenario["set_up_seconds"] < scenario["seconds"]
    assert "logs" not in scenario


def test_a_foreign_answer_is_discarded_and_the_true_one_arrives(two):
    _, scenario, *_ = two
    assert scenario["counters"] == {"recipient_not_linked": 1}
    assert scenario["foreign_answer"] == {
        "recipient": "urn:x-msgin5g:ue:0010",
        "arrived": True,
        "counted": 1,
        "discarded": True,
    }
    planted, true = (m for m in scenario["ladder"] if (m["from"], m["code"]) == ("server", "2.05"))
    assert planted["note"] == "planted" and "note" not in true
    for key in ("type", "mid", "token", "size", "to"):
        assert planted[key] == true[key], key
    assert planted["hex"].replace(b"0010".hex(), b"0007".hex(), 1) == true["hex"]
    assert [m["from"] for m in scenario["ladder"] if m["recipient"] == planted["recipient"]] == [
        "server"
    ]


def test_the_relay_has_message_ids_and_tokens_of_its_own(two):
    _, scenario, *_ = two
    messages = [m for m in scenario["ladder"] if "note" not in m]
    assert [m["ms"] for m in messages] == sorted(m["ms"] for m in messages)
    for name, ue, code in zip(("UE 0007", "UE 0008", "UE 0009"), _UES, ("2.05", "4.03", "4.04")):
        at = next(i for i, m in enumerate(messages) if m["from"] == name)
        ask, forward, answer, back = messages[at : at + 4]
        assert [(m["from"], m["to"]) for m in (ask, forward, answer, back)] == [
            (name, "relay"),
            ("relay", "server"),
            ("server", "relay"),
            ("relay", name),
        ]
        assert [m["code"] for m in (ask, forward, answer, back)] == ["0.01", "0.01", code, code]
        assert [m["recipient"] for m in (ask, forward)] == [_SERVER, _SERVER]
        assert [m["recipient"] for m in (answer, back)] == [ue, ue]
        assert (ask["mid"], ask["token"]) == (back["mid"], back["token"])
        assert (forward["mid"], forward["token"]) == (answer["mid"], answer["token"])
        assert ask["token"] != forward["token"]
        assert all(len(m["token"]) >= 8 and m["size"] == len(m["hex"]) // 2 for m in messages)
    assert len(messages) == 12


def test_a_person_sees_the_messages_the_outcomes_and_the_configuration(two):
    text, scenario, *_ = two
    assert "\x1b" not in text
    lines = text.split("\n")
    assert max(map(len, lines)) <= 120
    at = next(i for i, line in enumerate(lines) if line.startswith("   ms  UE "))
    diagram = lines[at + 1 : at + 14]
    assert "UE 0007 --> relay             CON  GET            0x" in diagram[0]
    assert "             relay --> server  CON  GET            0x" in diagram[1]
    assert diagram[2].endswith(" 327  planted")
    recipient = lines[at].index("Recipient")
    assert [line[recipient:].split()[0] for line in diagram[:3]] == [
        _SERVER,
        _SERVER,
        "urn:x-msgin5g:ue:0010",
    ]
    for pattern in (
        r"^UE 0007  applied +2\.05 Content",
        r"^UE 0008  rejected +4\.03 Forbidden: ",
        r"^UE 0009  rejected +4\.04 Not Found: no document for this UE$",
        r"^planted  discarded ",
        r"^relay    counted +recipient_not_linked 1$",
        r"^As expected, in [0-9.]+ s ",
    ):
        assert re.search(pattern, text, re.MULTILINE), pattern
    assert json.loads(text[text.index("\n{") : text.rindex("}") + 1]) == scenario["configuration"]


def test_what_is_not_as_expected_is_said_and_is_a_failure(repository, tmp_path):
    code = (
        "from msgin5g_tools.demo import actors, proxy\n"
        "actors.DOCUMENTS['deny'] = []\n"
        "proxy.foreign_copy = lambda datagram: None\n"
    )
    process = start(repository, tmp_path, code + COMMAND, "demo")
    status, text = finish(process, tmp_path)
    assert status == 1 and "As expected" not in text
    missing = [line for line in text.split("\n") if line.startswith("missing: ")]
    assert len(missing) == 2, text
    assert missing[0].startswith("missing: UE 0008: expected rejected (4.03), got {")
    assert missing[1].startswith("missing: the relay did not discard the foreign response: ")
    assert "\nserver, last lines:\n" in text


def test_a_part_that_does_not_start_is_named(repository, tmp_path):
    process = start(repository, tmp_path, COMMAND, "demo", "--json", MICROPYTHON="/bin/false")
    status, text = finish(process, tmp_path)
    scenario = json.loads(text)
    assert (status, scenario["ok"]) == (1, False)
    assert scenario["errors"][0].startswith("UE 0007: the interpreter does not start")


def test_a_reader_who_goes_away_does_not_stop_it(repository, tmp_path):
    for arguments in (("demo",), ("demo", "--json")):
        process = start(repository, tmp_path, COMMAND, *arguments)
        process.stdout.close()
        assert process.wait(timeout=120) == 0, arguments
        assert process.stderr.read() == ""
        assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "line", "status"), [(2, "UE 0007 <-- relay", 130), (15, "flashed with", 143)]
)
def test_nothing_is_left_of_a_demo_that_was_interrupted(
    repository, tmp_path, number, line, status
):
    process = start(repository, tmp_path, WITNESS, str(number), line)
    assert finish(process, tmp_path) == (0, f"{status}\nnobody left\n")


def test_the_foreign_copy_differs_in_its_recipient_only():
    true = bytes.fromhex(
        "64451234a1b2c3d4 c2fde9 edfce308 75726e3a782d6d7367696e35673a75653a30303037 ff80"
    )
    copy = explain(foreign_copy(true), Registry())
    original = explain(true, Registry())
    assert copy.heading == original.heading
    differing = [pair for pair in zip(copy.lines, original.lines, strict=True) if len({*pair}) > 1]
    assert differing == [
        (f"  65020 Recipient       {actors.FOREIGN}", f"  65020 Recipient       {actors.LINKED}")
    ]
    for other in (b"", b"\x40", true[:-1], true.replace(b"0007", b"0008"), b"\x64\x84" + true[2:]):
        assert foreign_copy(other) is None
