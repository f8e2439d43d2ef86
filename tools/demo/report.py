"""The output of the demo: lines for a person, or one JSON object."""

import json
import os
import sys

from rich.console import Console

from msgin5g_tools.decode.names import Registry, code_name
from msgin5g_tools.decode.sequence_diagram import entry_fields
from msgin5g_tools.demo.actors import FOREIGN, LINKED
from msgin5g_tools.demo.gateway_scenario import COUNT, WINDOW_S
from msgin5g_tools.commands.run import UE_HEAP
from msgin5g_tools.demo.scenario import INTERMEDIARY_HEAP
from msgin5g_tools.text import printable


class _Console(Console):
    def on_broken_pipe(self):
        _ignore_output()


def _ignore_output():
    """The reader of stdout has gone, as after `| head`: the demo still runs to its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Report:
    """Lines for a person; colours and a spinner on a terminal only.

    A subclass for another scenario has its own `title`, `actors` and `_details`.
    """

    title = "MSGin5G configuration through a relay, on real MicroPython"
    actors = (
        "server   msgin5g scm-server: aiocoap and SQLite, two documents, UE 0008 on the deny list",
        f"relay    MicroPython, {INTERMEDIARY_HEAP[:-1]} KiB of heap, linked with the three UEs",
        f"UE       three virtual boards, {UE_HEAP[:-1]} KiB of heap each, flashed with mpremote",
    )

    def __init__(self):
        self._console = _Console(highlight=False, emoji=False, markup=False)
        self._status = None
        self._diagram = None

    def begin(self, scenario):
        self._diagram = scenario.diagram()
        self._print(self.title, "bold")
        for line in self.actors:
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
            self._print(self._diagram.heading("UE"))
        self._print(self._diagram.line(entry))

    def end(self, scenario, seconds, logs):
        self.close()
        self._print()
        for ue in scenario.ues:
            self._outcome(ue, scenario.outcomes.get(ue.name))
        self._details(scenario)
        self._print()
        if scenario.errors:
            for name, lines in logs.items():
                self._print(f"{name}, last lines:", "bold")
                for line in lines:
                    self._print("  " + printable(line))
                self._print()
            for line in scenario.errors:
                self._print(f"missing: {printable(line)}", "red")
        else:
            set_up = f"{scenario.set_up_s:.1f} s of them to compile, start and flash"
            self._print(f"As expected, in {seconds:.1f} s ({set_up}).", "bold green")

    def _details(self, scenario):
        """Print the results besides the outcomes."""
        foreign = scenario.foreign_answer()
        if foreign["discarded"]:
            self._line("planted", "discarded", "green", f"answer for {FOREIGN}, which has no link")
        self._counted("relay", scenario.counters)
        if scenario.configuration is not None:
            self._print(f"\nThe configuration of {LINKED}, read back from its board's flash:")
            self._print(json.dumps(scenario.configuration, indent=2))

    def _counted(self, role, counters):
        if counters is not None:
            text = ", ".join(f"{name} {n}" for name, n in sorted(counters.items()))
            self._line(role, "counted", "", text or "nothing")

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
    """One JSON object at the end."""

    title = Report.title

    def begin(self, scenario):
        pass

    def progress(self, text):
        pass

    def message(self, entry):
        pass

    def end(self, scenario, seconds, logs):
        registry = Registry()
        outcomes = {ue.ue_id: scenario.outcomes.get(ue.name) for ue in scenario.ues}
        for event in outcomes.values():
            if event and event["event"] == "applied":
                event["code"] = "2.05"
        result = {
            "ok": not scenario.errors,
            "errors": scenario.errors,
            "seconds": round(seconds, 2),
            "set_up_seconds": scenario.set_up_s and round(scenario.set_up_s, 2),
            "ladder": [entry_fields(entry, registry) for entry in scenario.entries],
            "outcomes": outcomes,
            "counters": scenario.counters,
            **self._details(scenario),
        }
        if logs:
            result["logs"] = logs
        self._print(result)

    def _details(self, scenario):
        """The keys that only this scenario has."""
        return {
            "foreign_answer": scenario.foreign_answer(),
            "configuration": scenario.configuration,
        }

    def fail(self, line):
        self._print({"ok": False, "errors": [line]})

    @staticmethod
    def _print(result):
        try:
            print(json.dumps(result), flush=True)
        except BrokenPipeError:
            _ignore_output()

    def close(self):
        pass


class GatewayReport(Report):
    title = "MSGin5G bulk configuration through a gateway, on real MicroPython"
    actors = (
        "server   msgin5g scm-server: four documents, none for UE 0009, UE 0008 on the deny list",
        f"gateway  MicroPython, {INTERMEDIARY_HEAP[:-1]} KiB of heap;"
        f" one request for {COUNT} UEs, or for those that wait after {WINDOW_S} s",
        f"UE       MicroPython, {UE_HEAP[:-1]} KiB of heap each: first three, then two",
    )

    def _details(self, scenario):
        for ue_ids, code in scenario.bulk_requests:
            numbers = ", ".join(ue_id[-4:] for ue_id in ue_ids)
            answer = "no answer" if code is None else code_name(code)
            self._line("server", "asked", "", f"once for {numbers}: {answer}")
        single = [ue_ids[0][-4:] for ue_ids, _ in scenario.requests if len(ue_ids) == 1]
        if single:
            self._line("server", "asked", "", f"alone for {', '.join(single)}")
        if not scenario.leaks:
            text = "no UE received a message that names another one"
            self._line("gateway", "split", "green", text)
        self._counted("gateway", scenario.counters)
        if scenario.configurations:
            self._print("\nThe configurations, read back from the flash of each UE:")
            for ue_id, stored in scenario.configurations.items():
                self._print(f"  {ue_id}: {stored['MSGin5G-UE-Service-id']}")


class GatewayJsonReport(JsonReport):
    title = GatewayReport.title

    def _details(self, scenario):
        return {
            "bulk_requests": [
                {"ue_ids": ue_ids, "code": code} for ue_ids, code in scenario.bulk_requests
            ],
            "single_requests": [
                {"ue_ids": ue_ids, "code": code}
                for ue_ids, code in scenario.requests
                if len(ue_ids) == 1
            ],
            "leaks": scenario.leaks,
            "configurations": scenario.configurations,
        }


class OscoreReport(Report):
    title = "MSGin5G configuration through a relay, protected by OSCORE, on real MicroPython"
    actors = (
        "server   msgin5g scm-server: two documents, UE 0008 on the deny list; a key for each UE",
        f"relay    MicroPython, {INTERMEDIARY_HEAP[:-1]} KiB of heap, linked with the three UEs;"
        " it has no key",
        f"UE       three virtual boards, {UE_HEAP[:-1]} KiB of heap each, provisioned with a key",
    )

    def _details(self, scenario):
        if not scenario.readable():
            text = f"no path, query or configuration in {len(scenario.entries)} messages: "
            text += "code, Recipient, key identifier, size"
            self._line("relay", "sees", "green", text)
        super()._details(scenario)


class OscoreJsonReport(JsonReport):
    title = OscoreReport.title

    def _details(self, scenario):
        protected = {"messages": len(scenario.entries), "readable": scenario.readable()}
        return {**super()._details(scenario), "protected": protected}
