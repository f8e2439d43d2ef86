"""Events on the console: one event is a line of text or of JSON."""

import json
import sys

_OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")


class EventPrinter:
    """Prints events. as_json: one JSON object a line. once: the first outcome ends the run."""

    def __init__(self, as_json, once):
        self._as_json = as_json
        self._once = once

    def emit(self, event):
        """Print an event, a dict with the key "event"; true when it ends the run."""
        name = event["event"]
        try:
            text = json.dumps(event) if self._as_json else _text_of(event)
        except MemoryError:  # a configuration may be large: print without a copy of it
            text = name
            if self._as_json:
                json.dump(event, sys.stdout)
                text = ""
        print(text)
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()
        return name == "restarting" or (self._once and name in _OUTCOMES)


def _text_of(event):
    """`refused reasons=[...]`: the name, then what else the event has, in order of the keys."""
    words = [event["event"]]
    for key in sorted(event):
        if key != "event" and event[key] is not None and event[key] != []:
            words.append("%s=%s" % (key, event[key]))
    return " ".join(words)
