"""One line that names the key and the rule for every mistake in a value of settings.json."""

from msgin5g_testkit.checks import raises
from msgin5g.settings import settings_of
from msgin5g.settings.rules import SettingsError

GOOD = {"ue_id": "urn:x-msgin5g:ue:0007", "next_hop": ["192.168.4.1", 65401]}

_SEAL_C = {"bind": ["127.0.0.1", 65402], "peer": ["127.0.0.1", 65403]}


def test_every_mistake_is_one_line_that_names_the_key_and_the_rule():
    cases = (
        ({"ue_id": None}, "settings: ue_id: is missing: the MSGin5G UE ID, a URI"),
        ({"ue_id": 7}, "settings: ue_id: must be a text"),
        ({"ue_id": "no-scheme"}, "settings: ue_id: must be a URI such as urn:x-msgin5g:ue:0007"),
        ({"ue_id": "7:x"}, "settings: ue_id: must be a URI such as urn:x-msgin5g:ue:0007"),
        ({"ue_id": "urn:"}, "settings: ue_id: must be a URI such as urn:x-msgin5g:ue:0007"),
        ({"ue_id": "urn:a b"}, "settings: ue_id: must be a URI such as urn:x-msgin5g:ue:0007"),
        ({"ue_id": "urn:" + "x" * 296}, "settings: ue_id: 300 bytes are not 1 to 248"),
        ({"ue_id": "urn:\n"}, "settings: ue_id: has a control character"),
        ({"next_hop": None},
         "settings: next_hop: is missing: [host, port] of the relay or gateway"),
        ({"next_hop": ["a", 70000]}, "settings: next_hop: port 70000 is not 1 to 65535"),
        ({"next_hop": ["a", "b"]}, "settings: next_hop: port must be a whole number"),
        ({"next_hop": "a:1"}, "settings: next_hop: must be [host, port]"),
        ({"bind": ["0.0.0.0", -1]}, "settings: bind: port -1 is not 0 to 65535"),
        ({"role": "boss"}, "settings: role: boss: must be one of ue, relay, gateway, seal-c"),
        ({"server": 5}, "settings: server: must be an object"),
        ({"server": {"recipient": "x" * 300}},
         "settings: server.recipient: 300 bytes are not 1 to 255"),
        ({"server": {"host": ""}}, "settings: server.host: 0 bytes are not 1 to 255"),
        ({"server": {"host": "h" * 256}}, "settings: server.host: 256 bytes are not 1 to 255"),
        ({"server": {"host": "coap://scm.example"}},
         "settings: server.host: must be a host name such as scm.example"),
        ({"server": {"host": "scm example"}},
         "settings: server.host: must be a host name such as scm.example"),
        ({"server": {"path_prefix": "/a"}},
         "settings: server.path_prefix: must be 1 to 16 segments such as root/scm"),
        ({"server": {"path_prefix": "a//b"}},
         "settings: server.path_prefix: must be 1 to 16 segments such as root/scm"),
        ({"server": {"path_prefix": "a/../b"}},
         "settings: server.path_prefix: must be 1 to 16 segments such as root/scm"),
        ({"server": {"path_prefix": "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"}},
         "settings: server.path_prefix: must be 1 to 16 segments such as root/scm"),
        ({"server": {"path_prefix": "."}},
         "settings: server.path_prefix: must be 1 to 16 segments such as root/scm"),
        ({"server": {"path_prefix": "a" * 201}},
         "settings: server.path_prefix: 201 bytes are not 1 to 200"),
        ({"service_id": ".."}, "settings: service_id: must not be . or .."),
        ({"server": {"host": "h" * 255, "path_prefix": "/".join(["abcdefghi"] * 16),
                     "recipient": "coap://" + 100 * "r"}},
         "settings: server.host: with path_prefix, recipient and service_id 543 bytes, "
         "more than 512"),
        ({"ue_type": "1234567"}, "settings: ue_type: 7 bytes are not 8 to 8"),
        ({"ue_type": "1234567x"}, "settings: ue_type: must be 8 digits"),
        ({"ue_type": "35123456", "ue_snr": "1234567"},
         "settings: ue_snr: 7 bytes are not 1 to 6"),
        ({"ue_type": "35123456", "ue_snr": "12a"}, "settings: ue_snr: must be 1 to 6 digits"),
        ({"ue_snr": "42"},
         "settings: ue_snr: needs ue_type, the first 8 digits of the same IMEI"),
        ({"role": "gateway", "bulk": {"enabled": 0}},
         "settings: bulk.enabled: must be true or false"),
        ({"recipient_option": 11}, "settings: recipient_option: 11 is not 300 to 65535"),
        ({"recipient_option": True}, "settings: recipient_option: must be a whole number"),
        ({"role": "relay", "strict_codes": 1}, "settings: strict_codes: must be true or false"),
        ({"role": "relay", "links": ["x"]},
         "settings: links: must be an object of UE ID: [host, port]"),
        ({"role": "relay", "links": {"nope": ["a", 1]}},
         "settings: links: must be a URI such as urn:x-msgin5g:ue:0007"),
        ({"role": "relay", "links": {"urn:x:2": ["a", 0]}},
         "settings: links urn:x:2: port 0 is not 1 to 65535"),
        ({"block_size": 100},
         "settings: block_size: 100: must be one of 1024, 512, 256, 128, 64, 32, 16"),
        ({"security": {"mode": "tls"}},
         "settings: security.mode: tls: must be one of none, oscore"),
        ({"wifi": {"key": "short"}}, "settings: wifi.key: 5 bytes are not 8 to 64"),
        ({"refresh": {"min_s": 90, "max_s": 60}},
         "settings: refresh.min_s: must not be above refresh.max_s"),
        ({"transmission": {"nstart": 0}}, "settings: transmission.nstart: 0 is not 1 to 10000"),
        ({"role": "relay"}, "settings: server.address: is missing: [host, port] of the server"),
        ({"role": "gateway", "seal_c": dict(_SEAL_C, mode="collocated")},
         "settings: server.address: is missing: [host, port] of the server"),
        ({"role": "seal-c", "seal_c": _SEAL_C},
         "settings: server.address: is missing: [host, port] of the server"),
        ({"role": "seal-c", "seal_c": _SEAL_C, "server": {"address": ["192.0.2.1", 5683]},
          "own_configuration": True},
         "settings: own_configuration: is for relay and gateway: set it at the gateway"),
    )  # fmt: skip
    for change, line in cases:
        values = dict(GOOD)
        values.update(change)
        with raises(SettingsError) as caught:
            settings_of(values)
        assert str(caught.error) == line, str(caught.error)
        assert "\n" not in str(caught.error)


def test_two_links_with_one_address_are_a_mistake():
    links = {"urn:x:1": ["10.0.0.2", 65401], "urn:x:2": ["10.0.0.2", 65401]}
    values = {"role": "relay", "ue_id": "u:r", "server": {"address": ["h", 1]}, "links": links}
    with raises(SettingsError, "settings: links urn:x:2: has the address of urn:x:1"):
        settings_of(values)
    links["urn:x:2"] = ["10.0.0.2", 65402]
    assert len(settings_of(values).links) == 2
