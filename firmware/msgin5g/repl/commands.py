"""What the commands of the REPL print and do: a function for each, called with a Node."""

import gc
import sys
from binascii import hexlify

from micropython import const
from msgin5g import __version__
from msgin5g.coap.message import Message
from msgin5g.coap.text import code_text, printable
from msgin5g.coap.ticks import add
from msgin5g.coap.ticks import diff as ticks_diff
from msgin5g.config.manager import EMPTY, MAX_RESETS
from msgin5g.config.store import BAD, GOOD, TRIAL, StorageError
from msgin5g.node import text_of as text_of_event
from msgin5g.port.remote import text_of
from msgin5g.port.system import ticks_ms
from msgin5g.repl.format import (
    duration, ms_since, print_message, print_row, print_wrapped, text_of_octets, value_text,
)  # fmt: skip

_MAX_TRACE_S = const(86400)
_FETCH_MS = const(30000)  # how long repl.fetch() waits when the node is stopped
_SLICE_MS = const(100)
_TRANSPORT_COUNTERS = (
    ("n_failed", "datagrams not sent"),
    ("n_lost", "lost for want of memory"),
    ("n_broken", "with missing pieces"),
    ("n_unknown_peer", "frames of unknown devices"),
    ("n_restarts", "restarts of the driver"),
)
_OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")
_HELP = (
    ("status", "state, peers, counters, memory", "What runs, for how long, whether traffic is "
     "protected, whether its configuration is good, on trial or rolled back, and what it has "
     "dropped, by reason."),
    ("config", "the configuration that runs", "Every key that the configuration has or "
     "could have. Values of keys that sound secret are not shown."),
    ("diff", "what the newest configuration changes", "The keys in which the newest stored "
     "configuration (+) differs from the one before (-)."),
    ("history", "what happened to the configurations", "What happened since the start, and how "
     "long ago. It is kept in memory, so a reset empties it."),
    ("why", "why this configuration runs", "Why this configuration runs, why the last one was "
     "refused or rolled back, the result of the check by ping, and what ended the application."),
    ("confirm", "keep the configuration on trial", "The configuration on trial works: it is the "
     "good one now."),
    ("rollback", "go back to the last good one", "Brings the good configuration before this one "
     "back. The server's document is not tried again until it changes."),
    ("fetch", "ask for the configuration now", "Asks the server now. The answer is printed when "
     "it arrives; when the node is stopped, the command waits for it, up to 30 s."),
    ("trace", "show messages: trace(60), trace(0)", "Shows each message in a line. "
     "While the node runs: until repl.trace(0). Stopped: the node works for that many seconds."),
    ("links", "the next hop, the linked UEs", "The next hop of a UE; the linked UEs of a relay "
     "or gateway; the number of datagrams that could not be sent, or were lost."),
    ("link_up", "link a UE, until the next start", 'link_up("urn:x-msgin5g:ue:0007", '
     '"192.168.4.2") links a UE at this address; a port may follow, else it is 65401.'),
    ("link_down", "end the link of a UE", 'link_down("urn:x-msgin5g:ue:0007"): what is under way '
     "for it is forgotten, and it is not served any more."),
    ("factory_reset", "remove all configuration", 'With "erase" it removes every stored '
     "configuration; the settings stay. So does holding the button "
     "of button_pin for 10 s."),
    ("help", 'this list; help("diff"): more', "The commands, or what one of them does."),
)  # fmt: skip


# What runs


def status(node):
    """Print what runs, its peers, its counters, and how much memory is free."""
    gc.collect()
    about = node.about
    if node.configuration and node.configuration.safe_mode:
        _print_safe_mode(node.configuration)
    print(about["role"] + " " + about["ue_id"])
    print_row("version", __version__ + ", " + _interpreter())
    print_row("state", _state_of(node))
    print_row("bound to", about["bind"][0] + ":" + str(about["bind"][1]))
    print_row("security", _security_of(node.role.endpoint, about["role"]))
    if node.ue:
        _print_ue(node)
    if hasattr(node.role, "links"):
        print_row("links", str(len(node.role.links)))
    for service in node.services:
        if hasattr(service, "status"):  # a radio
            radio = service.status()
            print_row(radio["link"], "up" if radio["up"] else "down: " + str(radio.get("reason")))
    if node.name_lookup:
        for text in node.name_lookup.unresolved():
            print_row("no address", text)
    if node.application:
        print_row("application", _application_state(node))
    elif node.missing_application:
        print_row("application", "not started")
    watchdog = node.watchdog
    if watchdog:
        fed = "fed by a timer while you are here" if watchdog.held else "fed"
        print_row("watchdog", duration(watchdog.timeout_ms) + ", " + fed)
    if hasattr(gc, "mem_free"):
        print_row("memory", str(gc.mem_free()) + " bytes free")
    counters = node.role.counters
    if counters:
        counted = [k + " " + str(counters[k]) for k in sorted(counters)]
        print_row("counted", ", ".join(counted))


