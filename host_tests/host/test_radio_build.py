"""The builder starts and wires the radios that settings.json names."""

import re
import sys

import pytest

from msgin5g_testkit.shim import espnow, network

from msgin5g.builder import Builder
from msgin5g.port.remote import text_of
from msgin5g.repl.commands import status
from msgin5g.settings import settings_of

_MAC = b"\x24\x0a\xc4\0\0\x07"
_TEXT = "24:0a:c4:00:00:07"
_RELAY = {
    "role": "relay",
    "ue_id": "urn:x:1",
    "bind": ["127.0.0.1", 0],
    "server": {"address": ["127.0.0.1", 9]},
    "links": {"urn:x:7": ["127.0.0.7", 65401], "urn:x:8": ["127.0.0.8", 65401]},
}


@pytest.fixture
def node(monkeypatch, tmp_path):
    """A function that makes a node of settings, on a board with scripted radios."""
    network.reset("esp32", lambda: 0)
    espnow.reset()
    monkeypatch.setattr(espnow, "here", b"")  # whatever another test has left
    monkeypatch.setitem(sys.modules, "network", network)
    monkeypatch.setitem(sys.modules, "espnow", espnow)
    made = []

    def make(**settings):
        made.append(Builder(settings_of(settings), str(tmp_path), None, False).build())
        return made[-1]

    yield make
    for one in made:
        for transport in one.transports:
            transport.close()


def test_a_ue_on_wifi(node, capsys):
    wifi = {"ssid": "site", "key": "12345678"}
    ue = node(ue_id="urn:x:7", next_hop=["127.0.0.1", 9], bind=["127.0.0.1", 0], wifi=wifi)
    assert [row["link"] for row in ue.radios.status()] == ["wifi"]
    ue.step(0)
    assert network.WLAN(0).n_connects == 1 and ue.wait_ms(0) <= 250
    status(ue)
    assert re.search("^ *wifi +down: connecting$", capsys.readouterr().out, re.MULTILINE)


def test_a_ue_on_esp_now_has_no_socket(node):
    ue = node(ue_id="urn:x:7", espnow={"peers": {"urn:x:1": [_TEXT]}})
    assert ue.transports == [ue.radios.espnow] and ue.ue.client.remote == _MAC
    assert network.WLAN(0).active() and text_of(_MAC) == _TEXT


def test_a_relay_with_an_access_point_and_esp_now(node):
    relay = node(
        **_RELAY,
        check_source_port=False,
        access_point={"ssid": "relay", "key": "12345678", "stations": {"urn:x:7": _TEXT}},
        espnow={"peers": {"urn:x:9": ["24:0a:c4:00:00:09"]}},
    )
    links = relay.role.links
    assert links.of_ue(b"urn:x:7") is None and links.of_ue(b"urn:x:8") is not None
    network.WLAN(1).stations = [_MAC]
    relay.step(0)
    assert links.of_ue(b"urn:x:7").remote == ("127.0.0.7", 65401)
    espnow.boards[b""].inbox.append((b"\x24\x0a\xc4\0\0\x09", b"\xc0"))
    assert relay.transports[1].receive() is None
    assert links.of_ue(b"urn:x:9").transport == 1
    assert [row["link"] for row in relay.radios.status()] == ["access_point", "espnow"]


def test_a_linked_ue_with_a_host_name_is_linked_while_it_is_associated_and_has_an_address(node):
    links = {"urn:x:7": ["localhost", 65401]}
    relay = node(
        **{**_RELAY, "links": links},
        access_point={"ssid": "relay", "key": "12345678", "stations": {"urn:x:7": _TEXT}},
    )
    linked = relay.role.links
    relay.step(0)  # the name has an address now, and the UE is not there
    assert linked.of_ue(b"urn:x:7") is None and relay.name_lookup.unresolved() == []
    network.WLAN(1).stations = [_MAC]
    relay.step(1000)
    assert linked.of_ue(b"urn:x:7").remote == ("127.0.0.1", 65401)

    network.WLAN(1).stations = []
    other = node(
        **{**_RELAY, "links": links},
        access_point={"ssid": "relay", "key": "12345678", "stations": {"urn:x:7": _TEXT}},
    )
    look_up, other.services = other.services[-1], other.services[:-1]
    network.WLAN(1).stations = [_MAC]
    other.step(0)  # the UE is there, and its name has no address yet
    assert other.role.links.of_ue(b"urn:x:7") is None
    look_up.step(0)
    assert other.role.links.of_ue(b"urn:x:7").remote == ("127.0.0.1", 65401)


def test_a_name_is_looked_up_when_the_station_is_connected(node, capsys):
    network.air["site"] = "12345678"
    now = [0]
    network.reset("esp32", lambda: now[0])
    network.air["site"] = "12345678"
    wifi = {"ssid": "site", "key": "12345678"}
    ue = node(ue_id="urn:x:7", next_hop=["localhost", 9], bind=["127.0.0.1", 0], wifi=wifi)
    ue.step(0)
    assert ue.ue.client.remote is None and ue.name_lookup.wait_ms(0) is None
    status(ue)
    said = capsys.readouterr().out
    assert re.search("^ *asks +nobody: the next hop has no address yet$", said, re.MULTILINE)
    assert re.search("^ *no address +next_hop: localhost: not looked up yet$", said, re.MULTILINE)
    for now[0] in range(0, 5000, 250):
        ue.step(now[0])
    assert ue.ue.client.remote == ("127.0.0.1", 9)
    status(ue)
    assert "no address" not in capsys.readouterr().out
