"""From settings to a node: role, links and parts. Needed once, at start; main unloads it then."""

import os

from msgin5g.port.system import random_byte, ticks_ms, woken
from msgin5g.port.udp import UdpLink, host_of
from msgin5g.unload import unload


def build_ue(settings, link, remote, now, directory, endpoint=None, app=None, counts=True):
    """A ConstrainedUe whose configuration is stored in `directory`.

    counts: whether this start is a boot, which may have failed.
    """
    from msgin5g.configuration.lifecycle import Lifecycle
    from msgin5g.configuration.schema import Schema
    from msgin5g.configuration.store import Store
    from msgin5g.port.flash import Flash
    from msgin5g.roles.ue import ConstrainedUe

    trial_ms = 0 if settings.confirm == "at_once" else settings.trial_s * 1000
    configuration = Lifecycle(
        Store(Flash(directory)),
        Schema(settings.max_document_size),
        trial_ms,
        min(60000, trial_ms // 2),
    )
    if app:
        app.prepare(configuration)
    configuration.start(now, counts)
    if not trial_ms:
        configuration.confirm(now)  # what an earlier setting has left on trial
    return ConstrainedUe(settings, random_byte, configuration, remote, now, link, endpoint)


def build(settings, now, directory, app=None, counts=True):
    """(role, links) as the settings say; LinkError when an address cannot be used."""
    if not settings.check_source_port:
        settings.peer_key = host_of
    if settings.confirm == "auto":
        settings.confirm = "lasting" if app else "at_once"
    radios = settings.radio and _radios(settings)  # started before there is a socket
    if radios and radios.espnow and settings.role == "ue":
        # One peer, the next hop, reached without IP.
        remote = next(iter(radios.espnow.peers))
        role = build_ue(settings, 0, remote, now, directory, None, app, counts)
        return role, [radios.espnow]
    link = UdpLink(settings.bind[0], settings.bind[1])
    if settings.role == "ue":
        remote = link.remote(settings.next_hop[0], settings.next_hop[1])
        return build_ue(settings, 0, remote, now, directory, None, app, counts), [link]
    server = link.remote(settings.server_address[0], settings.server_address[1])
    links = [link]
    if settings.role == "relay":
        from msgin5g.roles.relay import Relay

        role = Relay(settings, random_byte, server, now)
    else:
        from msgin5g.composition_gateway import build_gateway

        role = build_gateway(settings, random_byte, server, now, links)
        del build_gateway
        unload("composition_gateway")
    if radios and radios.espnow:
        links.append(radios.espnow)
    if settings.role != "seal-c":
        for ue_id in settings.links:
            host, port = settings.links[ue_id]
            remote = link.remote(host, port)
            # One of our own access point's stations is linked while it is there.
            if not (radios and radios.awaits(ue_id, remote)):
                role.link_up(ue_id.encode(), 0, remote)
    settings.links = None  # the role has them: they are the most of a gateway's settings
    if settings.own_configuration:
        role.own = build_ue(settings, 0, server, now, directory, role.endpoint, app, counts)
    return role, links


def _radios(settings):
    from msgin5g.composition_radio import Radios

    settings.radios = radios = Radios(settings.radio, random_byte)
    if settings.peer_key and radios.espnow:
        settings.peer_key = radios.peer_key
    return radios


def build_node(settings, directory, application, runs):
    """A Node with the parts that the settings ask for.

    application: the name of a module that is looked for, when the settings name none. runs: it
    is to run by itself, as a boot that counts, its application and its watchdog with it.
    """
    from msgin5g.roles.node import Node

    name = settings.application or _found(application)
    app = None
    if name and runs:
        from msgin5g.app import Application

        app = Application(name)
    role, links = build(settings, ticks_ms(), directory, app, runs and not woken())
    node = Node(role, links)
    if settings.radio:
        settings.radios.join(node)
    lookup = None
    if app or settings.confirm == "ping":
        from msgin5g.port.lookup import Lookup

        lookup = Lookup(node)
    lifecycle = node.configuration
    if lifecycle and settings.confirm in ("lasting", "ping"):
        from msgin5g.roles.check import Check

        node.parts.append(Check(node.ue, lookup if settings.confirm == "ping" else None))
    if lifecycle and settings.button_pin is not None and runs:
        from msgin5g.port.button import Button

        node.parts.append(Button(settings.button_pin, node))
    if settings.watchdog_s and runs:
        from msgin5g.port.watchdog import Watchdog

        node.watchdog = Watchdog(settings.watchdog_s * 1000)
        node.parts.append(node.watchdog)
    if app:
        node.app = app
        node.parts.append(app)
        app.begin(node, lookup, ticks_ms)
    return node


def _found(name):
    """The name of a module that is on the board as a file, else None."""
    if name:
        for ending in (".py", ".mpy"):
            try:
                os.stat(name + ending)
                return name
            except OSError:
                pass
    return None