def _interpreter():
    """`MicroPython 1.29.0`"""
    names = {"micropython": "MicroPython", "cpython": "CPython"}
    name = sys.implementation.name
    numbers = [str(number) for number in tuple(sys.implementation.version)[:3]]
    return names.get(name, name) + " " + ".".join(numbers)


def _state_of(node):
    if not node.running:
        return "stopped; Ctrl-D starts it again"
    if node.started_at is None:
        return "running"
    return "running for " + duration(ms_since(node.started_at, node.started_s))


def _security_of(endpoint, role):
    """Whether what the node asks for is protected; shows no key."""
    security = endpoint.security
    if security is None:
        return (
            "none of its own; what UEs protect passes" if role == "relay" else "none: plain text"
        )
    text = "OSCORE"
    if security.owner is not None:
        text += " for its own requests"
    if security.contexts:
        text += ", with keys of %d that ask" % len(security.contexts)
    if security.unprotected_error is not None:
        text += "; an unprotected " + code_text(security.unprotected_error) + " came last"
    return text


def _print_ue(node):
    ue = node.ue
    print_row("asks", _next_hop_of(ue))
    print_row("configuration", _configuration_state(node.configuration))
    if node.configuration.etag:
        print_row("ETag", hexlify(node.configuration.etag).decode())
    if ue.client.busy:
        print_row("request", "under way")
    else:
        wait = ue.own_wait_ms(ticks_ms())
        if wait is not None and node.running:
            print_row("next step", "in " + duration(wait))
    if ue.client.document_id:
        how = "observed" if ue.client.observing else "polled"
        print_row("document", text_of_octets(ue.client.document_id) + ", " + how)


def _next_hop_of(ue):
    remote = ue.client.remote
    return "nobody: the next hop has no address yet" if remote is None else text_of(remote)


def _configuration_state(manager):
    state = manager.state
    if state == EMPTY:
        text = "none yet"
    elif state == TRIAL:
        text = "on trial, " + str(manager.boots) + " of " + str(MAX_RESETS) + " resets"
    elif state == BAD:
        text = "the last good one; the newest was rolled back"
    else:
        text = "good"
    if manager.safe_mode:
        text += "; safe mode"
    if manager.unsaved:
        text += "; not yet on flash"
    if manager.deleted:
        text += "; the server has deleted its document"
    return text


def _application_state(node):
    error = node.application.error
    if error:
        return "ended by " + type(error).__name__ + ": " + str(error)
    if node.configuration and node.configuration.safe_mode:
        return "not started: safe mode"
    return "running" if node.running else "stopped"


def links(node):
    """Print the next hop, the linked UEs, and datagrams that could not be sent."""
    if node.ue:
        print("Towards the configuration server:")
        print_row("next hop", _next_hop_of(node.ue))
    if hasattr(node.role, "links"):
        linked = node.role.links
        print("Linked UEs: " + str(len(linked)) + " of " + str(node.role.links.max_links))
        for ue in linked:
            print_row(text_of(ue.remote), text_of_octets(ue.ue_id))
    for i in range(len(node.transports)):
        counts = []
        for name, text in _TRANSPORT_COUNTERS:
            n = getattr(node.transports[i], name, 0)
            if n:
                counts.append(str(n) + " " + text)
        if counts:
            print_row("transport " + str(i), ", ".join(counts))


def link_up(node, ue_id, host, port):
    """Link a UE (text) at host and port until the next start, or until link_down."""
    if not _links_ues(node):
        return
    # These belong to the start, and are dropped after it.
    from msgin5g.port.resolver import TransportError, resolve
    from msgin5g.settings.rules import SettingsError, checked, checked_ue_id

    try:
        ue_id = checked_ue_id("ue_id", ue_id)
        remote = resolve(*checked("address", "a", [host, port], (1,)))
    except (SettingsError, TransportError) as error:
        print("Not linked: " + str(error).replace("settings: ", ""))
        return
    table = node.role.links
    if node.radios and node.radios.links_later(ue_id, remote):
        print("It is linked when it joins this node's access point.")
    elif node.role.link_up(ue_id.encode(), 0, remote):
        print("Linked: " + str(len(table)) + " of " + str(table.max_links) + " links are used.")
    elif len(table) >= table.max_links and table.of_ue(ue_id.encode()) is None:
        print("Not linked: all " + str(table.max_links) + " links are used.")
    else:
        print("Not linked: another UE has this address, see repl.links().")


