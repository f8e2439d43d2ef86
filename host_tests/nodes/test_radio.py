"""Nodes with radios: what goes wrong is in the status within 30 s, and cures itself."""

import sys

sys.path.append("host_tests")  # where this runs as .mpy the shim is the source's

from shim import espnow, network

from checks import xorshift
from msgin5g.composition_radio import Radios
from msgin5g.port.udp import LinkError
from msgin5g.roles.node import Node
from msgin5g.settings import settings_of
from stations import (
    RELAY,
    SERVER,
    UE_ID,
    Held,
    new_relay,
    new_server,
    relay_settings,
    ue_address,
    ue_settings,
)
from world import World

_UE_MAC = b"\x24\x0a\xc4\0\0\x02"
_RELAY_MAC = b"\x24\x0a\xc4\0\0\x01"
_UE = {"ue_id": UE_ID, "next_hop": ["192.168.4.1", 65401]}
_HOP = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}


def _radios(**settings):
    """Radios as the composition makes them, with the scripted modules in place of a board's."""
    sys.modules["network"] = network
    sys.modules["espnow"] = espnow
    try:
        return Radios(settings_of(settings).radio, xorshift(11))
    finally:
        del sys.modules["network"], sys.modules["espnow"]


def _ue(world, remote, **settings):
    from msgin5g.roles.ue import ConstrainedUe

    return ConstrainedUe(ue_settings(**settings), xorshift(3), Held(), remote, world.now)


class _Driven:
    """A node in a World, whose events are told at once, as the loop does.

    index: of its link that is ESP-NOW, which is not the World's air.
    """

    def __init__(self, node, index=None):
        self.node = node
        self.index = index
        self.link = None if index is None else node.links[index]
        self.told = []

    def receive(self, link, datagram, remote, now):
        self.node.receive(link, datagram, remote, now)

    def step(self, now):
        while self.link is not None:
            arrived = self.link.receive()
            if arrived is None:
                break
            self.node.receive(self.index, arrived[0], arrived[1], now)
        self.node.step(now)
        while True:
            event = self.node.poll()
            if event is None:
                return
            if "reasons" in event:
                self.told.append((event["event"], event["reasons"][0]))

    def transmit(self, now):
        while True:
            out = self.node.transmit(now)
            if out is None or out[0] != self.index:
                return out
            self.link.send(out[1], out[2])

    def wait_ms(self, now):
        if self.link is not None and self.link.socket.any():
            return 0
        return self.node.wait_ms(now)


class _Wifi:
    """A UE whose station is at the relay's access point, while the radio says so."""

    def __init__(self, port, key):
        self.world = world = World(self.fate)
        network.reset(port, lambda: world.elapsed_ms)
        network.air["relay"] = "the right key"
        self.server = new_server(world)
        new_relay(world, {UE_ID: ue_address(2)})
        self.radios = _radios(wifi={"ssid": "relay", "key": key}, **_UE)
        self.ue = _ue(world, RELAY)
        self.node = _Driven(Node(self.ue, [None]))
        self.radios.join(self.node.node)
        world.add(ue_address(2), self.node)

    def fate(self, n, datagram):
        _, source, destination, _ = self.world.log[-1]
        if ue_address(2) in (source, destination) and not network.WLAN(0).isconnected():
            return []
        return [10]

    def reason(self):
        return self.radios.status()[0]["reason"]


def test_a_wrong_wifi_key():
    for port in ("esp32", "rp2"):
        place = _Wifi(port, "the wrong key")
        world = place.world
        assert world.run(lambda p=place: p.reason() == "wrong key for relay", 30000), port
        assert ("link_down", "wifi: wrong key for relay") in place.node.told, port
        world.run(None, 300000)
        assert place.server.n_requests == 0 and not place.ue.configuration.n_applied
        network.air["relay"] = "the wrong key"  # somebody corrects the access point
        back_at = world.elapsed_ms
        assert world.run(lambda p=place: p.ue.configuration.n_applied, 60000), port
        assert world.elapsed_ms - back_at < 40000 and place.reason() is None, port


