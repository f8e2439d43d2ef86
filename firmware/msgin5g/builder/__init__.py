"""The composition root: settings -> transports, role, services -> Node.

Only start-up needs this package; main.py drops it afterwards. What a plain UE does not need is in
the other files, and the modules of a role or service are imported in the function that builds it:
a node loads none that it does not use.
"""

import os
from time import time

from micropython import const
from msgin5g import node
from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import StorageError, Store
from msgin5g.port.event_loop import run
from msgin5g.port.flash import Flash, crc_of
from msgin5g.port.resolver import TransportError, bind, is_ipv4, resolve
from msgin5g.port.system import random_byte, ticks_ms, woke_from_deep_sleep
from msgin5g.port.udp import UdpTransport

_GOOD_AFTER_MS = const(60000)  # a boot must last this long to count as good
_START_MS = const(60000)  # a start-up that takes longer has hung: the watchdog is to bite


def open_node(
    settings, directory, as_json=None, once=False, trace=False, application=None, runs=True
):
    """Build the Node of Settings and make it `node.current`.

    None after a line that says what is wrong. The arguments are those of main.main and of Builder.
    """
    if node.current:
        for transport in node.current.transports:
            transport.close()
        node.current = None
    settings.trace = settings.trace or trace
    builder = Builder(settings, directory, application, runs)
    built = None
    try:
        built = builder.build()
    except (TransportError, StorageError) as error:
        print(error)
        builder.hold_watchdog()
        return None
    except KeyboardInterrupt:
        builder.hold_watchdog()
        application = builder.application
        if builder.configuration and not (application and application.has_failed):
            builder.configuration.ended_by_hand(ticks_ms())
        raise
    finally:
        if built is None:
            builder.close()
    built.as_json = settings.log == "json" if as_json is None else as_json
    built.once = once
    built.started_at = ticks_ms()
    built.started_s = int(time())
    node.current = built
    return built


