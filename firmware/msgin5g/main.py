"""The composition root: settings -> links -> role -> loop. The one place where things meet.

main()                                        on a board, from main.py
micropython main.py --settings FILE --once    on a host, see `msgin5g run`
"""

import gc
import sys

from msgin5g.unload import unload


class _Console:
    """Tells events to a person, or as one JSON object a line, and keeps `once` in mind."""

    def __init__(self, as_json, once):
        self._as_json = as_json
        self._once = once

    def tell(self, event):
        """Print an event; true when it ends a run that was to end with its first outcome."""
        if self._as_json:
            import json

            print(json.dumps(event))
        else:
            print(_sentence(event))
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()
        return self._once and event["event"] in (
            "applied",
            "rejected",
            "unchanged",
            "refused",
            "timeout",
        )

    def trace(self, out, datagram, remote):
        """Print a datagram, as `msgin5g decode` reads it."""
        from binascii import hexlify

        from msgin5g.port.udp import text_of

        self.tell(
            {
                "event": "datagram",
                "direction": "out" if out else "in",
                "remote": text_of(remote),
                "hex": hexlify(datagram).decode(),
            }
        )


def _sentence(event):
    words = [event["event"]]
    for key in sorted(event):
        if key != "event" and event[key] is not None:
            words.append(key + "=" + str(event[key]))
    return " ".join(words)


def main(
    path="settings.json", directory="/", as_json=None, once=False, trace=False, role_name=None
):
    """Run the role of the settings in the file `path`; what is stored goes into `directory`.

    role_name: in place of the settings' own. Gives 0 when it was ended by a person or by `once`,
    2 when settings or links are no good. Nothing here resets the board: what is wrong would be
    wrong again.
    """
    if hasattr(gc, "threshold"):
        # Collect often while modules are loaded: what they leave behind would lie in between
        # them for good, and a small heap be full of holes.
        gc.threshold(1024)
    from msgin5g.port.loop import run
    from msgin5g.port.system import ticks_ms

    role, links, started = _compose(path, directory, ticks_ms, role_name)
    unload("composition")
    if role is None:
        return 2
    if as_json is None:
        as_json = started["log"] == "json"
    console = _Console(as_json, once)
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(-1)
    started.pop("log")
    trace = started.pop("trace") or trace
    console.tell(started)
    try:
        run(role, links, ticks_ms, console.tell, console.trace if trace else None)
    except KeyboardInterrupt:
        pass
    stopped = {"event": "stopped", "counters": role.counters}
    console.tell(stopped)
    for link in links:
        link.close()
    return 0


def _compose(path, directory, ticks_ms, role_name):
    """(role, links, first event), or (None, None, None) after a line that says what is wrong."""
    from msgin5g.port.udp import LinkError
    from msgin5g.settings import load

    settings = load(path, role_name)
    del load
    unload("settings")
    unload("configuration.strict_json")
    if settings is not None:
        from msgin5g.composition import build

        try:
            role, links = build(settings, ticks_ms(), directory)
            return role, links, {"event": "started", "role": settings.role,
                                 "ue_id": settings.ue_id, "bind": list(settings.bind),
                                 "log": settings.log, "trace": settings.trace}  # fmt: skip
        except LinkError as error:
            print(str(error))
    return None, None, None
