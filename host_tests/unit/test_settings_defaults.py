"""The default settings of the tests are the real defaults."""

from msgin5g.settings import settings_of
from default_settings import DefaultSettings

GOOD = {"ue_id": "urn:x-msgin5g:ue:0007", "next_hop": ["192.168.4.1", 65401]}
RELAY = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["192.0.2.1", 5683]}}


def test_the_default_settings_of_the_tests_are_the_real_defaults():
    default = DefaultSettings({})
    real = settings_of(GOOD)
    relay = settings_of(RELAY)  # a UE has no settings of intermediaries
    for name in default.__dict__:
        if name != "parameters":
            value = getattr(real, name) if hasattr(real, name) else getattr(relay, name)
            assert getattr(default, name) == value, name
