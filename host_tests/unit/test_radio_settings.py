"""The settings of radios: what they become, and one line for every mistake."""

from msgin5g_testkit.checks import raises
from msgin5g.settings import parse, settings_of
from msgin5g.settings.rules import SettingsError

_UE = {"ue_id": "urn:x:7", "next_hop": ["192.168.4.1", 65401]}
_RELAY = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}
_MAC = "24:0A:c4:00:00:07"


def test_without_them_there_are_none():
    assert settings_of(_UE).radio is None


def test_a_station():
    settings = settings_of(
        dict(_UE, wifi={"ssid": "site", "key": "12345678", "address": "192.168.4.7"})
    )
    radio = settings.radio
    assert (radio.ssid, radio.key, radio.address) == ("site", "12345678", "192.168.4.7")
    assert radio.access_point_ssid is None and radio.peers == {} and settings.unknown == []


def test_an_access_point_and_its_stations():
    point = {"ssid": "relay", "key": "12345678", "channel": 6, "stations": {"urn:x:7": _MAC}}
    radio = settings_of(dict(_RELAY, access_point=point)).radio
    assert (radio.access_point_ssid, radio.access_point_key, radio.access_point_channel) == (
        "relay",
        "12345678",
        6,
    )
    assert radio.stations == {b"\x24\x0a\xc4\0\0\x07": "urn:x:7"}


def test_peers_of_esp_now():
    key = "00112233445566778899aabbccddeeff"
    values = {"ue_id": "urn:x:7", "espnow": {"peers": {"urn:x:1": [_MAC, key]}, "pmk": key}}
    radio = settings_of(values).radio  # a next hop of ESP-NOW needs no address
    secret = bytes.fromhex(key)
    assert radio.peers == {b"\x24\x0a\xc4\0\0\x07": (secret, "urn:x:1")} and radio.pmk == secret
    assert radio.probe_s == 10 and radio.channel is None


def wrong(name, *rows):
    for value, line in rows:
        with raises(SettingsError, name + line):
            settings_of(dict(_UE, **{name: value}))


def test_every_mistake_of_a_station_is_one_line():
    wrong(
        "wifi",
        (7, ": must be an object"),
        ({"key": "short"}, ".key: 5 bytes are not 8 to 64"),
        ({"ssid": "x", "address": "1.2.3.256"}, ".address: must be an IPv4"),
        ({"ssid": "x", "address": "1.2.3.x"}, ".address: must be an IPv4"),
        ({"ssid": "x", "address": "1.2.3.-4"}, ".address: must be an IPv4"),
        ({"ssid": "x", "address": "1.2.345"}, ".address: must be an IPv4"),
        ({"ssid": "x", "address": "1.2.3.4.5"}, ".address: must be an IPv4"),
    )


def test_every_mistake_of_an_access_point_is_one_line():
    wrong(
        "access_point",
        ({"channel": 14}, ".channel: 14 is not 1 to 13"),
        ({"stations": []}, ".stations: must be an object"),
        ({"stations": {"urn:x:7": "1:2"}}, ".stations: must be a MAC address"),
        ({"stations": {"urn:x:7": 7}}, ".stations: must be a MAC address"),
    )
    with raises(SettingsError, "access_point.stations: must be a URI"):
        settings_of(dict(_UE, access_point={"stations": {"7": _MAC}}))


def test_every_mistake_of_esp_now_is_one_line():
    wrong(
        "espnow",
        ({"pmk": "00"}, ".pmk: must be a key of 32 hex digits"),
        ({"peers": {"urn:x:1": _MAC}}, ".peers: must be an object of UE ID:"),
        ({"peers": {"urn:x:1": [_MAC, "zz"]}}, ".peers: must be a key"),
        ({"probe_s": 60}, ".probe_s: 60 is not 1 to 15"),
    )
    two = {"urn:x:1": [_MAC], "urn:x:2": ["24:0a:c4:00:00:08"]}
    wrong("espnow", ({"peers": two}, ".peers: must be one, the next hop, for a UE"))


