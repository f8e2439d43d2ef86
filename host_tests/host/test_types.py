"""The type check finds what a port's modules do not have, and nothing in the firmware."""

from msgin5g_tools.checks import shim_signatures
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


def test_the_test_kit_takes_no_argument_that_a_board_does_not_take():
    assert list(shim_signatures.faults()) == []


def test_what_a_test_kit_has_and_a_board_has_not_is_found(tmp_path):
    shim = tmp_path / "machine.py"
    shim.write_text(
        "class Pin:\n"
        "    def __init__(self, id, mode=None, colour=None): ...\n"
        "    def value(self, x=None, y=None): ...\n"
        "    def blink(self): ...\n"
        "    def on(self, now): ...\n"
    )
    found = list(shim_signatures.faults([(shim, "Pin", "machine", "Pin")], tmp_path))
    for port in check_types.PORTS:
        for fault in (
            f"__init__(): {port} has no argument colour",
            f"value(): {port} takes 1 arguments at most, not 2",
            f"on(): {port} takes 0 arguments at most, not 1",
        ):
            assert f"machine.py: Pin: {fault}" in found, found
        assert f"machine.py: Pin: {port} has no blink()" in found
