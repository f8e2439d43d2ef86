"""Nodes with Wi-Fi: what goes wrong is in the status within 30 s, and cures itself."""

import sys

from radio_builders import Driven, new_radios, radio_ue

from msgin5g.builder.radio import start_radios
from msgin5g.port.resolver import TransportError
from msgin5g.node import Node
from msgin5g.settings import settings_of
from msgin5g_testkit.shim import network
from msgin5g_testkit.checks import xorshift
from builders import RELAY, UE_ID, new_relay, new_server, ue_address
from msgin5g_testkit.network_sim import NetworkSim

_UE_MAC = b"\x24\x0a\xc4\0\0\x02"
_UE = {"ue_id": UE_ID, "next_hop": ["192.168.4.1", 65401]}
_HOP = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}


class _Wifi:
    """A UE whose station is at the relay's access point, while the radio says so."""

    def __init__(self, port, key):
        self.sim = sim = NetworkSim(self.link_model)
        network.reset(port, lambda: sim.elapsed_ms)
        network.air["relay"] = "the right key"
        self.server = new_server(sim)
        new_relay(sim, {UE_ID: ue_address(2)})
        self.radios = new_radios(wifi={"ssid": "relay", "key": key}, **_UE)
        self.ue = radio_ue(sim, RELAY)
        self.node = Driven(Node(self.ue, [None]))
        self.radios.join(self.node.node)
        sim.add(ue_address(2), self.node)

    def link_model(self, n, datagram):
        _, source, destination, _ = self.sim.log.pop()
        if ue_address(2) in (source, destination) and not network.WLAN(0).isconnected():
            return []
        return [10]

    def reason(self):
        return self.radios.status()[0]["reason"]


def test_a_wrong_wifi_key():
    for port in ("esp32", "rp2"):
        place = _Wifi(port, "the wrong key")
        sim = place.sim
        assert sim.run(lambda p=place: p.reason() == "wrong key for relay", 30000), port
        assert ("link_down", "wifi: wrong key for relay") in place.node.emitted, port
        sim.run(None, 300000)
        assert place.server.n_requests == 0 and not place.ue.configuration.n_applied
        network.air["relay"] = "the wrong key"  # somebody corrects the access point
        back_at = sim.elapsed_ms
        assert sim.run(lambda p=place: p.ue.configuration.n_applied, 60000), port
        assert sim.elapsed_ms - back_at < 40000 and place.reason() is None, port


def test_an_access_point_that_vanishes():
    for port in ("esp32", "rp2"):
        place = _Wifi(port, "the right key")
        sim = place.sim
        assert sim.run(lambda p=place: p.ue.configuration.n_applied, 30000), port
        assert place.node.emitted == [("link_up", "wifi: relay")], port
        del network.air["relay"]
        assert sim.run(lambda p=place: p.reason() is not None, 30000), port
        sim.run(None, 10000)
        assert place.reason() == "no access point relay", port
        assert place.node.emitted[1] == ("link_down", "wifi: lost relay"), port
        sim.run(None, 1800000)
        n = place.server.n_requests
        network.air["relay"] = "the right key"
        # It asks at once, whatever its back-off says.
        assert sim.run(lambda p=place, n=n: p.server.n_requests > n, 60000), port
        assert place.reason() is None and place.radios.status()[0]["up"], port


def test_stations_are_links_while_they_are_there():
    sim = NetworkSim()
    network.reset("rp2", lambda: sim.elapsed_ms)
    point = {"ssid": "relay", "key": "12345678", "stations": {UE_ID: "24:0a:c4:00:00:02"}}
    radios = new_radios(access_point=point, **_HOP)
    relay = new_relay(sim, {})
    sim.remove(RELAY)
    node = Node(relay, [None])
    assert radios.links_later(UE_ID, ue_address(2)) and not radios.links_later("urn:other", RELAY)
    radios.join(node)
    driven = Driven(node)
    sim.add(RELAY, driven)
    sim.run(None, 5000)
    assert len(relay.links) == 0
    network.WLAN(1).stations = [(_UE_MAC)]
    sim.run(None, 2000)
    assert relay.links.of_ue(UE_ID.encode()).remote == ue_address(2)
    network.WLAN(1).stations = []
    sim.run(None, 2000)
    assert len(relay.links) == 0
    assert [name for name, _ in driven.emitted] == ["link_up", "link_down"]


def test_a_driver_that_takes_nothing_is_a_line_and_no_traceback():
    sys.modules["network"] = network
    network.reset("esp32", lambda: 0, [False, True])
    radio = settings_of(dict(_HOP, access_point={"ssid": "relay", "key": "12345678"})).radio
    try:
        start_radios(radio, xorshift(11))
        raise AssertionError("nothing was raised")
    except TransportError as error:
        assert str(error) == "link: the radio refuses: Wifi Invalid Mode"
    del sys.modules["network"]


def test_where_there_is_no_radio():
    for name in ("network", "espnow"):
        sys.modules.pop(name, None)
    network.remove_radio()
    radio = settings_of(dict(_UE, wifi={"ssid": "relay", "key": "12345678"})).radio
    sys.modules["network"] = network  # on CPython the shim, on a PC's MicroPython nothing
    assert start_radios(radio, xorshift(11)).services == []
    peers = {"peers": {"urn:x:1": ["24:0a:c4:00:00:01"]}}
    try:
        start_radios(settings_of({"ue_id": UE_ID, "espnow": peers}).radio, xorshift(11))
        raise AssertionError("nothing was raised")
    except TransportError as error:
        assert str(error) == "link: ESP-NOW is not on this board"
    del sys.modules["network"]


def test_over_a_soft_reset_an_interface_that_the_settings_do_not_name_is_off():
    for port in ("esp32", "rp2"):
        network.reset(port, lambda: 60000)
        network.air["site"] = "the right key"
        key = "the right key"
        new_radios(access_point={"ssid": "relay", "key": key}, **_HOP)
        station, point = network.WLAN(0), network.WLAN(1)
        assert point.active(), port
        new_radios(wifi={"ssid": "site", "key": key}, **_UE)
        assert not point.active() and station.active(), port
        station.connect("site", key)
        new_radios(access_point={"ssid": "relay", "key": key}, **_HOP)
        assert point.active() and not station.isconnected(), port


def test_a_driver_that_fails_without_a_name_is_not_a_machine_without_radio():
    sys.modules["network"] = network
    network.reset("esp32", lambda: 0)
    radio = settings_of(dict(_UE, wifi={"ssid": "relay", "key": "12345678"})).radio
    network.WLAN(0).active = _out_of_memory
    try:
        start_radios(radio, xorshift(11))
        raise AssertionError("nothing was raised")
    except TransportError as error:
        assert str(error) == "link: the radio refuses: Wifi Unknown Error 0x0101"
    del sys.modules["network"]


def _out_of_memory(on=None):
    raise RuntimeError("Wifi Unknown Error 0x0101")
