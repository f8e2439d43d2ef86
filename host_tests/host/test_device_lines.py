"""The lines of a board without a board: events, the screen of monitor, a first boot."""

import io
import json

import pytest

from msgin5g_tools.device import watch
from msgin5g_tools.device.errors import NOT_CONFIGURED, DeviceError
from msgin5g_tools.device.events import ERASE, outcome, parse_event, parse_fault, visible
from msgin5g_tools.device.screen import Screen
from msgin5g_tools.device.watch import Watch, require_configured, watch_boot

_PING = "40000007"


def shown(*pieces, as_json=False):
    """What the monitor writes for these pieces of output, one second after the other."""
    stream = io.StringIO()
    screen = Screen(stream, as_json)
    for seconds, piece in enumerate(pieces, 1):
        screen.feed(piece, seconds)
    return stream.getvalue()


def test_an_event_is_the_same_as_text_and_as_json():
    for line, event in (
        ("applied", {"event": "applied"}),
        ("link_down reasons=['wifi: wrong key', 'x']",
         {"event": "link_down", "reasons": ["wifi: wrong key", "x"]}),
        ("stopped counters={'lost': 2}", {"event": "stopped", "counters": {"lost": 2}}),
        ("rejected code=4.03 title=Not allowed here detail=a=b",
         {"event": "rejected", "code": "4.03", "title": "Not allowed here", "detail": "a=b"}),
        ("started role=ue bind=['10.0.0.1', 65401]",
         {"event": "started", "role": "ue", "bind": ["10.0.0.1", 65401]}),
        ("refused reasons=[cut off", {"event": "refused", "reasons": "[cut off"}),
        ('{"event": "x", "n": 1}', {"event": "x", "n": 1}),
        ("applied etag=00\r", {"event": "applied", "etag": "00"}),
        ("applied etag=00\x04\x00", {"event": "applied", "etag": "00"}),
        ("2026-11-29T17:14:17.123Z warning timeout",
         {"time": "2026-11-29T17:14:17.123Z", "level": "warning", "event": "timeout"}),
        (f"msgin5g> repl{ERASE}applied etag=00", {"event": "applied", "etag": "00"}),
    ):  # fmt: skip
        assert parse_event(line) == event, line


def test_each_event_that_may_come_without_a_value_is_one():
    for name in (
        "applied unchanged timeout confirmed deleted removed safe_mode unconfigured"
        " factory_reset stopped link_up link_down"
    ).split():
        assert parse_event(name) == {"event": name}


def test_what_only_looks_like_an_event_is_none():
    for line in ("", "started", "hello", "applied now", "applied now etag=00", "Applied etag=00",
                 "applied-etag=00", "applied=1", " applied", '{"event": 3}', '{"name": "x"}',
                 '{"event": "x"', "[1]", "{" * 5000, '{"a":' * 100000, ">>> applied"):  # fmt: skip
        assert parse_event(line) is None, line
    deep = "refused reasons=" + "[" * 5000
    assert parse_event(deep)["reasons"] == "[" * 5000


def test_a_fault_of_the_start_is_a_fault_and_a_setting_that_is_ignored_is_not():
    for subject in "settings secrets bind address storage wifi link security".split():
        assert parse_fault(f"{subject}: why\r\n") == f"{subject}: why"
        stamped = f"2026-11-29T17:14:17.123Z error {subject}: why\n"
        assert parse_fault(stamped) == f"{subject}: why"
    for line in ("settings: unknown, ignored: colour", "other: why", "see settings: why", ""):
        assert parse_fault(line) is None, line
    assert visible(f"a{ERASE}b{ERASE}c d\r\n") == "c d"


def test_what_an_event_decides_in_words():
    for event, decided in (
        ({"event": "applied"}, (True, "configured")),
        ({"event": "unchanged"}, (True, "configured")),
        ({"event": "confirmed"}, (True, "configured")),
        ({"event": "rejected", "code": "4.03", "title": "No", "detail": "why"},
         (False, "rejected: 4.03, No, why")),
        ({"event": "rejected", "code": "4.04", "title": None}, (False, "rejected: 4.04")),
        ({"event": "refused", "reasons": ["a", 2]}, (False, "the document is refused: a; 2")),
        ({"event": "refused", "reasons": "a"}, (False, "the document is refused: a")),
        ({"event": "refused"}, (False, "the document is refused: ")),
        ({"event": "timeout"}, (False, "timeout: no answer")),
        ({"event": "started"}, None),
        ({"event": "link_down"}, None),
    ):  # fmt: skip
        assert outcome(event) == decided, event


def test_an_event_is_a_row_with_its_time_and_its_values_in_order():
    event = {"event": "applied", "n": 3, "etag": "00", "none": None, "list": [1, "x"]}
    assert shown(json.dumps(event).encode() + b"\n") == (
        '   1.000  applied      etag=00  list=[1, "x"]  n=3\n'
    )
    assert shown(b"link_up\n") == "   1.000  link_up      \n"