class Builder:
    """Builds one Node of Settings; what is stored goes into `directory`.

    application: the name of a module that is used if the board has it and the settings name none.
    runs: the node is about to run, which counts as a boot, imports the application and starts the
    watchdog. Without it the node is only inspected, which is read-only. name_lookup: a NameLookup,
    when there is something to look up.
    """

    def __init__(self, settings, directory, application=None, runs=True):
        self.settings = settings
        self.directory = directory
        self.runs = runs
        self.now = ticks_ms()
        self.radios = self.watchdog = self.name_lookup = None
        self.transports = []
        self.application = self.configuration = None
        settings.application = settings.application or _on_board(application)
        if settings.confirm == "auto":
            settings.confirm = "lasting" if settings.application else "at_once"

    def build(self):
        """The Node; TransportError when an address or a radio cannot be used.

        StorageError when there is no key that may be used.
        """
        settings = self.settings
        if settings.application and self.runs:
            from msgin5g.services.application import Application

            self.application = Application(settings.application)
        if settings.watchdog_s and self.runs:
            from msgin5g.services.watchdog import Watchdog

            self.watchdog = Watchdog(settings.watchdog_s * 1000)
            self.watchdog.hold(_START_MS)  # main releases it when the loop runs
        built = node.Node(self.build_role(), self.transports, run, ticks_ms)
        if self.watchdog:
            built.watchdog = self.watchdog
            built.services.append(self.watchdog)
        built.about = {
            "event": "started",
            "role": settings.role,
            "ue_id": settings.ue_id,
            "bind": list(settings.bind),
        }
        if self.radios:
            self.radios.join(built)
        if built.configuration:
            if built.configuration.safe_mode:
                built.about["safe_mode"] = True
            # Damage, a roll-back or safe mode at this start.
            for _, name, reasons in built.configuration.history:
                if reasons:
                    built.emit(name, reasons)
        if (
            settings.application
            or settings.confirm != "at_once"
            or settings.trace
            or settings.button_pin is not None
        ):
            from msgin5g.builder.services import add_services

            add_services(self, built)
        if self.name_lookup:
            self.name_lookup.join(built)
        return built

    def close(self):
        """Close the transports of a node that was not built."""
        espnow = self.radios and self.radios.espnow
        if espnow and espnow not in self.transports:
            self.transports.append(espnow)
        for transport in self.transports:
            transport.close()

    def hold_watchdog(self):
        """A person is at the REPL now, and no loop runs."""
        if self.watchdog:
            self.watchdog.hold()

    def build_role(self):
        """The role; its transports are opened in `transports`."""
        settings = self.settings
        if settings.radio:
            from msgin5g.builder.radio import start_radios

            self.radios = start_radios(settings.radio, random_byte)  # before there is a socket
        espnow = self.radios and self.radios.espnow
        if not settings.check_source_port:
            from msgin5g.port.remote import host_of

            settings.peer_key = self.radios.peer_key if espnow else host_of
        if settings.role != "ue":
            from msgin5g.builder.intermediary import build_intermediary

            return build_intermediary(self)
        if espnow:  # one peer, the next hop, reached without IP
            self.transports.append(espnow)
            role = self.constrained_ue(next(iter(espnow.peers)))
            self.protect(role)
            return role
        self.open_transport(settings.bind)
        role = self.constrained_ue(self.remote_of(settings.next_hop))
        self.protect(role)
        self.look_up("next_hop", settings.next_hop, role.set_next_hop, lambda: role.n_timeouts)
        return role

    def protect(self, role, owner=None):
        """Protect what a role, or an owner of exchanges in it, asks for, if the settings say so.

        StorageError when there is no key that may be used.
        """
        if self.settings.security_mode == "oscore":
            from msgin5g.builder.security import protect

            protect(self, role, owner)

    def remote_of(self, address):
        """The remote of [host, port]; None for a host name, which `look_up` is for."""
        return resolve(*address) if is_ipv4(address[0]) else None

    def look_up(self, setting, address, use, n_timeouts=None):
        """If [host, port] has a host name, look it up while the node runs; see NameLookup.add."""
        if not is_ipv4(address[0]):
            if self.name_lookup is None:
                from msgin5g.builder.services import new_name_lookup

                self.name_lookup = new_name_lookup(self.radios)
            self.name_lookup.add(setting, address[0], address[1], use, n_timeouts)

    def constrained_ue(self, remote, endpoint=None):
        """A ConstrainedUe; its next hop is `remote` on the first transport."""
        from msgin5g.ue import ConstrainedUe

        settings = self.settings
        configuration = self._configuration()
        return ConstrainedUe(settings, random_byte, configuration, remote, self.now, 0, endpoint)

    def _configuration(self):
        """The configuration that is stored, started: on trial, good or rolled back."""
        settings = self.settings
        trial_ms = 0 if settings.confirm == "at_once" else settings.trial_s * 1000
        schema = Schema(settings.max_document_size)
        good_after_ms = min(_GOOD_AFTER_MS, trial_ms // 2)
        store = Store(self.open_flash())
        manager = ConfigurationManager(
            store,
            schema,
            trial_ms,
            good_after_ms,
            settings.apply_interval_s * 1000,
            settings.on_deleted,
        )
        now = self.now
        if not self.runs:
            manager.start(now, False)
            manager.pause_timers(now)
            return manager
        if self.application:
            self.application.prepare(manager)
        name = settings.application
        crc = crc_of((name + ".py", name + ".mpy")) if name else 0
        self.configuration = manager  # whatever ends the start-up from here on
        manager.start(now, not woke_from_deep_sleep(), crc)
        if not trial_ms:
            manager.confirm(now)  # left on trial by an earlier setting
        manager.step(now)
        return manager

    def open_flash(self):
        """The files in which the configuration is stored."""
        return Flash(self.directory, StorageError)

    def open_transport(self, address):
        """Open a UDP socket on [host, port] as the next transport."""
        self.transports.append(UdpTransport(bind(*address)))


def _on_board(name):
    """The name, if the board has a module file of that name; else None."""
    if name:
        files = os.listdir()
        if name + ".py" in files or name + ".mpy" in files:
            return name
    return None