def test_an_access_point_that_vanishes():
    for port in ("esp32", "rp2"):
        place = _Wifi(port, "the right key")
        world = place.world
        assert world.run(lambda p=place: p.ue.configuration.n_applied, 30000), port
        assert place.node.told == [("link_up", "wifi: relay")], port
        del network.air["relay"]
        assert world.run(lambda p=place: p.reason() is not None, 30000), port
        world.run(None, 10000)
        assert place.reason() == "no access point relay", port
        assert place.node.told[1] == ("link_down", "wifi: lost relay"), port
        world.run(None, 1800000)
        n = place.server.n_requests
        network.air["relay"] = "the right key"
        # It asks at once, whatever its back-off says.
        assert world.run(lambda p=place, n=n: p.server.n_requests > n, 60000), port
        assert place.reason() is None and place.radios.status()[0]["up"], port


def test_stations_are_links_while_they_are_there():
    world = World()
    network.reset("rp2", lambda: world.elapsed_ms)
    point = {"ssid": "relay", "key": "12345678", "stations": {UE_ID: "24:0a:c4:00:00:02"}}
    radios = _radios(access_point=point, **_HOP)
    relay = new_relay(world, {})
    world.remove(RELAY)
    node = Node(relay, [None])
    assert radios.awaits(UE_ID, ue_address(2)) and not radios.awaits("urn:other", RELAY)
    radios.join(node)
    driven = _Driven(node)
    world.add(RELAY, driven)
    world.run(None, 5000)
    assert len(relay.links) == 0
    network.WLAN(1).stations = [(_UE_MAC)]
    world.run(None, 2000)
    assert relay.links.of_ue(UE_ID.encode()).remote == ue_address(2)
    network.WLAN(1).stations = []
    world.run(None, 2000)
    assert len(relay.links) == 0
    assert [name for name, _ in driven.told] == ["link_up", "link_down"]


def test_an_esp_now_peer_out_of_range():
    from msgin5g.roles.relay import Relay

    espnow.reset()
    world = World()
    network.reset("esp32", lambda: world.elapsed_ms)
    server = new_server(world)
    key = "00112233445566778899aabbccddeeff"
    espnow.here = _RELAY_MAC
    hop_radios = _radios(espnow={"peers": {UE_ID: ["24:0a:c4:00:00:02", key]}}, **_HOP)
    relay = Relay(relay_settings(), xorshift(5), SERVER, world.now)
    hop = Node(relay, [None, hop_radios.espnow])
    hop_radios.join(hop)
    world.add(RELAY, _Driven(hop, 1))
    espnow.here = _UE_MAC
    radios = _radios(espnow={"peers": {"urn:x:1": ["24:0a:c4:00:00:01", key]}}, ue_id=UE_ID)
    ue = _ue(world, _RELAY_MAC)
    node = Node(ue, [radios.espnow])
    radios.join(node)
    driven = _Driven(node, 0)
    world.add(ue_address(2), driven)
    assert world.run(lambda: ue.configuration.n_applied, 30000)
    assert relay.links.of_ue(UE_ID.encode()).remote == _UE_MAC
    assert driven.told == [("link_up", "espnow: urn:x:1")]

    espnow.apart.add((_UE_MAC, _RELAY_MAC))
    gone_at = world.elapsed_ms
    assert world.run(lambda: not radios.status()[0]["up"], 30000)
    assert radios.status()[0]["reason"] == "urn:x:1: out of range"
    assert driven.told[1:] == [("link_down", "espnow: urn:x:1 is out of range")]
    assert world.run(lambda: len(relay.links) == 0, 30000 - (world.elapsed_ms - gone_at))
    world.run(None, 1800000)
    n = server.n_requests
    espnow.apart.clear()
    assert world.run(lambda: server.n_requests > n, 60000)
    world.run(None, 1000)
    assert radios.status()[0]["up"] and len(relay.links) == 1
    assert [name for name, _ in driven.told[2:]] == ["link_up"]


def test_where_there_is_no_radio():
    for name in ("network", "espnow"):
        sys.modules.pop(name, None)
    network._state.clear()
    radio = settings_of(dict(_UE, wifi={"ssid": "relay", "key": "12345678"})).radio
    sys.modules["network"] = network  # on CPython the shim, on a PC's MicroPython nothing
    assert Radios(radio, xorshift(1)).parts == []
    peers = {"peers": {"urn:x:1": ["24:0a:c4:00:00:01"]}}
    try:
        Radios(settings_of({"ue_id": UE_ID, "espnow": peers}).radio, xorshift(1))
        raise AssertionError("nothing was raised")
    except LinkError as error:
        assert str(error) == "link: ESP-NOW is not on this board"
    del sys.modules["network"]