def test_counters_are_a_list_below_their_event():
    assert shown(b"stopped counters={'lost': 12, 'bad': 3} why=x\n") == (
        "   1.000  stopped      why=x\n                 3  bad\n                12  lost\n"
    )
    assert shown(b"stopped counters={}\n") == "   1.000  stopped      nothing was discarded\n"


def test_datagrams_are_a_sequence_diagram_that_begins_at_the_first_one():
    def datagram(direction, data=_PING, remote="10.0.0.1:65401"):
        event = {"event": "datagram", "direction": direction, "remote": remote, "hex": data}
        return json.dumps(event).encode() + b"\n"

    heading, sent, received, other = shown(
        b"applied\n" + datagram("out"),
        datagram("in"),
        datagram("out", remote="10.0.0.2:65401"),
    ).split("\n")[1:5]
    assert "type" in heading and "peer" in heading
    assert sent.startswith("    0  board --> 10.0.0.1:65401"), sent
    assert received.startswith(" 1000  board <-- 10.0.0.1:65401"), received
    assert other.startswith(" 2000  board --> 10.0.0.2:65401"), other
    where = sent.index("CON")
    assert received.index("CON") == where and other.index("CON") == where
    rows = shown(
        *[datagram("out", remote=f"{host}:65401") for host in ("1.1.1.1", "255.255.255.255")]
    )
    short, long = rows.split("\n")[1:3]
    assert short.index("CON") == long.index("CON") == long.index(":65401") + 8
    wrong = shown(datagram("in", "4x"))
    assert wrong == "   1.000  datagram  10.0.0.1:65401  not hex\n"
    assert "board <-- ?" in shown(b'{"event": "datagram", "hex": "40000007"}\n')


def test_as_json_there_is_an_event_a_line_and_nothing_else():
    said = shown(
        b"MicroPython\n>>> \napplied etag=00\n", b"half", b'\n{"event": "x"}\n', as_json=True
    )
    assert [json.loads(line) for line in said.splitlines()] == [
        {"seconds": 1, "event": "applied", "etag": "00"},
        {"seconds": 3, "event": "x"},
    ]
    stream = io.StringIO()
    screen = Screen(stream, as_json=True)
    screen.feed(b"applied\n", 1.23456)
    screen.note("for people")
    screen.feed(b">>> ", 2)
    screen.idle()
    assert stream.getvalue() == '{"seconds": 1.235, "event": "applied"}\n'


def test_the_beginning_of_a_line_is_shown_once_when_nothing_follows_it():
    stream = io.StringIO()
    screen = Screen(stream)
    screen.feed(b">>> pri", 1)
    assert stream.getvalue() == ""
    screen.idle()
    screen.idle()
    assert stream.getvalue() == ">>> pri"
    screen.feed(b"nt(1)\r\n1\r\n", 1)
    assert stream.getvalue() == ">>> print(1)\n1\n"
    screen.feed(b">>> ", 1)
    screen.idle()
    screen.feed(b"\n", 1)
    screen.feed(b"whole\n", 1)
    assert stream.getvalue().endswith(">>> \nwhole\n")


def test_a_line_without_an_end_is_shown_above_8192_bytes():
    stream = io.StringIO()
    screen = Screen(stream)
    screen.feed(b"x" * 8192, 1)
    assert stream.getvalue() == ""
    screen.feed(b"x", 1)
    assert stream.getvalue() == "x" * 8193


def test_an_event_after_the_beginning_of_a_line_has_a_line_of_its_own():
    stream = io.StringIO()
    screen = Screen(stream)
    screen.feed(b"appl", 1)
    screen.idle()
    screen.feed(b"ied etag=00\nlink_up\n", 1)
    rows = stream.getvalue().split("\n")
    assert rows[0] == "appl" and rows[1].startswith("   1.000  applied      etag=00")
    assert rows[2].startswith("   1.000  link_up") and rows[3] == ""


