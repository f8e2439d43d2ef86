"""The tests of unit/ and nodes/ on real MicroPython, in each form that reaches a board.

python -m msgin5g_tools.checks.lanes [--lane NAME] [--in FOLDER] [--only TEXT]

source  firmware/ as it is in the repository
flash   the .mpy files that `msgin5g flash` copies
mip     the files that `mpremote mip install` takes from firmware/package.json
romfs   an image that `msgin5g image --romfs` makes, mounted with vfs.VfsRom

nodes/ runs in all four. unit/ runs from source in 128 KiB and from .mpy in 96 KiB of heap, as
small as a board's. Each test file has an interpreter of its own, because the heap of one file is
what counts; whole nodes, many in one heap, have 2 MiB. host/test_lanes.py shows that the trees
are what the real tools put on a board. The last line is `N passed, N failed`, the sum of all.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgin5g_tools.build.mpy import BuildError, build_tests
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.device import bundle
from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.paths import FIRMWARE, ROOT

FORMS = ("source", "flash", "mip", "romfs")
# The form, the folder of tests, and the heap.
LANES = (
    ("source", "nodes", "2M"),
    ("flash", "nodes", "2M"),
    ("mip", "nodes", "2M"),
    ("romfs", "nodes", "2M"),
    ("source", "unit", "128K"),
    ("flash", "unit", "96K"),
)
_TESTS = ROOT / "host_tests"
_TIMEOUT_S = 1500

# tests: the folder with run_mpy.py. firmware: what run_mpy.py takes as FIRMWARE.
Lane = namedtuple("Lane", "form folder heap tests firmware")


def flash_files():
    """{path on a board: bytes} of what `msgin5g flash` copies, all roles together."""
    return {file.path: file.data for role in bundle.ROLES for file in bundle.build(role)}


def mip_files():
    """{path on a board: bytes} of what mip installs from package.json."""
    listed = json.loads((FIRMWARE / "package.json").read_text())["urls"]
    return {target: (FIRMWARE / source).read_bytes() for target, source in listed}


def lay_out(files, folder):
    """Write {path: bytes} below a folder; the folder."""
    for path, data in files.items():
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


def firmware_of(form, folder):
    """What run_mpy.py takes as FIRMWARE; all but the source is written below `folder`."""
    if form == "source":
        return FIRMWARE
    if form == "romfs":
        return build_romfs(target=folder / "all.romfs")
    return lay_out(flash_files() if form == "flash" else mip_files(), folder / form)


def lanes(folder, form=None, tests=None):
    """The Lanes of a form and a folder of tests; None for all of them."""
    chosen = [row for row in LANES if form in (None, row[0]) and tests in (None, row[1])]
    made = {name: firmware_of(name, folder) for name in {row[0] for row in chosen}}
    compiled = build_tests() if set(made) - {"source"} else None
    return [Lane(*row, _TESTS if row[0] == "source" else compiled, made[row[0]]) for row in chosen]


def run_file(lane, stem):
    """(passed, failed, output) of one test file in one lane."""
    command = [interpreter_command(), "-X", f"heapsize={lane.heap}", lane.tests / "run_mpy.py"]
    command += [lane.firmware, "--in", lane.folder, "--only", stem]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 0, 1, f"{stem}: timed out after {_TIMEOUT_S} s"
    output = done.stdout + done.stderr
    found = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    if not found:
        return 0, 1, output or f"{stem}: ended with {done.returncode} without output"
    return int(found[1]), int(found[2]), output


def run(chosen, only):
    """Run the test files of the lanes and print the results; (passed, failed)."""
    work = [
        (lane, file.stem)
        for lane in chosen
        for file in sorted((_TESTS / lane.folder).glob("test_*.py"))
        if only in file.stem
    ]
    sums = {}
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) - 1)) as pool:
        for (lane, stem), result in zip(work, pool.map(lambda job: run_file(*job), work)):
            name = f"MicroPython, {lane.form}, {lane.folder}/ in {lane.heap}"
            passed, failed = sums.get(name, (0, 0))
            sums[name] = (passed + result[0], failed + result[1])
            if result[1] or not result[0]:
                print(f"--- {name}: {stem}\n{result[2]}")
    for name, (passed, failed) in sums.items():
        print(f"{name}: {passed} passed, {failed} failed")
    return sum(p for p, _ in sums.values()), sum(f for _, f in sums.values())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lane", choices=FORMS, help="only this form")
    parser.add_argument("--in", dest="folder", choices=("unit", "nodes"), help="only these tests")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only files with TEXT in the name"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            chosen = lanes(Path(folder), options.lane, options.folder)
        except (BuildError, DeviceError) as error:
            sys.exit(f"build: {error}")
        passed, failed = run(chosen, options.only)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
