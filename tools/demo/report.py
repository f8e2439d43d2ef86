"""What the demo prints: for a person, or as one JSON object."""

import json
import os
import sys

from rich.console import Console

from msgin5g_tools.decode.names import Registry, code_name, printable
from msgin5g_tools.demo.cast import FOREIGN, LINKED
from msgin5g_tools.demo.story import HOP_HEAP, UE_HEAP
from msgin5g_tools.decode.sequence_diagram import entry_fields


class _Console(Console):
    def on_broken_pipe(self):
        _read_by_nobody()


def _read_by_nobody():
    """Nobody reads any more, as after `| head`; the demo plays to its end, and tidies up."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Report:
    """Lines for a person; colours and a spinner on a terminal only.

    What differs from one story to another: `title`, `cast`, and `_found`.
    """

    title = "MSGin5G configuration through a relay, on real MicroPython"
    cast = (
        "server   msgin5g scm-server: aiocoap and SQLite, two documents, UE 0008 on the deny list",
        f"relay    MicroPython, {HOP_HEAP[:-1]} KiB of heap, links with the three UEs",
        f"UE       three virtual boards, {UE_HEAP[:-1]} KiB of heap each, flashed with mpremote",
    )

    def __init__(self):
        self._console = _Console(highlight=False, emoji=False, markup=False)
        self._status = None
        self._ladder = None

    def begin(self, story):
        self._ladder = story.ladder()
        self._print(self.title, "bold")
        for line in self.cast:
            self._print("  " + line)
        self._print()
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()

    def progress(self, text):
        if self._status is not None:
            self._status.update(text)

    def message(self, entry):
        if entry.seconds == 0:
            self.close()
            self._print(self._ladder.heading("UE"))
        self._print(self._ladder.line(entry))

    def end(self, story, seconds, logs):
        self.close()
        self._print()
        for ue in story.ues:
            self._outcome(ue, story.outcomes.get(ue.name))
        self._found(story)
        self._print()
        if story.errors:
            for name, lines in logs.items():
                self._print(f"{name}, last lines:", "bold")
                for line in lines:
                    self._print("  " + printable(line))
                self._print()
            for line in story.errors:
                self._print(f"missing: {printable(line)}", "red")
        else:
            set_up = f"{story.set_up_s:.1f} s of them to compile, start and flash"
            self._print(f"As expected, in {seconds:.1f} s ({set_up}).", "bold green")

    def _found(self, story):
        """What there is to say besides the outcomes."""
        foreign = story.foreign_answer()
        if foreign["discarded"]:
            self._line("planted", "discarded", "green", f"answer for {FOREIGN}, which has no link")
        self._counted("relay", story.counters)
        if story.configuration is not None:
            self._print(f"\nThe configuration of {LINKED}, read back from its board's flash:")
            self._print(json.dumps(story.configuration, indent=2))

    def _counted(self, hop, counters):
        if counters is not None:
            text = ", ".join(f"{name} {n}" for name, n in sorted(counters.items()))
            self._line(hop, "counted", "", text or "nothing")

    def fail(self, line):
        self.close()
        self._print(f"demo: {line}", "red")

    def close(self):
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _outcome(self, ue, event):
        if event is None:
            self._line(ue.name, "no outcome", "red", "")
        elif event["event"] == "applied":
            self._line(ue.name, "applied", "green", f"2.05 Content, ETag {event['etag']}")
        elif event["event"] == "rejected":
            why = f"{code_name(event['code'])}: {event['detail'] or event['title']}"
            self._line(ue.name, "rejected", "yellow", why)
        else:
            self._line(ue.name, event["event"], "red", json.dumps(event))

    def _line(self, who, what, style, text):
        self._print(f"{who:<8} ", end="")
        self._print(f"{what:<10}", style, end=" ")
        self._print(printable(text))

    def _print(self, text="", style="", end="\n"):
        self._console.print(text, style=style, end=end, soft_wrap=True)


class JsonReport:
    """One JSON object at the end, nothing before."""

    def begin(self, story):
        pass

    def progress(self, text):
        pass

    def message(self, entry):
        pass

    def end(self, story, seconds, logs):
        registry = Registry()
        outcomes = {ue.ue_id: story.outcomes.get(ue.name) for ue in story.ues}
        for event in outcomes.values():
            if event and event["event"] == "applied":
                event["code"] = "2.05"
        said = {
            "ok": not story.errors,
            "errors": story.errors,
            "seconds": round(seconds, 2),
            "set_up_seconds": story.set_up_s and round(story.set_up_s, 2),
            "ladder": [entry_fields(entry, registry) for entry in story.entries],
            "outcomes": outcomes,
            "counters": story.counters,
            **self._found(story),
        }
        if logs:
            said["logs"] = logs
        self._print(said)

    def _found(self, story):
        """The keys of one story only."""
        return {
            "foreign_answer": story.foreign_answer(),
            "configuration": story.configuration,
        }

    def fail(self, line):
        self._print({"ok": False, "errors": [line]})

    @staticmethod
    def _print(said):
        try:
            print(json.dumps(said), flush=True)
        except BrokenPipeError:
            _read_by_nobody()

    def close(self):
        pass
