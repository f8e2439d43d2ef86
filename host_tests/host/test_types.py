"""The type check finds what a port's modules do not have, and nothing in the firmware."""

from msgin5g_tools.checks import types as check_types

_PROBE = """
import time
import network

def probe():
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.connect("ssid", "key")
    wlan.frobnicate()
    time.sleep_ms(1, 2)
    print(network.STAT_NOTHING, undefined)
    import espnow
    espnow.ESPNow().transmit(b"")
    import nothing

class Own:
    def ask(self):
        return self.never_set
"""


def test_the_firmware_and_the_shims_have_nothing_that_boards_have_not():
    own = check_types.classes()
    assert [line for port in check_types.PORTS for line in check_types.check(port, own)] == []
    assert list(check_types.shim_faults()) == []


def test_what_a_port_does_not_have_is_found(tmp_path):
    for package in ("msgin5g", "microcoapy"):
        (tmp_path / "firmware" / package).mkdir(parents=True)
        (tmp_path / "firmware" / package / "__init__.py").write_text("")
    (tmp_path / "firmware" / "msgin5g" / "probe.py").write_text(_PROBE)
    for port in check_types.PORTS:
        found = "\n".join(check_types.check(port, {"Own"}, tmp_path))
        assert f'probe.py:8: {port}: "WLAN" has no attribute "frobnicate"' in found
        assert f'probe.py:9: {port}: Too many arguments for "sleep_ms"' in found, found
        assert 'Module has no attribute "STAT_NOTHING"' in found
        assert 'Name "undefined" is not defined' in found
        assert 'module named "nothing"' in found and "never_set" not in found
        assert ('no attribute "transmit"' in found) == (port == "esp32")
        assert 'module named "espnow"' not in found  # which RP2 boards are known not to have
