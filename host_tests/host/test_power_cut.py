"""Power cuts, bit flips and wear of the configuration store: real MicroPython, real LittleFS."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Blocks of 512 bytes make the directory's log wrap and move often; its superblock grows a second
# directory at the 780th to 800th write. 4 KiB is the block of ESP32 and RP2; 32 bytes is what
# ESP32 programs at a time, 256 what RP2 does.
_CAMPAIGNS = (
    ("512 24 32 200 0d 2 5", 10_000),
    ("512 32 32 1500 0 784", 2_000),
    ("4096 16 256 3000 0 197", 500),
)


def _micropython(script, arguments):
    beside = Path(sys.executable).with_name("micropython")
    command = os.environ.get("MICROPYTHON") or shutil.which(beside) or "micropython"
    rig = Path(__file__).resolve().parent.parent / "rigs" / script
    done = subprocess.run(
        [command, "-X", "heapsize=16M", rig, *arguments.split()],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(("arguments", "at_least"), _CAMPAIGNS)
def test_no_power_cut_loses_the_configuration(arguments, at_least):
    printed = _micropython("power_cut.py", arguments)
    n_cuts, n_lost = re.search(r"(\d+) cuts, (\d+) lost", printed).groups()
    print(printed)
    assert int(n_lost) == 0
    assert int(n_cuts) >= at_least


def _worn(arguments):
    figures = json.loads(_micropython("wear.py", arguments))
    assert figures["refresh_operations"] == 0  # 10,000 refreshes without a change
    erased = figures["erased"]
    print(f"{arguments}: {min(erased)} to {max(erased)} erases, superblock {erased[:2]}")
    return erased


def test_a_thousand_changes_wear_every_block_alike():
    # all blocks of 256 and 512 KiB as ESP32 has them, and of 128 KiB as RP2; superblock included
    for arguments in (
        "4096 64 32 200 1000",
        "4096 64 32 3000 50",
        "4096 128 32 200 1000",
        "4096 32 256 200 10",
    ):
        erased = _worn(arguments)
        assert max(erased) <= 3 * min(erased), arguments


def test_no_block_is_a_victim_whatever_the_size_of_the_flash_and_however_often_it_starts():
    # LittleFS looks for a free block from a random place at each start, and moves its directory
    # only after 100 erases: so a start at every change, or a flash so large that 1,000 changes
    # hardly touch it, wear less evenly. No block has more than these few erases of its 100,000.
    for arguments, most in (
        ("4096 64 32 200 1", 120),
        ("4096 256 32 200 10", 60),
        ("4096 352 256 200 10", 60),
    ):
        assert max(_worn(arguments)) <= most, arguments
