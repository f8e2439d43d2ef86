"""From settings to a node: role, links and parts. Needed once, at start; main unloads it then."""

import os

from msgin5g.port.address import TransportError, bound, remote_of
from msgin5g.port.boot import woken
from msgin5g.port.system import random_byte, ticks_ms
from msgin5g.port.udp import UdpTransport
from msgin5g.unload import unload


def build_ue(settings, link, remote, now, directory, endpoint=None, app=None, counts=True):
    """A ConstrainedUe whose configuration is stored in `directory`.

    counts: whether this start is a boot, which may have failed; None for a person's look, which
    leaves a trial as it is. `app` is then only the name of a module that is not loaded.
    """
    from msgin5g.builder_config import configuration_in

    trial_ms = 0 if settings.confirm == "at_once" else settings.trial_s * 1000
    configuration = configuration_in(directory, settings.max_document_size, trial_ms)
    looks = counts is None
    if app and not looks:
        app.prepare(configuration)
    configuration.start(now, counts)
    if not looks:
        if not trial_ms:
            configuration.confirm(now)  # what an earlier setting has left on trial
        configuration.step(now)
    from msgin5g.ue.ue import ConstrainedUe

    return ConstrainedUe(settings, random_byte, configuration, remote, now, link, endpoint)


def build(settings, now, directory, app=None, counts=True):
    """(role, links) as the settings say; LinkError when an address cannot be used."""
    if settings.confirm == "auto":
        settings.confirm = "lasting" if app else "at_once"
    if settings.role != "ue" or settings.radio or not settings.check_source_port:
        from msgin5g.builder_intermediary import build_other

        built = build_other(settings, now, directory, app, counts, build_ue)
        del build_other
        unload("composition_hop")
        return built
    link = UdpTransport(bound(*settings.bind))
    remote = remote_of(*settings.next_hop)
    return build_ue(settings, 0, remote, now, directory, None, app, counts), [link]


def build_node(settings, directory, application, runs):
    """A Node with the parts that the settings ask for.

    application: the name of a module that is looked for, when the settings name none. runs: it
    is to run by itself, as a boot that counts, its application and its watchdog with it.
    """
    app = settings.application or _found(application)
    if app and runs:
        from msgin5g.services.application import Application

        app = Application(app)
    counts = not woken() if runs else None
    role, links = build(settings, ticks_ms(), directory, app, counts)
    from msgin5g.port.event_loop import run
    from msgin5g.node import Node

    node = Node(role, links, run, ticks_ms)
    told = False  # is there damage, a roll-back, safe mode?
    for row in node.configuration.history if node.configuration else ():
        told = told or row[2]
    if (
        settings.confirm not in ("at_once", "application")
        or settings.button_pin is not None
        or settings.watchdog_s
        or settings.prompt
        or settings.radio
        or app
        or told
    ):
        from msgin5g.builder_services import with_parts

        node = with_parts(node, settings, app, runs)
    return node


def compose(teller, path, directory, as_json, once, trace, role_name, application, runs=True):
    """The Node of the settings in a file; None after a line that says why not.

    teller: main's; the other arguments are those of main.main. runs: whether the node is about
    to run, which starts the application and the watchdog and counts as a boot; a person who looks
    at a node that does not run has none of that.
    """
    from msgin5g.settings.core import load

    settings = load(path, role_name)
    del load
    unload("settings", "settings_radio", "settings_hop", "configuration.strict_json")
    if settings is None:
        return None
    try:
        node = build_node(settings, directory, application, runs)
    except TransportError as error:
        print(error)
        return None
    node.about = {"event": "started", "role": settings.role, "ue_id": settings.ue_id,
                  "bind": list(settings.bind)}  # fmt: skip
    node.say = teller(settings.log == "json" if as_json is None else as_json, once)
    if settings.trace or trace:
        from msgin5g.port.trace import Trace

        node.trace = Trace(node.say)
    return node


def _found(name):
    """The name, if there is a module of that name on the board, as a file; else None."""
    if name:
        files = os.listdir()
        if name + ".py" in files or name + ".mpy" in files:
            return name
    return None
