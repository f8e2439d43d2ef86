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
    assert [line for port in check_types.PORTS for line in check_types.undocumented(port)] == []
    assert list(check_types.shim_faults()) == []


def test_what_a_port_does_not_have_is_found(tmp_path):
    for package in ("msgin5g", "microcoapy"):
        (tmp_path / "firmware" / package).mkdir(parents=True)
        (tmp_path / "firmware" / package / "__init__.py").write_text("")
    (tmp_path / "firmware" / "msgin5g" / "probe.py").write_text(_PROBE)
    (tmp_path / "firmware" / "main.py").write_text("import os\nos.rename(1)\n")
    example = tmp_path / "examples" / "blinking-light"
    example.mkdir(parents=True)
    (example / "app.py").write_text("import gc\ngc.freeze()\n")
    for port in check_types.PORTS:
        found = "\n".join(check_types.check(port, {"Own"}, tmp_path))
        assert f'probe.py:8: {port}: "WLAN" has no attribute "frobnicate"' in found
        assert f'probe.py:9: {port}: Too many arguments for "sleep_ms"' in found, found
        assert 'Module has no attribute "STAT_NOTHING"' in found
        assert 'Name "undefined" is not defined' in found
        assert 'module named "nothing"' in found and "never_set" not in found
        assert ('no attribute "transmit"' in found) == (port == "esp32")
        assert f'firmware/main.py:2: {port}: Missing positional argument "new_path"' in found
        assert (
            f'examples/blinking-light/app.py:2: {port}: Module has no attribute "freeze"' in found
        )
        assert 'module named "espnow"' not in found  # which RP2 boards are known not to have


def test_a_shim_has_what_each_port_has(tmp_path):
    (tmp_path / "network.py").write_text("STA_IF = STAT_BEACON_TIMEOUT = NOTHING = 0\n")
    (tmp_path / "espnow.py").write_text("class ESPNow:\n    def shout(self): ...\n")
    assert list(check_types.shim_faults(tmp_path, tmp_path)) == [
        "network.py: esp32 has no NOTHING",
        "network.py: rp2 has no NOTHING",
        "network.py: rp2 has no STAT_BEACON_TIMEOUT",
        "espnow.py: esp32 has no shout",
    ]


_OF_CPYTHON = """
import os, sys, struct, machine
from json import dumps, detect_encoding
os.walk("/")
if hasattr(os, "fsync"):
    os.fsync(1)
print(os.listdir(), os.urandom(2), sys.getsizeof(1), sys.implementation, sys.stdin, machine.Pin)
own = struct.iter_unpack
own.walk, struct.pack
"""


def test_a_name_that_the_stubs_have_from_cpython_only_is_found(tmp_path):
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "probe.py").write_text(_OF_CPYTHON)
    for port in check_types.PORTS:
        assert list(check_types.undocumented(port, tmp_path)) == [
            f"firmware/probe.py:3: {port}: no json.detect_encoding",
            f"firmware/probe.py:4: {port}: no os.walk",
            f"firmware/probe.py:7: {port}: no sys.getsizeof",
            f"firmware/probe.py:8: {port}: no struct.iter_unpack",
        ]


_ADDING = """
import os, sys, time

def ticks_ms(start):
    return start

def sleep_ms(ms):
    return None

time.ticks_ms = ticks_ms
time.sleep_ms = sleep_ms
time.ticks_add = lambda ticks, delta, /: ticks + delta
time.monotonic_ms = lambda: 0
os.walk = lambda path: []
PROGRAM = '''
import sys
sys.print_exception = lambda error, file, /: None
sys.settle = lambda: None
'''
"""


def test_what_is_added_to_a_module_of_cpython_is_as_on_a_board(tmp_path):
    assert list(shim_signatures.added_faults()) == []
    added = [each for path in shim_signatures.ADDS for each in shim_signatures.added(path)]
    assert {name for _, name, _ in added} == {
        "ticks_ms", "ticks_us", "ticks_add", "ticks_diff", "sleep_ms", "print_exception", "print",
    }  # fmt: skip
    (tmp_path / "shim.py").write_text(_ADDING)
    found = list(shim_signatures.added_faults([tmp_path / "shim.py"], tmp_path))
    assert found == [
        f"shim.py: {fault}"
        for name, faults in (
            ("time.ticks_ms()", ("takes 0 arguments at most, not 1", "needs 0 arguments, not 1",
                                 "has no argument start")),
            ("time.sleep_ms()", ("does not take argument ms by its name",)),
            ("time.monotonic_ms()", ("has no such function",)),
            ("os.walk()", ("has no such function",)),
            ("sys.print_exception()", ("needs 1 arguments, not 2",)),
            ("sys.settle()", ("has no such function",)),
        )
        for port in check_types.PORTS
        for fault in (f"{name}: {port} {each}" for each in faults)
    ]  # fmt: skip


def test_the_os_of_the_test_kit_is_that_of_a_board(tmp_path):
    (tmp_path / "kit.py").write_text(
        "class Os:\n"
        "    def urandom(self): ...\n"
        "    def listdir(self, path, sort): ...\n"
        "    def entropy(self): ...\n"
    )
    found = list(shim_signatures.faults([(tmp_path / "kit.py", "Os", "os", "")], tmp_path))
    for port in check_types.PORTS:
        assert f"kit.py: Os: listdir(): {port} takes 1 arguments at most, not 2" in found, found
        assert f"kit.py: Os: {port} has no entropy()" in found


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
