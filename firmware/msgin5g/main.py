"""From a settings file to a running node: events to the console, then the reset.

main(application="app")                       on a board, from main.py
micropython main.py --settings FILE --once    on a host, see `msgin5g run`
"""

import gc
import sys

from micropython import const
from msgin5g.port.system import reset, ticks_ms

_NOT_CONFIGURED = const(7)


def main(
    path="settings.json",
    directory="/",
    as_json=None,
    once=False,
    trace=False,
    role=None,
    application=None,
    control=None,
):
    """Run the role of the settings in the file `path`; what is stored goes into `directory`.

    as_json: events as JSON, in place of the setting `log`. once: end with the first outcome.
    trace: print every datagram. role: in place of the settings' own role. application: the
    module that runs beside the role if the board has a file of that name. control: a transport
    through which a host asks the running node for something, or None.

    Gives 0 when a person ended it, or `once` with a configuration that is new or still valid;
    with any other outcome, or without one, `once` gives 7. Gives 2 when the settings or an
    address cannot be used; the board is not reset, because the next start would fail in the same
    way. Else the application has failed or the configuration was removed: the board is reset (a
    host gives 3).
    """
    if hasattr(gc, "threshold"):
        # Collect often while modules are imported: their garbage would lie between them for good
        # and leave a small heap full of holes.
        gc.threshold(1024)
    # These two are imported here because they are dropped again.
    from msgin5g.settings import load

    settings = load(path, role)
    del load
    _drop("settings")
    if settings is None:
        return 2
    from msgin5g.builder import open_node

    node = open_node(settings, directory, as_json, once, trace, application)
    prompt = settings.prompt
    gc_percent = settings.gc_percent
    del open_node, settings
    _drop("builder")
    _drop("port.resolver")
    if node is None:
        return 2
    if control is not None:
        node.transports.append(control)
    node.running = True
    if node.watchdog:
        node.watchdog.release()  # from here on the loop feeds it
    try:
        node.print_event(node.about)
        _drive(node, prompt, gc_percent)
    except KeyboardInterrupt:
        _end_by_hand(node)
    except SystemExit:  # from an application with a loop of its own, or from the prompt
        if not node.ended:
            raise
    node.running = False
    node.print_event({"event": "stopped", "counters": node.role.counters})
    if node.ended:
        reset()
        return 3
    if node.watchdog:
        node.watchdog.hold()  # a person is at the REPL now
    return _NOT_CONFIGURED if once and node.outcome not in ("applied", "unchanged") else 0


def _end_by_hand(node):
    """Note that this boot has not failed; tools press Ctrl-C more than once."""
    while True:
        try:
            node.end_by_hand()
            return
        except KeyboardInterrupt:
            pass


def _drop(name):
    """Drop a module or package that only start-up needs; no other module is ever dropped.

    From .mpy files settings, builder and resolver take 10 KB of heap on the 64-bit port, which a
    UE needs for its role and for documents. Frozen modules take next to nothing. The REPL imports
    them again to open a node that does not run.
    """
    name = "msgin5g." + name
    for loaded in list(sys.modules):
        if loaded == name or loaded.startswith(name + "."):
            del sys.modules[loaded]
    package, _, name = name.rpartition(".")
    delattr(sys.modules[package], name)  # the package refers to it as well


def _collect_by(gc_percent):
    """Collect garbage when this part of the heap that is free now has been allocated.

    A collection takes 11 to 15 ms on an RP2040. With hundreds of bytes between two of them most of
    the time goes there; with none before the heap is full, what lives long lies scattered in it.
    """
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(gc.mem_free() // 100 * gc_percent)


def _drive(node, prompt, gc_percent):
    """Run a node until it ends: in the blocking loop, or in asyncio beside others.

    These are the application's coroutine, if it has one, and the prompt, if `prompt` is true.
    """
    coroutine = node.application and node.application.start()
    if not coroutine and not prompt:
        _collect_by(gc_percent)
        node.run()
        return
    # A node without application and prompt loads neither asyncio nor repl.
    from msgin5g.port.event_loop_asyncio import run_beside

    if prompt:
        from msgin5g.repl.prompt import Prompt

        node.prompt = Prompt(node)
    _collect_by(gc_percent)
    try:
        run_beside(node, coroutine, ticks_ms)
    finally:
        node.prompt = None
