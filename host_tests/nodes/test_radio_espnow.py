"""A UE and a relay with ESP-NOW between them: out of range, and back."""

from radio_builders import Driven, new_radios, radio_ue

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.endpoint import Endpoint, Role
from msgin5g.node import Node
from msgin5g_testkit.shim import espnow, network
from builders import RELAY, SERVER, UE_ID, new_server, relay_settings, ue_address
from msgin5g_testkit.network_sim import NetworkSim

_UE_MAC = b"\x24\x0a\xc4\0\0\x02"
_RELAY_MAC = b"\x24\x0a\xc4\0\0\x01"
_HOP = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}


def test_an_esp_now_peer_out_of_range():
    from msgin5g.relay import Relay

    espnow.reset()
    sim = NetworkSim(record=False)
    network.reset("esp32", lambda: sim.elapsed_ms)
    server = new_server(sim)
    key = "00112233445566778899aabbccddeeff"
    espnow.here = _RELAY_MAC
    relay_radios = new_radios(espnow={"peers": {UE_ID: ["24:0a:c4:00:00:02", key]}}, **_HOP)
    relay = Relay(relay_settings(), xorshift(5), SERVER, sim.now)
    relay_node = Node(relay, [None, relay_radios.espnow])
    relay_radios.join(relay_node)
    sim.add(RELAY, Driven(relay_node, 1))
    espnow.here = _UE_MAC
    radios = new_radios(espnow={"peers": {"urn:x:1": ["24:0a:c4:00:00:01", key]}}, ue_id=UE_ID)
    ue = radio_ue(sim, _RELAY_MAC)
    node = Node(ue, [radios.espnow])
    radios.join(node)
    driven = Driven(node, 0)
    sim.add(ue_address(2), driven)
    assert sim.run(lambda: ue.configuration.n_applied, 30000)
    assert relay.links.of_ue(UE_ID.encode()).remote == _UE_MAC
    assert driven.emitted == [("link_up", "espnow: urn:x:1")]

    espnow.apart.add((_UE_MAC, _RELAY_MAC))
    gone_at = sim.elapsed_ms
    assert sim.run(lambda: not radios.status()[0]["up"], 30000)
    assert radios.status()[0]["reason"] == "urn:x:1: out of range"
    assert driven.emitted[1:] == [("link_down", "espnow: urn:x:1 is out of range")]
    assert sim.run(lambda: len(relay.links) == 0, 30000 - (sim.elapsed_ms - gone_at))
    sim.run(None, 1800000)
    n = server.n_requests
    espnow.apart.clear()
    assert sim.run(lambda: server.n_requests > n, 60000)
    sim.run(None, 1000)
    assert radios.status()[0]["up"] and len(relay.links) == 1
    assert [name for name, _ in driven.emitted[2:]] == ["link_up"]


def test_a_peer_that_comes_back_is_nothing_to_a_node_without_links_and_requests():
    espnow.reset()
    network.reset("esp32", lambda: 0)
    radios = new_radios(espnow={"peers": {UE_ID: ["24:0a:c4:00:00:02", None]}}, **_HOP)
    radios.join(Node(Role(Endpoint(xorshift(5), {})), [radios.espnow]))
    assert radios.espnow.on_up is None and radios.espnow.on_down is None


def test_the_channel_of_esp_now_is_its_own_or_that_of_the_access_point_or_1():
    peers = {"peers": {"urn:x:7": ["24:0a:c4:00:00:02", None]}}
    point = {"ssid": "relay", "key": "12345678", "channel": 6}
    for values, channel, active in (
        ({"espnow": peers}, 1, True),
        ({"espnow": dict(peers, channel=11)}, 11, True),
        ({"espnow": peers, "access_point": point}, None, True),
        ({"espnow": peers, "wifi": {"ssid": "site", "key": "12345678"}}, None, True),
    ):
        espnow.reset()
        espnow.here = _RELAY_MAC
        network.reset("esp32", lambda: 0)
        new_radios(**dict(_HOP, **values))
        wlan = network.WLAN(network.WLAN.IF_STA)
        assert wlan.parameters.get("channel") == channel and wlan.active() == active, values
