"""The composition root: settings -> transports, role, services -> Node.

Only start-up needs this module; main.py drops it afterwards. The modules of a role or service are
imported in the function that builds it, so that a node loads none that it does not use.
"""

import gc
import os

from micropython import const
from msgin5g import node
from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import StorageError, Store
from msgin5g.events import EventPrinter
from msgin5g.port.event_loop import run
from msgin5g.port.flash import Flash
from msgin5g.port.resolver import Resolver, TransportError, bind, host_of, resolve
from msgin5g.port.system import random_byte, ticks_ms, woke_from_deep_sleep
from msgin5g.port.udp import UdpTransport

_GOOD_AFTER_MS = const(60000)  # a boot must last this long to count as good


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
    try:
        built = Builder(settings, directory, application, runs).build()
    except TransportError as error:
        print(error)
        return None
    as_json = settings.log == "json" if as_json is None else as_json
    built.print_event = EventPrinter(as_json, once).emit
    if settings.trace or trace:
        from msgin5g.port.trace import Trace

        built.trace = Trace(built.print_event)
    node.current = built
    return built


class Builder:
    """Builds one Node of Settings; what is stored goes into `directory`.

    application: the name of a module that is used if the board has it and the settings name none.
    runs: the node is about to run, which counts as a boot, imports the application and starts the
    watchdog. Without it the node is only inspected, which is read-only.
    """

    def __init__(self, settings, directory, application=None, runs=True):
        self.settings = settings
        self.directory = directory
        self.runs = runs
        self.now = ticks_ms()
        self.radios = None
        self.transports = []
        self.application = None
        self.application_name = settings.application or _on_board(application)
        if settings.confirm == "auto":
            settings.confirm = "lasting" if self.application_name else "at_once"

    def build(self):
        """The Node; TransportError when an address or a radio cannot be used."""
        if self.application_name and self.runs:
            from msgin5g.services.application import Application

            self.application = Application(self.application_name)
        built = node.Node(self.build_role(), self.transports, run, ticks_ms)
        settings = self.settings
        built.about = {
            "event": "started",
            "role": settings.role,
            "ue_id": settings.ue_id,
            "bind": list(settings.bind),
        }
        self._add_services(built)
        return built

    def build_role(self):
        """The role; its transports are opened in `transports`."""
        settings = self.settings
        if settings.radio:
            self.radios = start_radios(settings.radio)  # before there is a socket
        if not settings.check_source_port:
            espnow = self.radios and self.radios.espnow
            settings.peer_key = self.radios.peer_key if espnow else host_of
        if settings.role == "ue":
            return self._ue()
        return self._intermediary()

    # Roles

    def _ue(self):
        espnow = self.radios and self.radios.espnow
        if espnow:  # one peer, the next hop, reached without IP
            self.transports.append(espnow)
            return self._constrained_ue(next(iter(espnow.peers)))
        self._open(self.settings.bind)
        return self._constrained_ue(resolve(*self.settings.next_hop))

    def _constrained_ue(self, remote, endpoint=None):
        """A ConstrainedUe; its next hop is `remote` on the first transport."""
        from msgin5g.ue.ue import ConstrainedUe

        settings = self.settings
        configuration = self._configuration()
        return ConstrainedUe(settings, random_byte, configuration, remote, self.now, 0, endpoint)

    def _configuration(self):
        """The configuration that is stored, started: on trial, good or rolled back."""
        settings = self.settings
        trial_ms = 0 if settings.confirm == "at_once" else settings.trial_s * 1000
        schema = Schema(settings.max_document_size)
        good_after_ms = min(_GOOD_AFTER_MS, trial_ms // 2)
        store = Store(Flash(self.directory, StorageError))
        manager = ConfigurationManager(store, schema, trial_ms, good_after_ms)
        now = self.now
        if not self.runs:
            manager.start(now, False)
            manager.pause_timers(now)
            return manager
        if self.application:
            self.application.prepare(manager)
        manager.start(now, not woke_from_deep_sleep())
        if not trial_ms:
            manager.confirm(now)  # left on trial by an earlier setting
        manager.step(now)
        return manager

    def _intermediary(self):
        """A relay, a gateway or the gateway's configuration client, with its linked UEs."""
        settings = self.settings
        self._open(settings.bind)
        server = resolve(*settings.server_address)
        links = _pack(settings)
        if settings.role == "relay":
            role = self._relay(server)
        elif settings.role == "gateway":
            role = self._gateway(server)
        else:
            role = self._scm_client_node(server)
        if self.radios and self.radios.espnow:
            self.transports.append(self.radios.espnow)
        if settings.role != "seal-c":
            self._link(role, links)
        if settings.own_configuration:
            role.own = self._constrained_ue(server, role.endpoint)
        return role

    def _relay(self, server):
        from msgin5g.relay.relay import Relay

        return Relay(self.settings, random_byte, server, self.now)

    def _gateway(self, server):
        from msgin5g.gateway.gateway import Gateway

        settings = self.settings
        if settings.seal_c_mode == "separated":
            from msgin5g.gateway.scm_remote import RemoteScmClient

            peer = self._open_seal_c()
            role = Gateway(settings, random_byte, self.now)
            role.connect(RemoteScmClient(role.endpoint, 1, peer))
        else:
            from msgin5g.gateway.scm_local import LocalScmClient

            role = Gateway(settings, random_byte, self.now)
            role.connect(LocalScmClient(settings, role.endpoint, 0, server))
        return role

    def _scm_client_node(self, server):
        from msgin5g.gateway.scm_client_node import ScmClientNode

        return ScmClientNode(self.settings, random_byte, server, self._open_seal_c())

    # Transports and links

    def _open(self, address):
        self.transports.append(UdpTransport(bind(*address)))

    def _open_seal_c(self):
        """Open the transport of SEAL-C, the second one; the remote of its other end."""
        self._open(self.settings.seal_c_bind)
        return resolve(*self.settings.seal_c_peer)

    def _link(self, role, links):
        """Link the UEs of the settings; links: see _pack."""
        i = 0
        while i < len(links):
            end = links.find("\n", i)
            ue_id, host, port = links[i:end].split(" ")
            i = end + 1
            remote = resolve(host, int(port))
            # A station of our own access point is linked while it is associated.
            if not (self.radios and self.radios.links_later(ue_id, remote)):
                role.link_up(ue_id.encode(), 0, remote)

    # Services

    def _add_services(self, built):
        """Add the services that the settings ask for."""
        settings = self.settings
        if self.radios:
            self.radios.join(built)
        if built.configuration:
            self._add_configuration_services(built)
        if settings.watchdog_s and self.runs:
            from msgin5g.services.watchdog import Watchdog

            built.watchdog = Watchdog(settings.watchdog_s * 1000)
            built.services.append(built.watchdog)
        if self.application:
            built.application = self.application
            built.services.append(self.application)
            self.application.begin(built, Resolver(built).resolve, ticks_ms)
        elif self.application_name:
            built.missing_application = self.application_name
        built.wants_prompt = settings.prompt

    def _add_configuration_services(self, built):
        settings = self.settings
        if settings.confirm in ("lasting", "ping"):
            from msgin5g.services.trial_check import TrialCheck

            resolver = Resolver(built).resolve if settings.confirm == "ping" else None
            built.services.append(TrialCheck(built.ue, resolver))
        if settings.button_pin is not None and self.runs:
            from msgin5g.services.button import Button

            built.services.append(Button(settings.button_pin, built))
        # Damage, a roll-back or safe mode at this start.
        for _, name, reasons in built.configuration.history:
            if reasons:
                built.emit(name, reasons)


def start_radios(radio, random=random_byte):
    """Start the drivers of RadioSettings: Radios.

    A machine without a radio uses the network that it has. TransportError when ESP-NOW, which
    nothing can replace, is not there, or when a driver refuses its settings.
    """
    from msgin5g.services.radios import Radios

    radios = Radios(random, host_of)
    try:
        import network

        if radio.ssid is not None:
            from msgin5g.port.wlan import Station

            radios.add_station(Station(network, random, radio.ssid, radio.key, radio.address))
        if radio.access_point_ssid is not None:
            from msgin5g.port.wlan import AccessPoint

            radios.add_access_point(
                AccessPoint(
                    network,
                    radio.access_point_ssid,
                    radio.access_point_key,
                    radio.access_point_channel,
                    radio.stations,
                )
            )
        if radio.peers:
            radios.add_espnow(_start_espnow(network, radio))
    except (ImportError, RuntimeError):
        if radio.peers:
            raise TransportError("link: ESP-NOW is not on this board")
        print("wifi: this machine has no radio, the setting is ignored")
    except OSError as error:
        raise TransportError("link: the radio refuses: " + str(error))
    return radios


def _start_espnow(network, radio):
    import espnow

    from msgin5g.port.espnow import EspNowTransport

    if radio.ssid is None:
        wlan = network.WLAN(network.WLAN.IF_STA)
        wlan.active(True)  # ESP-NOW sends nothing without an active interface
        if radio.channel is not None:
            wlan.config(channel=radio.channel)
    return EspNowTransport(espnow.ESPNow(), radio.pmk, radio.peers, radio.probe_s * 1000)


def _pack(settings):
    """The linked UEs of the settings as lines of text, made before the role is imported.

    Hundreds of links are thousands of small objects. Their freed memory would lie as holes between
    the modules of the role.
    """
    packed = ""
    if settings.links:
        links = settings.links
        packed = "".join(["%s %s %d\n" % (u, links[u][0], links[u][1]) for u in links])
    settings.links = None
    gc.collect()
    return packed


def _on_board(name):
    """The name, if the board has a module file of that name; else None."""
    if name:
        files = os.listdir()
        if name + ".py" in files or name + ".mpy" in files:
            return name
    return None
