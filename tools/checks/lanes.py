"""The unit tests on real MicroPython: from source and as the shipped .mpy, in a board's heap.

Each test file has an interpreter of its own, because the heap of one file is what is promised:
unit/ runs in 96 KiB from source and in 64 KiB as .mpy; nodes/ holds whole nodes, many in
one heap, and has more. The last line is `N passed, N failed`, summed over all lanes.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from msgin5g_tools.build.mpy import BuildError, build_firmware, build_tests
from msgin5g_tools.paths import ROOT
from msgin5g_tools.commands.run import interpreter_command

_TESTS = ROOT / "host_tests"
_TIMEOUT_S = 1500


def lanes():
    """(name, folder, heap, start of the command line) of each lane."""
    source = [str(_TESTS / "run_mpy.py")]
    firmware = build_firmware()
    mpy = [str(build_tests() / "run_mpy.py"), str(firmware)]
    return [
        ("source", "unit", "96K", source),
        (".mpy", "unit", "64K", mpy),
        ("source", "nodes", "2M", source),
        (".mpy", "nodes", "2M", mpy),
    ]


def run_file(lane, stem):
    """(passed, failed, output) of one test file in one lane."""
    _, folder, heap, start = lane
    command = [interpreter_command(), "-X", f"heapsize={heap}", *start]
    command += ["--in", folder, "--only", stem]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return 0, 1, f"{stem}: no end within {_TIMEOUT_S} s"
    output = done.stdout + done.stderr
    found = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    if not found:
        return 0, 1, output or f"{stem}: ended with {done.returncode} and said nothing"
    return int(found[1]), int(found[2]), output


def main():
    try:
        work = [
            (lane, file.stem)
            for lane in lanes()
            for file in sorted((_TESTS / lane[1]).glob("test_*.py"))
        ]
    except BuildError as error:
        sys.exit(f"build: {error}")
    sums = {}
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) - 1)) as pool:
        for (lane, stem), result in zip(work, pool.map(lambda job: run_file(*job), work)):
            name = f"MicroPython {lane[0]}, {lane[1]}/ in {lane[2]}"
            passed, failed = sums.get(name, (0, 0))
            sums[name] = (passed + result[0], failed + result[1])
            if result[1] or not result[0]:
                print(f"--- {name}: {stem}\n{result[2]}")
    for name, (passed, failed) in sums.items():
        print(f"{name}: {passed} passed, {failed} failed")
    passed = sum(p for p, _ in sums.values())
    failed = sum(f for _, f in sums.values())
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
