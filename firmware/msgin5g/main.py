"""The composition root: settings -> links -> role -> loop. The one place where things meet.

main(application="app")                       on a board, from main.py
micropython main.py --settings FILE --once    on a host, see `msgin5g run`
"""

import gc
import sys

from msgin5g.unload import unload

node = None  # the Node that runs, or that ran last: what the REPL shows


class _Console:
    """Tells events to a person, or as one JSON object a line, and keeps `once` in mind.

    tracing: None, or a function of (out, datagram, remote) for every datagram. prompt: None, or
    the Prompt that gives way while something is told.
    """

    def __init__(self, as_json, once, trace):
        self._as_json = as_json
        self._once = once
        self.tracing = self._datagram if trace else None
        self.prompt = None

    def tell(self, event):
        """Print an event; true when it ends a run that was to end with its first outcome."""
        prompt = self.prompt
        if prompt:
            prompt.hide()
        if self._as_json:
            import json

            print(json.dumps(event))
        else:
            print(_sentence(event))
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()
        if prompt:
            prompt.show()
        return event["event"] == "restarting" or (
            self._once
            and event["event"] in ("applied", "rejected", "unchanged", "refused", "timeout")
        )

    def trace(self, out, datagram, remote):
        """A datagram goes out, or has come in."""
        if self.tracing:
            self.tracing(out, datagram, remote)

    def _datagram(self, out, datagram, remote):
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
        if key != "event" and event[key] is not None and event[key] != []:
            words.append(key + "=" + str(event[key]))
    return " ".join(words)


def main(
    path="settings.json",
    directory="/",
    as_json=None,
    once=False,
    trace=False,
    role_name=None,
    application=None,
):
    """Run the role of the settings in the file `path`; what is stored goes into `directory`.

    role_name: in place of the settings' own. application: the module that runs beside the role
    if there is a file of that name (see app). Gives 0 when it was ended by a person or by `once`,
    2 when settings or links are no good, for which nothing resets the board: it would be wrong
    again. Else the application has failed, or the configuration was removed: a reset, or 3.
    """
    if hasattr(gc, "threshold"):
        # Collect often while modules are loaded: what they leave behind would lie in between
        # them for good, and a small heap be full of holes.
        gc.threshold(1024)
    if not open_node(path, directory, as_json, once, trace, role_name, application):
        return 2
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(-1)
    console = node.console
    node.running = True
    try:
        console.tell(node.about)
        if node.configuration:
            for _, name, reasons in node.configuration.history:
                if reasons:  # damage found, a roll-back, safe mode
                    console.tell({"event": name, "reasons": list(reasons)})
        _run()
    except KeyboardInterrupt:
        pass
    except SystemExit:  # of an application's own loop
        if not node.ended:
            raise
    node.running = False
    console.tell({"event": "stopped", "counters": node.role.counters})
    if node.ended:
        from msgin5g.port.system import reset

        reset()
        return 3
    if node.watchdog:
        node.watchdog.hold()
    if once:
        close_node()
    return 0


def _run():
    app = node.app
    program = app and app.program()
    coroutine = None
    if program:
        try:
            coroutine = program(app)
        except Exception as error:
            app.fail(error)
    if hasattr(coroutine, "send") or node.prompt:
        from msgin5g.port.aio import run_beside

        run_beside(node, coroutine)
    else:
        node.run(None)


def open_node(path, directory, as_json, once, trace, role_name, application, runs=True):
    """Make `node` of the settings; false after a line that says what is wrong.

    runs: whether it is about to run, which starts the application and the watchdog and counts as
    a boot; a person who looks at a node that does not run has none of that.
    """
    global node  # noqa: PLW0603  # where the REPL finds it
    from msgin5g.port.loop import run
    from msgin5g.port.system import ticks_ms
    from msgin5g.port.udp import LinkError
    from msgin5g.settings import load

    close_node()
    settings = load(path, role_name)
    del load
    unload("settings")
    unload("configuration.strict_json")
    if settings is None:
        return False
    from msgin5g.composition import build_node

    try:
        node = build_node(settings, directory, application, runs)
    except LinkError as error:
        print(str(error))
    del build_node
    unload("composition")
    if node is None:
        return False
    about = {"event": "started", "role": settings.role, "ue_id": settings.ue_id}
    about["bind"] = list(settings.bind)
    if as_json is None:
        as_json = settings.log == "json"
    console = _Console(as_json, once, settings.trace or trace)
    node.about = about
    node.console = console
    node.prompt = settings.prompt
    node.run = lambda ms: run(node, node.links, ticks_ms, console.tell, console.trace, ms)
    return True


def close_node():
    """Close the links of `node`, and forget it."""
    global node  # noqa: PLW0603
    if node:
        for link in node.links:
            link.close()
    node = None
