"""The parts that settings ask for beside a role: check, button, watchdog, application, prompt."""

from msgin5g.port.event_loop import run
from msgin5g.port.reset import reset
from msgin5g.port.system import ticks_ms
from msgin5g.node_parts import NodeWithParts


def with_parts(plain, settings, app, runs):
    """A NodeWithParts in place of a plain Node; app, runs: see composition."""
    node = NodeWithParts(plain.role, plain.links, run, ticks_ms)
    if not runs:
        node.unloaded = app
        app = None
    node.app = app
    if settings.radio:
        settings.radios.join(node)
    lookup = None
    if app or settings.confirm == "ping":
        from msgin5g.port.resolver import Lookup

        lookup = Lookup(node)
    lifecycle = node.configuration
    if lifecycle and settings.confirm in ("lasting", "ping"):
        from msgin5g.services.trial_check import TrialCheck

        node.parts.append(TrialCheck(node.ue, lookup if settings.confirm == "ping" else None))
    if lifecycle and settings.button_pin is not None and runs:
        from msgin5g.services.button import Button

        node.parts.append(Button(settings.button_pin, node))
    if settings.watchdog_s and runs:
        from msgin5g.services.watchdog import Watchdog

        node.watchdog = Watchdog(settings.watchdog_s * 1000)
        node.parts.append(node.watchdog)
    if app:
        node.parts.append(app)
        app.begin(node, lookup, ticks_ms)
    if runs and (app or settings.prompt):
        from msgin5g.repl.beside import run_with

        node.prompt = settings.prompt
        node.run = run_with(node, node.run)
    for _, name, reasons in lifecycle.history if lifecycle else ():
        if reasons:
            node.tell(name, reasons)
    return node


def after(node):
    """A node has stopped: reset the board if it is to start anew. What main gives; see there."""
    if node.ended:
        reset()
        return 3
    if node.watchdog:
        node.watchdog.hold()
    return 0
