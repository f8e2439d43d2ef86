"""msgin5g monitor: events and a ladder, into the REPL and back, the terminal as it was before."""

import io
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time

import pytest
from flash_setup import PORT, Site, address, msgin5g, put, ue_file, ue_id

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device.errors import PORT_BUSY, PORT_MISSING
from msgin5g_tools.device.screen import Screen

_COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "monitor"]


class Person:
    """`with Person(arguments) as person`: the monitor in a terminal of its own."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        self._before = termios.tcgetattr(self.slave)
        self._seen = ""
        self.process = subprocess.Popen(
            [*_COMMAND, *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def types(self, keys):
        os.write(self.master, keys)

    def sees(self, text, timeout=30):
        """Wait for a text; what came up to its end is forgotten then."""
        until = time.monotonic() + timeout
        while text not in self._seen:
            assert time.monotonic() < until, (text, self._seen)
            if select.select([self.master], [], [], 0.1)[0]:
                self._seen += os.read(self.master, 4096).decode().replace("\r\n", "\n")
        before, _, self._seen = self._seen.partition(text)
        return before

    def ends(self, status=0):
        """Wait for the end; the terminal is as it was."""
        assert self.process.wait(timeout=30) == status
        assert termios.tcgetattr(self.slave) == self._before


@pytest.mark.parametrize("log", ["text", "json"])
def test_events_ladder_repl_and_back(log, tmp_path):
    settings = ue_file(tmp_path, 0, log=log, trace=True)
    with Site(tmp_path, 1), VirtualBoard(heap="192K") as board:
        put(board, settings)
        with Person("--port", board.port, "--reset") as person:
            person.sees("started      bind=")
            person.sees(ue_id(0))
            person.sees("board --> " + f"{address(1)}:65401")
            person.sees("CON  GET")
            person.sees("board <-- " + f"{address(1)}:65401")
            person.sees("2.05 Content")
            person.sees("etag=")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
                somebody.sendto(b"\x47\x01\xff", (address(2), PORT))
                somebody.sendto(b"\x40\x00\x00\x07", (address(2), PORT))  # a ping, as a mark
            person.sees("board --> 127.0.0.1:")
            person.types(b"\x03")
            person.sees("stopped ")
            person.sees("       1  malformed\n")
            person.sees(">>> ")
            person.types(b"print(6 * 7)\r")
            person.sees("42\n>>> ")
            person.types(b"\x04")
            person.sees("soft reboot")
            person.sees("started ")
            person.sees("CON  GET")
            person.sees("etag=")
            person.types(b"\x03")
            person.sees("stopped      nothing was discarded")
            person.types(b"\x1d")
            person.sees("started 2")
            person.ends()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(number):
    with VirtualBoard(heap="96K") as board, Person("--port", board.port) as person:
        person.sees("Ctrl-] leaves")
        person.types(b"1 + 1\r")
        person.sees("2\n")
        person.process.send_signal(number)
        person.ends(128 + number)


def test_a_board_that_goes_is_waited_for(tmp_path):
    link = tmp_path / "board"
    with VirtualBoard(heap="96K", link=link) as board:
        with Person("--port", board.port) as person:
            person.sees("leaves")
            board.stop()
            person.sees("the board is gone")
            person.types(b"\x1d")
            person.ends()


def test_without_a_terminal_it_prints_events_as_json(tmp_path):
    settings = ue_file(tmp_path, 0, trace=True)
    with Site(tmp_path, 1), VirtualBoard(heap="192K") as board:
        put(board, settings)
        arguments = ["--port", board.port, "--reset", "--for", "60", "--json"]
        with subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.PIPE) as monitor:
            events = []
            while not events or events[-1]["event"] not in ("applied", "unchanged"):
                events.append(json.loads(monitor.stdout.readline()))
            monitor.terminate()
        assert {"started", "datagram"} <= {event["event"] for event in events}
        seconds = [event["seconds"] for event in events]
        assert seconds == sorted(seconds)
        msgin5g("monitor", "--port", board.port, "--for", "0.1", "--json")  # it ends by itself
        with Person("--port", board.port) as person:
            person.sees("leaves")
            msgin5g("monitor", "--port", board.port, status=PORT_BUSY)
    msgin5g("monitor", "--port", tmp_path / "none", status=PORT_MISSING)


def test_what_a_board_prints_cannot_move_the_cursor():
    stream = io.StringIO()
    screen = Screen(stream)
    screen.feed(
        b'{"event": "refused", "reasons": ["\\u001b[2J"]}\n\x1b]0;title\x07{"event": 3}', 1
    )
    screen.feed(b"\n>>> ", 1)
    screen.idle()
    screen.feed(b"1\r\n", 1)
    assert "\x1b]" not in stream.getvalue() and "\x1b[2J" not in stream.getvalue()
    assert stream.getvalue().endswith('{"event": 3}\n>>> 1\n')
    assert screen.seen == {"refused": 1}


def shown(*pieces):
    """What the monitor shows of a line that comes in these pieces, each after a moment."""
    stream = io.StringIO()
    screen = Screen(stream)
    for piece in pieces:
        screen.feed(piece, 1)
        screen.idle()
    return stream.getvalue()


def test_colours_and_the_keys_of_the_line_editor_pass_whole_or_in_pieces():
    for kept in (b"\x1b[K", b"\x1b[1;31m", b"\x1b[0m", b"\x1b[m", b"\x1b[12D", b"\x1b[C",
                 b"\x1b[4P", b"\x08 \x08", b"\r\x1b[K>>> ",
                 "gr\u00fcn \u6f22".encode()):  # fmt: skip
        line = b"a" + kept + b"b"
        assert shown(line) == line.decode(), kept
        for cut in range(1, len(line)):
            assert shown(line[:cut], line[cut:]) == line.decode(), (kept, cut)
        assert shown(*(bytes((byte,)) for byte in line)) == line.decode(), kept


_HOSTILE = (
    b"\x1b[2J", b"\x1b[H", b"\x1b[5A", b"\x1b[3B", b"\x1b[1;1H", b"\x1b[?1049h", b"\x1b[6n",
    b"\x1b[20t", b"\x1b[>c", b"\x1b]0;X\x07", b"\x1bPq\x1b\\", b"\x1bc", b"\x1b(0",
    b"\x1b[1000000000000000000m", b"\x1b[1m\x1b[2J", b"\x1b\x1b[2J", b"\x0e", b"\x00", b"\x7f",
    "\x9b2J".encode(), "\x9d0;X\x9c".encode(), "\u202e".encode(), "\u2028".encode(),
    "\u2066".encode(), b"\x9b2J",
)  # fmt: skip


def test_every_other_sequence_and_control_character_is_dropped_whole_or_in_pieces():
    for hostile in _HOSTILE:
        line = b"a" + hostile + b"b\n"
        whole = shown(line)
        assert whole[0] == "a" and whole.endswith("b\n"), hostile
        rest = whole.replace("\x1b[1m", "")
        assert all(c.isprintable() or c in "\r\n\x07\ufffd" for c in rest), (hostile, whole)
        for cut in range(1, len(line)):
            assert shown(line[:cut], line[cut:]) == whole, (hostile, cut)


def test_a_title_with_a_second_line_is_no_event():
    title = "\x1b]0;X\x07\x1b[2J Forbidden\napplied configuration={...}"
    stream = io.StringIO()
    screen = Screen(stream)
    screen.feed(json.dumps({"event": "rejected", "title": title}).encode() + b"\n", 1)
    assert screen.seen == {"rejected": 1} and stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue() and "Forbidden\\napplied" in stream.getvalue()


def test_a_board_with_a_prompt_ends_configured_and_shows_its_events(tmp_path):
    settings = ue_file(tmp_path, 0, prompt=True, trace=True)
    with Site(tmp_path, 1), VirtualBoard(heap="256K") as board:
        said = msgin5g("flash", "--port", board.port, "--settings", settings)
        assert "files copied, configured after" in said, said
        said = msgin5g("monitor", "--port", board.port, "--reset", "--for", 4, "--json")
        names = [json.loads(line)["event"] for line in said.splitlines()]
        assert {"started", "datagram"} <= set(names), said
        assert {"applied", "unchanged"} & set(names), said
        with Person("--port", board.port, "--reset") as person:
            person.sees("started      bind=")
            person.sees("2.05 Content")
            person.sees("etag=")
            person.sees("msgin5g> ")
            person.types(b"6 * 7\r")
            person.sees("42\n")
            person.types(b"\x1d")
            person.sees("started 1")
            person.ends()


def test_an_event_above_a_prompt_that_is_on_the_screen_is_shown_and_counted():
    for pieces in (
        (b"msgin5g> repl.st", b"\r\x1b[Kapplied etag=00\r\n", b"msgin5g> repl.st"),
        (b"msgin5g> \r\x1b[Kapp", b"lied etag=00\r\nmsgin5g> repl.st"),
        (b"msgin5g> \r\x1b[Kapplied etag=00\r\nmsgin5g> repl.st",),
    ):
        stream = io.StringIO()
        screen = Screen(stream)
        for piece in pieces:
            screen.feed(piece, 1)
            screen.idle()
        assert screen.seen == {"applied": 1}, pieces
        *_, row, prompt = stream.getvalue().split("\n")
        assert row.startswith("   1.000  applied") and prompt == "msgin5g> repl.st", pieces
