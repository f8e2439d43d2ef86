"""A node: a role with its transports and services, and its events on the console."""

import json
import sys

from micropython import const
from msgin5g.coap.text import printable, unsafe_at
from msgin5g.coap.ticks import shorter

_OUTCOMES = const(("applied", "rejected", "unchanged", "refused", "timeout"))

current = None  # the Node that runs, or that ran last: what the REPL shows; set by the builder


class Node:
    """A role with its transports and services. It has the verbs of a role for the event loops.

    A service has two of the verbs of a role: `step(now)` and `wait_ms(now)`. loop, ticks_ms:
    event_loop.run and the clock.

    `ue` is the ConstrainedUe in the role, `configuration` its ConfigurationManager; None without
    one. `running`: a loop drives the node now. `ended`: the board is to restart. `outcome`: the
    name of the event of the last fetch, None before the first. The builder sets the other
    attributes: `about` (the first event), `started_at` (in ticks), `started_s` (by the clock),
    `as_json` (events are printed as JSON), `once` (the first outcome ends the run), `application`
    (an Application), `missing_application` (the name of the application that is not imported,
    because the node is only inspected), `watchdog`, `radios`, `name_lookup`, and `trace` (a
    function of (out, datagram, remote) for every datagram). main sets `prompt`.
    """

    def __init__(self, role, transports, loop=None, ticks_ms=None):
        self.loop = loop
        self.ticks_ms = ticks_ms
        self.role = role
        self.transports = transports
        self.ue = role if hasattr(role, "configuration") else getattr(role, "own", None)
        self.configuration = self.ue and self.ue.configuration
        self.services = []
        self.events = []  # of the services, not polled yet
        self.about = self.trace = self.prompt = self.outcome = self.started_at = None
        self.application = self.missing_application = self.watchdog = self.radios = None
        self.name_lookup = None
        self.as_json = self.once = self.running = self.ended = False
        self.receive = role.receive
        self.transmit = role.transmit

    def step(self, now):
        """The clock has moved."""
        self.role.step(now)
        try:
            for service in self.services:
                service.step(now)
        except MemoryError:
            self.role.lose(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        if self.events:
            return 0
        wait = self.role.wait_ms(now)
        for service in self.services:
            wait = shorter(wait, service.wait_ms(now))
        return wait

    def poll(self):
        """The oldest event not polled yet, or None."""
        event = self.role.poll()
        return self.events.pop(0) if event is None and self.events else event

    def emit(self, name, reasons):
        """Add an event of a service; `restarting` ends the loop, and the board restarts."""
        self.events.append({"event": name, "reasons": list(reasons)})
        self.ended = name == "restarting"

    def end_by_hand(self):
        """A person ends the run: this boot has not failed, unless its application has."""
        if self.configuration and not (self.application and self.application.has_failed):
            self.configuration.ended_by_hand(self.ticks_ms())

    def run(self, limit_ms=None):
        """Drive the node for that long, or for ever; true when it has ended."""
        return self.loop(
            self, self.transports, self.ticks_ms, self.print_event, self.trace, limit_ms
        )

    def print_event(self, event):
        """Print an event, a dict with the key "event", in one line; true when it ends the run."""
        name = event["event"]
        try:
            try:
                text = json.dumps(event) if self.as_json else text_of(event)
                text = printable(text.encode())
            except MemoryError:  # a configuration may be large: print without a copy of it
                text = name
                if self.as_json and _is_safe(event):
                    json.dump(event, sys.stdout)
                    text = ""
                elif self.as_json:
                    text = '{"event": "' + name + '"}'
            print(text)
            if hasattr(sys.stdout, "flush"):
                sys.stdout.flush()
        except MemoryError:
            pass  # it goes on all the same
        if name in _OUTCOMES:
            self.outcome = name
        return name == "restarting" or (self.once and name in _OUTCOMES)


def _is_safe(value):
    """Whether all texts in a value can be printed as they are, apart from what JSON escapes."""
    if isinstance(value, dict):
        for key in value:
            if not _is_safe(key) or not _is_safe(value[key]):
                return False
    elif isinstance(value, (list, tuple)):
        for item in value:
            if not _is_safe(item):
                return False
    elif isinstance(value, str):
        return unsafe_at(value.encode()) < 0
    return True


def text_of(event):
    """`refused reasons=[...]`: the name, then what else the event has, in order of the keys."""
    words = [event["event"]]
    for key in sorted(event):
        if key != "event" and event[key] is not None and event[key] != []:
            words.append("%s=%s" % (key, event[key]))
    return " ".join(words)
