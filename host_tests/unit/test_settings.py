"""settings.json: defaults, and what each value becomes."""

from msgin5g_testkit.checks import raises
from msgin5g.settings import settings_of
from msgin5g.settings.rules import SettingsError

GOOD = {"ue_id": "urn:x-msgin5g:ue:0007", "next_hop": ["192.168.4.1", 65401]}
RELAY = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}

_SEAL_C = {"bind": ["127.0.0.1", 65402], "peer": ["127.0.0.1", 65403]}


def test_the_defaults_are_those_of_the_contract():
    settings = settings_of(GOOD)
    assert (settings.role, settings.bind) == ("ue", ("0.0.0.0", 65401))
    assert settings.next_hop == ("192.168.4.1", 65401)
    assert (settings.recipient_option, settings.content_format) == (65020, 65001)
    assert settings.service_id == "msgin5g"
    relay = settings_of(RELAY)
    assert (relay.bulk_id, relay.bulk_count) == ("msgin5g-bulk", 20)
    assert (
        relay.bulk_enabled and not settings_of(dict(RELAY, bulk={"enabled": False})).bulk_enabled
    )
    assert settings.require_recipient and settings.check_source_port
    assert settings.unknown == [] and relay.links == {}
    assert settings.parameters.nstart == 1
    assert relay.parameters.nstart == 16
    assert not settings_of(dict(GOOD, next_hop_is="server")).require_recipient


def test_host_and_path_prefix_of_the_server_are_none_unless_set():
    settings = settings_of(GOOD)
    assert (settings.server_host, settings.server_path_prefix) == (None, None)
    root = {"host": "SCM.example", "path_prefix": "root/scm.v2/..."}
    settings = settings_of(dict(GOOD, server=root))
    assert (settings.server_host, settings.server_path_prefix) == (
        "scm.example",
        "root/scm.v2/...",
    )
    assert settings.unknown == []


def test_a_separated_gateway_needs_no_server_address():
    settings = settings_of(
        dict(GOOD, role="gateway", seal_c=dict(_SEAL_C, mode="separated"), own_configuration=True)
    )
    assert settings.server_address is None and settings.own_configuration


def test_a_serial_number_of_one_to_six_digits_goes_with_the_type():
    for snr in ("0", "000042", "999999"):
        assert settings_of(dict(GOOD, ue_type="35123456", ue_snr=snr)).ue_snr == snr


def test_unknown_keys_are_listed_and_harmless():
    values = dict(GOOD)
    values.update({"nexthop": 1, "wifi": {"ssid": "x", "pass": "y"}, "x.y": 2})
    assert sorted(settings_of(values).unknown) == ["nexthop", "wifi.pass", "x.y"]


def test_a_choice_is_what_the_table_has():
    assert type(settings_of(dict(GOOD, block_size=64.0)).block_size) is int


def test_what_is_set_is_used_in_place_of_the_default():
    assert settings_of(dict(GOOD, bind=["127.0.0.1", 5])).bind == ("127.0.0.1", 5)
    settings = settings_of(dict(RELAY, transmission={"nstart": 3}, relay={"max_flows": 9}))
    assert settings.parameters.nstart == 3
    assert settings_of(dict(RELAY, relay={"max_flows": 9})).parameters.nstart == 9
    assert settings_of(dict(GOOD, transmission={"nstart": 2})).parameters.nstart == 2


def test_a_host_has_at_most_253_bytes():
    host = "h" * 253
    assert settings_of(dict(GOOD, next_hop=[host, 1])).next_hop == (host, 1)
    with raises(SettingsError, "settings: next_hop: 254 bytes are not 1 to 253"):
        settings_of(dict(GOOD, next_hop=[host + "h", 1]))
    with raises(SettingsError, "settings: next_hop: 0 bytes are not 1 to 253"):
        settings_of(dict(GOOD, next_hop=["", 1]))
