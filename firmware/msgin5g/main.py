"""The composition root: settings -> links -> role -> loop. The one place where things meet.

main(application="app")                       on a board, from main.py
micropython main.py --settings FILE --once    on a host, see `msgin5g run`
"""

import gc
import sys

from msgin5g.unload import unload

node = None  # the Node that runs, or that ran last: what the REPL shows


def teller(as_json, once):
    """A function that tells an event to a person, or as one JSON object a line.

    It gives true when that ends a run which was to end with its first outcome.
    """

    def tell(event):
        name = event["event"]
        try:
            if as_json:
                import json

                text = json.dumps(event)
            else:
                words = [name]
                for key in sorted(event):
                    if key != "event" and event[key] is not None and event[key] != []:
                        words.append("%s=%s" % (key, event[key]))
                text = " ".join(words)
        except MemoryError:  # a configuration may be large
            text = name
            if as_json:
                json.dump(event, sys.stdout)
                text = ""
        print(text)
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()
        return name == "restarting" or (
            once and name in ("applied", "rejected", "unchanged", "refused", "timeout")
        )

    return tell


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
        gc.threshold(getattr(node.role, "gc_threshold", -1))
    node.running = True
    try:
        node.say(node.about)
        node.run(None)
    except KeyboardInterrupt:
        pass
    except SystemExit:  # of an application's own loop
        if not node.ended:
            raise
    node.running = False
    node.say({"event": "stopped", "counters": node.role.counters})
    if node.parts:
        from msgin5g.builder_services import after

        return after(node)
    return 0


def open_node(*arguments):
    """Make `node` anew; false after a line that says what is wrong. See composition.compose."""
    global node  # noqa: PLW0603  # where the REPL finds it
    if node:
        for link in node.links:
            link.close()
    from msgin5g.builder import compose

    node = compose(teller, *arguments)
    del compose
    unload("composition", "port.boot", "port.address")
    return node is not None