def test_events_are_counted_by_name_and_a_note_is_a_line():
    stream = io.StringIO()
    screen = Screen(stream)
    screen.feed(b"link_up\nlink_down\nlink_up\ntext\n", 1)
    screen.note("the board is gone")
    assert screen.seen == {"link_up": 2, "link_down": 1}
    assert stream.getvalue().endswith("text\nthe board is gone\n")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_in_a_terminal_good_events_are_green_and_others_yellow(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for line, colour in (
        (b"applied", 32), (b"unchanged", 32), (b"confirmed", 32), (b"started role=ue", 32),
        (b"link_up", 32), (b"link_down", 33), (b"timeout", 33), (b"rejected code=4.03", 33),
    ):  # fmt: skip
        stream = Terminal()
        Screen(stream).feed(line + b"\n", 1)
        assert f"\x1b[1;{colour}m" in stream.getvalue(), line
    stream = Terminal()
    screen = Screen(stream)
    screen.feed(b"msgin5g> ", 1)
    screen.idle()
    screen.feed(ERASE.encode() + b"applied\n", 1)
    assert stream.getvalue().startswith(f"msgin5g> {ERASE}   1.000  ")


def test_a_traceback_before_the_prompt_is_the_reason():
    judged = Watch()
    for line in ("Traceback (most recent call last):", '  File "main.py"', "", "OSError: 5"):
        judged.line(line, 1)
    assert judged.verdict is None and judged.late(9) == (False, "traceback: OSError: 5")
    judged.line("what follows is no reason", 1)
    judged.line("MicroPython v1.28.0", 1)
    assert judged.verdict == (False, "traceback: OSError: 5")


def test_a_link_that_is_down_is_the_reason_until_it_is_up():
    for down, up, why in (
        ("link_down reasons=['a', 'b']", "link_up", "a; b"),
        ("link_down reasons=wifi", "link_up", "wifi"),
        ("link_down", "link_up", "link_down"),
        ("crashed error=OSError", None, "crashed"),
        ("unresolved reasons=['no such host']", "resolved reasons=['x']", "no such host"),
    ):
        judged = Watch()
        judged.line("started role=ue", 1)
        judged.line(down, 1)
        assert judged.late(20) == (False, why)
        if up:
            judged.line(up, 1)
            assert judged.late(20)[1] == "started, but not configured: timed out after 20 s"


def test_no_answer_says_who_was_asked_and_for_how_long():
    for asked, answered, late in (
        ("10.0.0.1:65401", " from 10.0.0.1:65401", ": no answer yet from 10.0.0.1:65401"),
        (None, "", ""),
    ):
        judged = Watch(False, asked)
        judged.line("started role=ue", 1)
        assert judged.late(20) == (
            False, f"started, but not configured: timed out after 20 s{late}",
        )  # fmt: skip
        judged.line("timeout", 93.6)
        assert judged.verdict == (False, f"timeout: no answer{answered} after 94 s")


def test_a_verdict_stays_when_the_prompt_comes():
    judged = Watch()
    judged.line("started role=ue", 1)
    judged.line("applied", 2.5)
    judged.prompt()
    assert judged.verdict == (True, "configured after 2.5 s")
    early = Watch()  # what was printed before is lost
    early.line("applied", 2.5)
    assert early.verdict == (True, "configured after 2.5 s")
    enough = Watch(until_started=True)
    enough.line("started role=ue", 0.3)
    assert enough.verdict == (True, "ue running after 0.3 s")
    role = Watch()
    role.line("started bind=x", 1)
    assert role.verdict is None, "without a role it is a UE"


def test_only_a_good_verdict_is_an_installation_that_is_configured():
    assert require_configured((True, "configured")) == "configured"
    with pytest.raises(DeviceError) as error:
        require_configured((False, "timeout"))
    assert error.value.status == NOT_CONFIGURED and str(error.value) == "installed; timeout"


class Port:
    """A port that gives these pieces, one each time, and then nothing."""

    timeout = None
    in_waiting = 1
    port = "none"

    def __init__(self, *pieces):
        self._pieces = list(pieces)

    def read(self, size):
        assert size > 0
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def write(self, data):
        self.written = data


class Session:
    n_resets = 0

    def __init__(self, *pieces):
        self.serial = Port(*pieces)

    def reset(self):
        self.n_resets += 1


def test_a_first_boot_is_watched_line_by_line_until_its_verdict():
    session = Session(b"started role=", b"ue\nappl", b"ied\ntimeout\n")
    good, text = watch_boot(session, 5)
    assert good and text.startswith("configured after ") and session.n_resets == 1
    assert session.serial.timeout == 0.1
    assert watch_boot(Session(b"x" * 5000 + b"\nstarted role=ue\n"), 5, True)[0]
    assert watch_boot(Session(b"applied\n" + b"x" * 5000), 5)[0], "whatever comes with it"
    assert watch_boot(Session(b"started role=ue\n"), 0.1) == (
        False,
        "started, but not configured: timed out after 0 s",
    )


def test_a_port_that_does_not_come_back_is_said_and_one_that_is_in_use_at_once(monkeypatch):
    gone = OSError(5, "gone")
    monkeypatch.setattr(watch, "REOPEN_S", 0.5)
    opened = []

    def open_serial(name, timeout):
        opened.append((name, timeout))
        raise DeviceError(status, "why")

    monkeypatch.setattr(watch, "open_serial", open_serial)
    status = 3
    with pytest.raises(DeviceError) as error:
        watch_boot(Session(gone), 5)
    assert "did not come back" in str(error.value) and error.value.status == 6
    assert len(opened) >= 2 and opened[0] == ("none", 0.1)
    opened.clear()
    status = 4
    with pytest.raises(DeviceError) as error:
        watch_boot(Session(gone), 5)
    assert (error.value.status, len(opened)) == (4, 1)
    back = Port(b"started role=relay\n")
    monkeypatch.setattr(watch, "open_serial", lambda name, timeout: back)
    assert watch_boot(Session(gone), 5)[0] and back.written == b"\x03\x03\x02\x04"
