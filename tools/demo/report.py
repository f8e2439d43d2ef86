"""What the demo prints: for a person, or as one JSON object."""

import json

from rich.console import Console

from tools.decode.names import Registry, code_name, printable
from tools.demo.cast import FOREIGN, LINKED, UES
from tools.demo.play import RELAY_HEAP, UE_HEAP
from tools.ladder import entry_fields


class Report:
    """Lines for a person; colours and a spinner on a terminal only."""

    def __init__(self):
        self._console = Console(highlight=False, emoji=False, markup=False)
        self._status = None
        self._ladder = None

    def begin(self, play):
        self._ladder = play.ladder()
        self._print("MSGin5G configuration through a relay, on real MicroPython", "bold")
        for line in _CAST:
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

    def end(self, play, seconds, logs):
        self.close()
        self._print()
        for ue in UES:
            self._outcome(ue, play.outcomes.get(ue.name))
        foreign = play.foreign_answer()
        if foreign["discarded"]:
            self._line("planted", "discarded", "green", f"answer for {FOREIGN}, which has no link")
        if play.counters is not None:
            counters = ", ".join(f"{name} {n}" for name, n in sorted(play.counters.items()))
            self._line("relay", "counted", "", counters or "nothing")
        if play.configuration is not None:
            self._print(f"\nThe configuration of {LINKED}, read back from its board's flash:")
            self._print(json.dumps(play.configuration, indent=2))
        self._print()
        if play.errors:
            for name, lines in logs.items():
                self._print(f"{name}, last lines:", "bold")
                for line in lines:
                    self._print("  " + printable(line))
                self._print()
            for line in play.errors:
                self._print(f"missing: {printable(line)}", "red")
        else:
            set_up = f"{play.set_up_s:.1f} s of them to compile, start and flash"
            self._print(f"As expected, in {seconds:.1f} s ({set_up}).", "bold green")

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


_CAST = (
    "server   msgin5g scm-server: aiocoap and SQLite, two documents, UE 0008 on the deny list",
    f"relay    MicroPython, {RELAY_HEAP[:-1]} KiB of heap, links with the three UEs",
    f"UE       three virtual boards, {UE_HEAP[:-1]} KiB of heap each, flashed with mpremote",
)


class JsonReport:
    """One JSON object at the end, nothing before."""

    def begin(self, play):
        pass

    def progress(self, text):
        pass

    def message(self, entry):
        pass

    def end(self, play, seconds, logs):
        registry = Registry()
        outcomes = {ue.ue_id: play.outcomes.get(ue.name) for ue in UES}
        for event in outcomes.values():
            if event and event["event"] == "applied":
                event["code"] = "2.05"
        said = {
            "ok": not play.errors,
            "errors": play.errors,
            "seconds": round(seconds, 2),
            "set_up_seconds": play.set_up_s and round(play.set_up_s, 2),
            "ladder": [entry_fields(entry, registry) for entry in play.entries],
            "outcomes": outcomes,
            "foreign_answer": play.foreign_answer(),
            "counters": play.counters,
            "configuration": play.configuration,
        }
        if logs:
            said["logs"] = logs
        print(json.dumps(said))

    def fail(self, line):
        print(json.dumps({"ok": False, "errors": [line]}))

    def close(self):
        pass