def link_down(node, ue_id):
    """End the link of a UE (text)."""
    if not _links_ues(node):
        return
    octets = ue_id.encode() if isinstance(ue_id, str) else b""
    if node.role.links.of_ue(octets) is None:
        print("There is no link with " + printable(str(ue_id).encode()) + ".")
        return
    node.role.link_down(octets)
    print("The link has ended.")


def _links_ues(node):
    """False, after a message, for a role that has no links."""
    if hasattr(node.role, "link_up"):
        return True
    print("This node has no links with UEs: " + node.about["role"] + ".")
    return False


# The configuration


def config(node):
    """Print the configuration that runs."""
    manager = node.configuration
    configuration = manager.configuration
    if configuration is None:
        print("There is no configuration yet.")
        return
    defaults = {rule[0]: rule[3] for rule in manager.schema.rules}
    for key in sorted(list(configuration) + [k for k in defaults if k not in configuration]):
        text = "not set"
        name = printable(key.encode())
        if key in configuration:
            text = value_text(key, configuration[key])
            if key not in defaults:
                text += "  (not known here)"
            elif configuration[key] == defaults[key]:
                text += "  (the default)"
        if len(name) > 24:
            print_wrapped(name, "  ", "    ")
            print_wrapped(text, "    ", "    ")
        else:
            print_wrapped(text, "  " + name + " " * (25 - len(name)), " " * 27)
    if manager.etag:
        print_wrapped(hexlify(manager.etag).decode(), "  (ETag)" + " " * 19)


def diff(node):
    """Print what the newest configuration changes compared with the one before."""
    newest = node.configuration.stored(newest=True)
    older = node.configuration.stored(newest=False)
    if not newest or not older:
        print("There are no two configurations to compare.")
        return
    print("- before: " + _stored_state(older) + "\n+ newest: " + _stored_state(newest))
    before = older[1] or {}
    after = newest[1] or {}
    keys = [k for k in before if k not in after or after[k] != before[k]]
    keys += [k for k in after if k not in before]
    for key in sorted(keys):
        if key in before:
            print_wrapped(key + ": " + value_text(key, before[key]), "  - ", "    ")
        if key in after:
            print_wrapped(key + ": " + value_text(key, after[key]), "  + ", "    ")
    if not keys:
        print("  The values are the same.")


def _stored_state(row):
    state, configuration = row
    text = "on trial" if state == TRIAL else "rolled back" if state == BAD else "good"
    if configuration is None:
        text += ", and does not fit what the application declares"
    return text


def history(node):
    """Print what happened to the configurations since the start."""
    now = ticks_ms()
    print("Since the start, oldest first:")
    for at, name, reasons in node.configuration.history:
        label = duration(ticks_diff(now, at)) + " ago"
        text = text_of_event({"event": name, "reasons": list(reasons)})
        print_wrapped(text, " " * (18 - len(label)) + label + "  ", " " * 20)


def why(node):
    """Print why this configuration runs, and why another one does not."""
    manager = node.configuration
    cause = manager.cause
    _print_why_it_runs(manager)
    if manager.safe_mode:
        _print_safe_mode(manager)
    if manager.reasons and (manager.state != BAD or manager.reasons != (cause,)):
        print("The last one that was refused:")
        for reason in manager.reasons:
            print_wrapped(reason, "  ", "    ")
    for service in node.services:
        ping = getattr(service, "ping", None)
        if hasattr(service, "passed") and ping:  # the check of a trial
            result = "passed" if ping.answered else "no answer"
            if ping.answered is None:
                result += (
                    " yet, asked " + duration(ticks_diff(ticks_ms(), service.asked_at)) + " ago"
                )
            print_wrapped("check by ping: " + ping.why + ": " + result)
    if node.application and node.application.error:
        error = node.application.error
        print_wrapped("The application ended by " + type(error).__name__ + ": " + str(error))


def _print_safe_mode(manager):
    left_ms = manager.safe_mode_ms(ticks_ms())
    text = "Safe mode: the board was reset too often, so the application is not started. "
    if left_ms:
        text += "Leave it on for " + duration(left_ms) + ", correct the application, or give it "
        text += "another document: then the next start runs the application again."
    else:
        text += "The next start (Ctrl-D) runs it again."
    print_wrapped(text)


def _print_why_it_runs(manager):
    state = manager.state
    if state == EMPTY:
        why = "the server has deleted it" if manager.deleted else "none has been accepted yet"
        print_wrapped("No configuration runs, because " + why + ".")
    elif state == GOOD:
        print_wrapped("The newest configuration runs: it was confirmed.")
    elif state == TRIAL:
        text = "The newest configuration is on trial: it waits for its confirmation"
        if manager.trial_ms:
            text += ", or is rolled back " + duration(manager.trial_ms)
            text += " after its start, or after " + str(MAX_RESETS)
            text += " resets if there is a good one to go back to"
        print_wrapped(text + ".")
    else:
        print_wrapped(
            "The last good configuration runs: the newest one was rolled back, "
            + manager.cause
            + "."
        )
        print_wrapped("The server's document is not tried again until it changes.")
    if manager.deleted and state != EMPTY:
        print_wrapped("The server has deleted its document; the setting on_deleted keeps it.")


