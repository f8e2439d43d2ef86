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
    ("512 24 32 200 0d 2 5", 3_000),
    ("512 32 32 1500 0 784", 2_000),
    ("4096 16 256 3000 0 197", 500),
    ("512 160 32 200 0m", 900),  # the slots move to a new folder at every write
)


def _micropython(script, arguments, heap="16M"):
    beside = Path(sys.executable).with_name("micropython")
    command = os.environ.get("MICROPYTHON") or shutil.which(beside) or "micropython"
    rig = Path(__file__).resolve().parent.parent / "support" / "benchmarks" / script
    done = subprocess.run(
        [command, "-X", f"heapsize={heap}", rig, *arguments.split()],
        capture_output=True,
        text=True,
        timeout=600,
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


def test_no_power_cut_and_no_old_image_brings_a_number_of_oscore_back():
    for arguments, n_restarts, at_least in (
        ("4096 16 32 10000 0 197", 10_000, 200),
        ("512 32 256 1000 0 2 5 784", 1_000, 400),
    ):
        printed = _micropython("number_power_cut.py", arguments)
        found = re.search(r"(\d+) cuts, (\d+) restarts, (\d+) numbers, none twice", printed)
        assert int(found[1]) >= at_least and int(found[2]) == n_restarts, printed
        assert int(found[3]) > 30 * n_restarts, printed


def test_ten_thousand_refreshes_without_a_change_leave_the_flash_alone():
    figures = json.loads(_micropython("wear.py", "4096 212 256 1000 1000 10000"))
    assert figures["refresh_operations"] == 0


def _worn(arguments):
    erased = json.loads(_micropython("wear.py", arguments + " 0", "64M"))["erased"]
    print(f"{arguments}: {min(erased)} to {max(erased)} erases, superblock {erased[:2]}")
    return erased


@pytest.mark.parametrize(
    "arguments",
    [
        "4096 256 256 200 1000",  # the image of a virtual board
        "4096 212 256 200 1000",  # Pico W
        "4096 640 256 3000 1000",  # Pico 2 W
        "4096 32 256 200 10",
    ],
)
def test_a_thousand_changes_wear_every_block_alike(arguments):
    erased = _worn(arguments)
    assert 0 < max(erased) <= 3 * min(erased)


@pytest.mark.parametrize(
    "arguments",
    [
        "4096 512 32 200 1000",  # ESP32 and ESP32-C3 of 4 MiB
        "4096 256 32 200 1000",
        "4096 128 32 200 1000",  # too small for folders of their own
    ],
)
def test_where_less_is_written_at_a_time_the_superblock_gets_less(arguments):
    # LittleFS never moves its two blocks, and a note in them takes 32 bytes, not 256.
    erased = _worn(arguments)
    assert 0 < max(erased) <= 3 * min(erased[2:])


def test_a_flash_so_large_that_a_thousand_changes_hardly_touch_it_has_no_victim():
    assert max(_worn("4096 1536 32 200 1000")) <= 3  # ESP32-S3: 1.3 blocks written for each


def test_no_block_is_a_victim_however_often_the_board_starts():
    # LittleFS looks for a free block from a random place at each start: so a start at every
    # change, or every ten, wears by chance. No block has more than these few of its 100,000.
    for arguments, most in (
        ("4096 64 32 200 1", 100),
        ("4096 212 256 200 10", 30),
        ("4096 512 32 200 10", 20),
    ):
        assert max(_worn(arguments)) <= most, arguments
