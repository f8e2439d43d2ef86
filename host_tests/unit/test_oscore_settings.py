"""The key of a UE in settings and secrets."""

from checks import raises
from msgin5g.settings import parse
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
