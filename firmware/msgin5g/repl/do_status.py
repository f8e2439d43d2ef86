"""repl.status() and repl.links()."""

import gc

from msgin5g.config.manager import EMPTY, MAX_RESETS
from msgin5g.config.record import BAD, TRIAL
from msgin5g.port.system import ticks_ms
from msgin5g.port.peer import text_of
from msgin5g.repl.do_text import row, span


def status(node):
    gc.collect()
    about = node.about
    print(about["role"] + " " + about["ue_id"])
    row("state", "running" if node.running else "stopped; Ctrl-D starts it again")
    row("bound to", about["bind"][0] + ":" + str(about["bind"][1]))
    ue = node.ue
    if ue:
        row("asks", text_of(ue.client.remote))
        row("configuration", _state(node.configuration))
        if ue.client.busy:
            row("request", "under way")
        else:
            wait = ue.own_wait_ms(ticks_ms())
            if wait is not None and node.running:
                row("next step", "in " + span(wait))
        if ue.client.document_id:
            seen = "observed" if ue.client.observing else "asked for from time to time"
            row("document", str(ue.client.document_id, "utf-8") + ", " + seen)
    if hasattr(node.role, "links"):
        row("links", str(len(node.role.links)))
    for part in node.parts:
        if hasattr(part, "status"):  # a radio
            told = part.status()
            row(told["link"], "up" if told["up"] else "down: " + str(told.get("reason")))
    if node.app:
        row("application", _application(node))
    elif node.unloaded:
        row("application", "not started")
    watchdog = node.watchdog
    if watchdog:
        fed = "quiet for you" if watchdog.held else "fed"
        row("watchdog", span(watchdog.timeout_ms) + ", " + fed)
    if hasattr(gc, "mem_free"):
        row("memory", str(gc.mem_free()) + " bytes free")
    counters = node.role.counters
    if counters:
        row("counted", ", ".join([k + " " + str(counters[k]) for k in sorted(counters)]))


def _state(lifecycle):
    state = lifecycle.state
    if state == EMPTY:
        text = "none yet"
    elif state == TRIAL:
        text = "on trial, " + str(lifecycle.boots) + " of " + str(MAX_RESETS) + " resets"
    elif state == BAD:
        text = "the last good one; the newest was rolled back"
    else:
        text = "good"
    if lifecycle.safe_mode:
        text += "; safe mode"
    if lifecycle.unsaved:
        text += "; not yet on flash"
    return text


def _application(node):
    error = node.app.error
    if error:
        return "ended by " + type(error).__name__ + ": " + str(error)
    if node.configuration and node.configuration.safe_mode:
        return "not started: safe mode"
    return "running" if node.running else "stopped"


def links(node):
    if node.ue:
        print("To the configuration server, or on the way to it:")
        row("next hop", text_of(node.ue.client.remote))
    if hasattr(node.role, "links"):
        peers = node.role.links.all()
        print("Linked UEs: " + str(len(peers)) + " of " + str(node.role.links.max_links))
        for peer in peers:
            row(text_of(peer.remote), str(peer.ue_id, "utf-8"))
    for i in range(len(node.links)):
        if node.links[i].n_failed:
            row("link " + str(i), str(node.links[i].n_failed) + " datagrams not taken")
