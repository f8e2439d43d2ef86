"""settings.json: defaults, and one line that names the key and the rule for every mistake."""

import msgin5g.settings as settings_module
from checks import raises
from msgin5g.settings import parse, settings_of
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


def test_a_separated_gateway_needs_no_server_address():
    settings = settings_of(
        dict(GOOD, role="gateway", seal_c=dict(_SEAL_C, mode="separated"), own_configuration=True)
    )
    assert settings.server_address is None and settings.own_configuration


def test_a_serial_number_of_one_to_six_digits_goes_with_the_type():
    for snr in ("0", "000042", "999999"):
        assert settings_of(dict(GOOD, ue_type="35123456", ue_snr=snr)).ue_snr == snr


def test_text_that_is_not_a_json_object_is_named():
    for text in ("", "{", '{"ue_id": "urn:x:1", "next', "\x00", '{"a":}', b"\xff\xfe", "nul"):
        with raises(SettingsError, "settings: not JSON"):
            parse(text)
    for text in ("[]", "5", '"x"', "null"):
        with raises(SettingsError, "settings: must be a JSON object"):
            parse(text)


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


class Files:
    """Stands for `open` and `os`: {path: bytes}."""

    def __init__(self, **files):
        self.files = files
        self.printed = []
        self.asked = []
        self.sizes = []  # that were read
        self.claimed = None  # a size that the file has not

    def open(self, path, mode):
        self.asked.append(path)
        name = path.split("/")[-1][:-5]
        if name not in self.files:
            raise OSError(2)
        self.data = self.files[name]
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, size):
        self.sizes.append(size)
        return self.data[:size]

    def stat(self, path):
        return (0,) * 6 + (len(self.data) if self.claimed is None else self.claimed,)

    def say(self, line):
        self.printed.append(str(line))

    def load(self, *arguments):
        """What settings.load gives, with its lines in `printed`."""
        real = settings_module.os
        settings_module.os = self
        settings_module.open, settings_module.print = self.open, self.say
        try:
            return settings_module.load(*arguments)
        finally:
            settings_module.os = real
            del settings_module.open, settings_module.print


def test_a_file_of_settings_is_loaded_with_the_secrets_beside_it():
    text = b'{"ue_id": "urn:x:1", "next_hop": ["a", 1], "role": "ue"}'
    files = Files(settings=text, secrets=b'{"wifi": {"ssid": "s", "key": "12345678"}}')
    settings = files.load("/flash/settings.json")
    assert settings.ue_id == "urn:x:1" and settings.radio and files.printed == []
    assert files.asked == ["/flash/settings.json", "/flash/secrets.json"]
    files = Files(settings=text)
    assert files.load("settings.json").radio is None
    assert files.asked == ["settings.json", "secrets.json"] and files.printed == []


def test_what_is_wrong_with_a_file_of_settings_is_one_line():
    text = b'{"ue_id": "urn:x:1", "next_hop": ["a", 1]%s}'
    files = Files()
    assert files.load("settings.json") is None
    assert files.printed == ["settings: settings.json: cannot be read"]
    files = Files(settings=text % b', "colour": 1, "bulk": {"id": 5}, "refresh": {"never": 1}')
    assert sorted(files.load("settings.json").unknown) == ["colour", "refresh.never"]
    assert len(files.printed) == 1
    assert files.printed[0].startswith("settings: unknown, ignored: ")
    assert "colour" in files.printed[0] and "refresh.never" in files.printed[0]
    files = Files(settings=text % b"")
    assert files.load("settings.json", "relay") is None
    assert files.printed == ["settings: server.address: is missing: [host, port] of the server"]


def test_a_file_of_settings_takes_as_much_memory_as_it_is_long_and_16_kib_at_most():
    files = Files(settings=b'{"ue_id": "urn:x:1", "next_hop": ["a", 1]}')
    for size, read in ((None, 42), (16384, 16384), (16385, 16384), (0, 16384)):
        files.claimed = size
        assert files.load("settings.json") and files.sizes.pop() == read, size


def test_a_byte_order_mark_is_passed_over_and_utf_16_is_named():
    assert parse(b'\xef\xbb\xbf{"ue_id": "u:x", "next_hop": ["h", 1]}').ue_id == "u:x"
    for text in (b'\xff\xfe{\0"\0', b'\xfe\xff\0{\0"', b'{\0"\0u\0', b'\0{\0"'):
        with raises(SettingsError, "settings: not JSON: "):
            parse(text)
    with raises(SettingsError, "save the file as UTF-8, not as UTF-16"):
        parse(b'{\0"\0u\0')


def test_a_mistake_in_json_is_named_by_line_and_column():
    for text, place in (
        (b'{"a": 1\n "b": 2}', "no comma and no } at line 2, column 2"),
        (b"{", "no key at line 1, column 2"),
        (b'{"a": 1,\r\n\r\n  "b" 2}', "no colon at line 3, column 7"),
    ):
        with raises(SettingsError, "settings: not JSON: " + place):
            parse(text)


def test_two_links_with_one_address_are_a_mistake():
    links = {"urn:x:1": ["10.0.0.2", 65401], "urn:x:2": ["10.0.0.2", 65401]}
    values = {"role": "relay", "ue_id": "u:r", "server": {"address": ["h", 1]}, "links": links}
    with raises(SettingsError, "settings: links urn:x:2: has the address of urn:x:1"):
        settings_of(values)
    links["urn:x:2"] = ["10.0.0.2", 65402]
    assert len(settings_of(values).links) == 2
