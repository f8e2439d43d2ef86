"""The key of a UE in settings and secrets."""

from msgin5g_testkit.checks import raises
from msgin5g.settings import parse, settings_of
from msgin5g.settings.rules import SettingsError

SETTINGS = '{"ue_id": "urn:x:1", "next_hop": ["192.0.2.1", 65401], "security": {"mode": "oscore"}}'
KEY = "00112233445566778899aabbccddeeff"


def test_the_key_comes_from_the_secrets_and_the_mode_from_the_settings():
    secrets = '{"security": {"master_secret": "%s", "sender_id": "07", "recipient_id": ""}}' % KEY
    settings = parse(SETTINGS, None, secrets)
    assert settings.security_mode == "oscore" and not settings.unknown
    assert settings.security_master_secret == bytes.fromhex(KEY)
    assert (settings.security_sender_id, settings.security_recipient_id) == (b"\x07", b"")
    assert settings.security_master_salt is None and settings.security_id_context is None


def test_a_wrong_key_is_named_and_its_value_is_not_shown():
    for value, rule in (
        ("00", "1 bytes are not 16 to 16"),
        ("zz" * 16, "must be hexadecimal digits, two for each byte"),
        (KEY[1:], "must be hexadecimal digits, two for each byte"),
        (5, "must be hexadecimal digits, two for each byte"),
    ):
        text = "5" if value == 5 else '"' + value + '"'
        secrets = '{"security": {"master_secret": ' + text + "}}"
        with raises(SettingsError) as caught:
            parse(SETTINGS, None, secrets)
        assert str(caught.error) == "settings: security.master_secret: " + rule


GATEWAY = {
    "role": "gateway", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]},
    "security": {"mode": "oscore", "master_secret": "ff" * 16},
}  # fmt: skip
UE = "urn:x:ue:1"
OTHER = "urn:x:ue:2"


def with_ues(ues, **more):
    values = dict(GATEWAY)
    values["security"] = dict(GATEWAY["security"])
    values["security"]["ues"] = ues
    values.update(more)
    return values


def test_a_gateway_has_the_keys_of_its_ues():
    entry = {"master_secret": KEY, "sender_id": "07", "board": "0011223344556677"}
    settings = settings_of(with_ues({UE: entry}))
    assert settings.security_ues == [
        (UE, bytes.fromhex(KEY), None, b"\x07", None, None, bytes.fromhex("0011223344556677"))
    ]
    assert settings.security_required and not settings.unknown
    assert settings_of(GATEWAY).security_ues == []
    values = with_ues({})
    values["security"]["required"] = False
    assert not settings_of(values).security_required


def test_a_wrong_key_of_a_ue_is_one_line_without_its_value():
    good = {"master_secret": KEY, "sender_id": "07"}
    for ues, rule in (
        ([], ": must be an object of UE ID: {master_secret, sender_id, ...}"),
        ({UE: KEY}, " urn:x:ue:1: must be an object"),
        ({"ue": good}, ": must be a URI such as urn:x-msgin5g:ue:0007"),
        ({UE: {"master_secret": KEY}}, " urn:x:ue:1: needs master_secret and sender_id"),
        ({UE: {"sender_id": "07"}}, " urn:x:ue:1: needs master_secret and sender_id"),
        (
            {UE: {"master_secret": KEY[2:], "sender_id": "07"}},
            " urn:x:ue:1: master_secret: 15 bytes are not 16 to 16",
        ),
        (
            {UE: {"master_secret": KEY, "sender_id": "0011223344556677"}},
            " urn:x:ue:1: sender_id: 8 bytes are not 0 to 7",
        ),
        (
            {UE: {"master_secret": KEY, "sender_id": 7}},
            " urn:x:ue:1: sender_id: must be hexadecimal digits, two for each byte",
        ),
        (
            {UE: {"master_secret": KEY, "sender_id": "07", "board": "00"}},
            " urn:x:ue:1: board: 1 bytes are not 8 to 8",
        ),
        (
            {UE: {"master_secret": KEY, "sender_id": "07", "key": "x"}},
            " urn:x:ue:1: has an unknown key, key",
        ),
        ({UE: good, OTHER: good}, " urn:x:ue:2: has the master_secret of urn:x:ue:1"),
        (
            {UE: good, OTHER: {"master_secret": "00" * 16, "sender_id": "07"}},
            " urn:x:ue:2: has the sender_id of urn:x:ue:1",
        ),
        (
            {UE: {"master_secret": "ff" * 16, "sender_id": "07"}},
            " urn:x:ue:1: has the master_secret of this node itself",
        ),
    ):
        with raises(SettingsError) as caught:
            settings_of(with_ues(ues))
        assert str(caught.error) == "settings: security.ues" + rule


def test_a_gateway_has_no_more_keys_than_links():
    ues = {}
    for n in range(4):
        ues["urn:x:%d" % n] = {"master_secret": "%032x" % n, "sender_id": "%02x" % n}
    assert len(settings_of(with_ues(ues, relay={"max_links": 4})).security_ues) == 4
    with raises(SettingsError, "security.ues: 4 keys are more than relay.max_links, 3"):
        settings_of(with_ues(ues, relay={"max_links": 3}))


def test_a_key_in_settings_json_is_refused_and_not_shown():
    for key in (
        '"master_secret": "%s"' % KEY,
        '"ues": {"urn:x:1": {"master_secret": "%s"}}' % KEY,
    ):
        with raises(SettingsError) as caught:
            parse(SETTINGS.replace('"oscore"', '"oscore", ' + key))
        assert str(caught.error) == "settings: security: keys are for secrets.json only"
