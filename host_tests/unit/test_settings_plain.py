"""The settings that the tests make do with are the real ones' defaults."""

from msgin5g.settings.core import settings_of
from builders import DefaultSettings

GOOD = {"ue_id": "urn:x-msgin5g:ue:0007", "next_hop": ["192.168.4.1", 65401]}
RELAY = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}


def test_the_plain_settings_of_the_tests_are_the_defaults():
    plain = DefaultSettings({})
    real = settings_of(GOOD)
    hop = settings_of(RELAY)  # a UE's settings are without what only a hop needs
    for name in plain.__dict__:
        if name != "parameters":
            value = getattr(real, name) if hasattr(real, name) else getattr(hop, name)
            assert getattr(plain, name) == value, name
