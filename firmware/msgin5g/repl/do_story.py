"""repl.history() and repl.why()."""

from msgin5g.coap.ticks import diff
from msgin5g.config.manager import EMPTY, MAX_RESETS
from msgin5g.config.record import BAD, GOOD, TRIAL
from msgin5g.port.system import ticks_ms
from msgin5g.repl.do_text import span, wrapped


def history(node):
    now = ticks_ms()
    print("Since the start, oldest first:")
    for at, name, reasons in node.configuration.history:
        label = span(diff(now, at)) + " ago"
        text = name.replace("_", " ")
        if reasons:
            text += ": " + "; ".join(reasons)
        wrapped(text, " " * (18 - len(label)) + label + "  ", " " * 20)


def why(node):
    lifecycle = node.configuration
    state = lifecycle.state
    if state == EMPTY:
        wrapped("No configuration runs, because none has been taken yet.")
    elif state == GOOD:
        wrapped("The newest configuration runs: it was confirmed.")
    elif state == TRIAL:
        text = "The newest configuration is on trial: it waits for its confirmation"
        if lifecycle.trial_ms:
            minutes = span(lifecycle.trial_ms)
            text += ", or is rolled back " + minutes + " after its start, or after "
            text += str(MAX_RESETS) + " resets if there is a good one to go back to"
        wrapped(text + ".")
    elif state == BAD:
        wrapped(
            "The last good configuration runs: the newest one was rolled back, "
            + lifecycle.cause
            + "."
        )
        wrapped("The server's document is not tried again until it changes.")
    if lifecycle.safe_mode:
        wrapped(
            "Safe mode: " + str(lifecycle.boots) + " resets in a row, so the application is not "
            "started. Another document, or repl.rollback(), leads out of it."
        )
    if lifecycle.reasons and (state != BAD or lifecycle.reasons != (lifecycle.cause,)):
        print("The last one that was refused:")
        for reason in lifecycle.reasons:
            wrapped(reason, "  ", "    ")
    for part in node.parts:
        ping = getattr(part, "ping", None)
        if hasattr(part, "passed") and ping:
            said = {None: "no answer yet", True: "passed", False: "no answer"}
            wrapped("check by ping: " + ping.why + ": " + said[ping.answered])
    if node.app and node.app.error:
        error = node.app.error
        wrapped("The application ended by " + type(error).__name__ + ": " + str(error))
