"""The screen of `msgin5g monitor`: events in words, datagrams as a sequence diagram.

Lines that are events, JSON or text, are shown in another form. Everything else, tracebacks and the
REPL too, is shown as the board prints it. The beginning of a line is shown when nothing follows it
for a moment.
"""

import codecs
import json

from rich.console import Console
from rich.text import Text

from msgin5g_tools.device.events import ERASE, outcome, parse_event
from msgin5g_tools.decode.sequence_diagram import Entry, SequenceDiagram
from msgin5g_tools.text import TerminalFilter, printable

_BOARD = "board"
_REMOTE_SIZE = 21
_LONGEST_LINE = 8192
_GOOD = frozenset(("applied", "unchanged", "confirmed", "started", "link_up"))


class Screen:
    """feed(bytes, seconds) and idle() write to `stream`; events are counted in `seen`."""

    def __init__(self, stream, as_json=False):
        self.seen = {}
        self._stream = stream
        self._as_json = as_json
        self._console = Console(
            file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._pending = b""
        self._shown = 0  # bytes of the pending line that are on the screen already
        self._diagrams = {}
        self._first_at = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._filter = TerminalFilter()

    def feed(self, data, seconds):
        """Show what the board has printed, `seconds` after the monitor was started."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._line(line, seconds)
            self._shown = 0
        if len(self._pending) > _LONGEST_LINE:
            self.idle()

    def idle(self):
        """Nothing more came for a moment: show the beginning of a line, such as a prompt."""
        if len(self._pending) > self._shown and not self._as_json:
            self._pass(self._pending[self._shown :])
            self._shown = len(self._pending)

    def note(self, text):
        """A line of our own."""
        if not self._as_json:
            self._console.print(Text(text, "dim"))
            self._stream.flush()

    def _line(self, line, seconds):
        event = parse_event(line.decode("utf-8", "replace"))
        if event is None:
            if not self._as_json:
                self._pass(line[self._shown :].rstrip(b"\r") + b"\n")
            return
        name = event["event"]
        self.seen[name] = self.seen.get(name, 0) + 1
        if self._as_json:
            print(json.dumps({"seconds": round(seconds, 3), **event}), file=self._stream)
        else:
            if self._shown:  # a prompt, or the beginning of this line
                self._stream.write(ERASE if self._console.is_terminal else "\n")
            for row in self._rows(event, seconds):
                self._console.print(row)
        self._stream.flush()

    def _rows(self, event, seconds):
        name = event.pop("event")
        if name == "datagram":
            yield self._datagram(event, seconds)
            return
        event = {"event": name, **event}
        row = Text(f"{seconds:8.3f}  ")
        decided = outcome(event)
        good = decided[0] if decided else name in _GOOD
        row.append(f"{name:<12}", "bold green" if good else "bold yellow")
        counters = event.pop("counters", None)
        words = [
            f"{key}={_words(value)}"
            for key, value in sorted(event.items())
            if key != "event" and value is not None
        ]
        if counters == {}:
            words.append("nothing was discarded")
        row.append(" " + "  ".join(words))
        yield row
        if isinstance(counters, dict):
            for key in sorted(counters):
                yield Text(f"{'':10}{counters[key]:>8}  {key}", "dim")

    def _datagram(self, event, seconds):
        remote = _words(event.get("remote", "?"))
        try:
            datagram = bytes.fromhex(str(event.get("hex", "")))
        except ValueError:
            return Text(f"{seconds:8.3f}  datagram  {remote}  not hex", "yellow")
        if self._first_at is None:
            self._first_at = seconds
            self._console.print(self._diagram("").heading("peer"))
        names = (_BOARD, remote) if event.get("direction") == "out" else (remote, _BOARD)
        entry = Entry(seconds - self._first_at, *names, datagram, "")
        return self._diagram(remote).line(entry)

    def _diagram(self, remote):
        if remote not in self._diagrams:
            self._diagrams[remote] = SequenceDiagram([[_BOARD], [remote, "".ljust(_REMOTE_SIZE)]])
        return self._diagrams[remote]

    def _pass(self, data):
        self._stream.write(self._filter.feed(self._decoder.decode(data)))
        self._stream.flush()


def _words(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return printable(text)