def test_peers_of_esp_now_are_as_many_as_the_radio_has_room_for():
    peers = {"urn:x:" + str(n): ["24:0a:c4:00:00:" + "%02x" % n] for n in range(21)}
    wrong("espnow", ({"peers": peers}, ".peers: must be 20 at most"))


def test_secrets_come_from_a_file_of_their_own():
    text = b'{"ue_id": "urn:x:7", "next_hop": ["h", 1], "wifi": {"ssid": "site"}}'
    secrets = b'{"wifi": {"key": "swordfish"}, "mine": "for the application"}'
    settings = parse(text, None, secrets)
    assert (settings.radio.ssid, settings.radio.key) == ("site", "swordfish")
    assert settings.unknown == []
    assert parse(text).radio.key is None
    secrets = b'{"wifi": {"ssid": "other", "key": "swordfish"}}'
    assert (
        parse(b'{"ue_id": "urn:x:7", "next_hop": ["h", 1]}', None, secrets).radio.ssid == "other"
    )


def test_what_is_wrong_with_the_secrets_is_said_without_them():
    text = '{"ue_id": "urn:x:7", "next_hop": ["h", 1], "wifi": {"ssid": "site"}}'
    for secrets, rule in (
        ('{"wifi": {"key": "sword"}}', "settings: wifi.key: 5 bytes are not 8 to 64"),
        ('{"wifi": {"key": ["swordfish"]}}', "settings: wifi.key: must be a text"),
        ('{"espnow": {"pmk": "swordfish"}}', "settings: espnow.pmk: must be a key of 32 hex"),
        ('{"wifi": {"key": "swordfish}', "secrets: not JSON: no end of string"),
        ('["swordfish"]', "secrets: must be a JSON object"),
    ):
        with raises(SettingsError, rule):
            parse(text, None, secrets)
    with raises(SettingsError, "settings: wifi: must be an object"):
        parse('{"ue_id": "urn:x:7", "wifi": 1}', None, '{"wifi": {"key": "swordfish"}}')
    assert parse(text, None, '{"wifi": {"kee": "swordfish"}}').unknown == ["wifi.kee"]


def test_numbers_from_secrets_are_not_told_in_a_mistake():
    text = '{"ue_id": "urn:x:7", "next_hop": ["h", 1], "role": "relay", "server": %s}'
    server = '{"address": ["h", 1]}'
    for secrets, rule in (
        ('{"access_point": {"channel": 4711}}', "access_point.channel: must be 1 to 13"),
        ('{"retry": {"first_s": 4711000}}', "retry.first_s: must be 1 to 86400"),
        ('{"relay": {"max_rate": -4711}}', "relay.max_rate: must be 1 to 1000"),
        ('{"server": {"address": ["h", 471100]}}', "server.address: port must be 1 to 65535"),
        ('{"links": {"urn:x": ["h", 471100]}}', "links urn:x: port must be 1 to 65535"),
        ('{"wifi": {"key": 47114711}}', "wifi.key: must be a text"),
        ('{"espnow": {"pmk": 4711}}', "espnow.pmk: must be a key of 32 hex digits"),
        ('{"block": 1, "block_size": 4711}', None),  # outside of all groups: the application's
    ):
        if rule is None:
            assert parse(text % server, None, secrets).block_size == 1024
            continue
        with raises(SettingsError, rule) as caught:
            parse(text % server, None, secrets)
        assert str(caught.error) == "settings: " + rule and "4711" not in str(caught.error)
    # The number of settings.json is told, whatever secrets.json has beside it.
    with raises(SettingsError, "settings: server.address: port 471100 is not 1 to 65535"):
        parse(text % '{"address": ["h", 471100]}', None, '{"wifi": {"key": "swordfish"}}')