def confirm(node):
    """Keep the configuration that is on trial."""
    if node.configuration.state == TRIAL and _lacks_application(node):
        return
    if node.configuration.confirm(ticks_ms()):
        print("Confirmed: this configuration is kept.")
    else:
        print("Nothing is on trial.")


def rollback(node):
    """Go back to the last good configuration."""
    if node.configuration.roll_back(ticks_ms()):
        print_wrapped(
            "Rolled back: the configuration before it runs, until the server's document changes."
        )
    else:
        print("There is no good configuration to go back to.")


def factory_reset(node, word):
    """Remove all configuration, if `word` is "erase"."""
    if word != "erase":
        print_wrapped(
            "This removes every configuration that is stored. The settings, the application "
            "and your files stay. If that is what you want:"
        )
        print('  repl.factory_reset("erase")')
        return
    try:
        node.configuration.remove_all(ticks_ms())
        print("All configuration is removed. The next fetch brings a first one.")
    except StorageError as error:
        print("Not done, " + str(error))


# The network


def fetch(node):
    """Ask for the configuration now; a stopped node works until the answer has come."""
    if _lacks_application(node):
        return
    now = ticks_ms()
    node.ue.fetch(now)
    if node.running:
        print("Request queued; the answer is printed when it arrives.")
        return
    end_at = add(now, _FETCH_MS)
    outcomes = []

    def emit(event):
        _print_event(event)
        if event["event"] in _OUTCOMES:
            outcomes.append(event)
        return outcomes

    _work(node, _SLICE_MS, emit)
    client = node.ue.client
    while (
        not outcomes
        and (client.busy or client.remote is None)
        and ticks_diff(end_at, ticks_ms()) > 0
    ):
        _work(node, _SLICE_MS, emit)
    event = node.poll()  # events that follow the outcome, or an earlier notification
    while event:
        if event["event"] != "unchanged":
            _print_event(event)
        event = node.poll()
    if not outcomes and client.remote is None:
        print("The next hop has no address yet: see repl.status().")
    elif not outcomes and client.busy:
        print("No answer within 30 s.")


def trace(node, seconds):
    """Show messages as they are sent and received; 0 seconds ends it."""
    if type(seconds) is not int or not 0 <= seconds <= _MAX_TRACE_S:
        print("Seconds are a whole number, 0 to " + str(_MAX_TRACE_S) + ": repl.trace(60)")
        return
    if not seconds:
        node.trace = None
        print("Messages are not shown any more.")
        return
    if _lacks_application(node):
        return
    message = Message(64)
    prompt = node.prompt

    def show(out, datagram, remote):
        if prompt:
            prompt.hide()
        try:
            print_message(message, out, datagram, remote)
        except MemoryError:
            print("A message is not shown: too little memory is free.")
        if prompt:
            prompt.show()

    node.trace = show
    if node.running:
        print("Messages are shown until repl.trace(0).")
        return
    print("Messages of the next " + str(seconds) + " s; Ctrl-C ends it.")
    try:
        _work(node, seconds * 1000, _print_event)
    except KeyboardInterrupt:
        pass
    node.trace = None


def _work(node, ms, emit):
    """Let a stopped node work without its application; `emit` prints its events."""
    services = node.services
    node.services = [service for service in services if service is not node.application]
    print_event = node.print_event
    node.print_event = emit
    try:
        node.run(ms)
    finally:
        node.services = services
        node.print_event = print_event


def _lacks_application(node):
    """True, after a message, when the application that declares keys is not imported."""
    if node.missing_application:
        print_wrapped(
            "Not without the keys of " + node.missing_application + ": run main.py (Ctrl-D), "
            "press Ctrl-C, try again."
        )
    return node.missing_application is not None


def _print_event(event):
    """Print an event in 80 columns, in the words of the console."""
    print_wrapped(text_of_event(event), "  ", "    ")


def help(name):
    """Print the commands in a line each, or what one of them does."""
    name = getattr(name, "__name__", name)
    for command, short, long in _HELP:
        if name is None:
            print("  repl." + command + "()" + " " * (17 - len(command)) + short)
        elif name == command:
            print("repl." + command + "()")
            print_wrapped(long, "  ", "  ")
            return
    if name is not None:
        print("There is no repl." + str(name) + "(); repl.help() lists the commands.")
