"""Run the unit tests on a board, as .mpy, each file on a fresh heap.

    python -m msgin5g_tools.checks.board_tests PORT [TEXT]

TEXT: only the files whose names contain it.

Firmware and tests are copied to /msgin5g.test, which is removed at the end. The installed firmware
is not changed, and starts again. The last line is `N passed, N failed`.
"""

import re
import sys

from msgin5g_tools.build.mpy import BuildError, build_firmware, build_tests
from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.device.scratch_folder import FOLDER, put, remove
from msgin5g_tools.device.session import open_session

_TIMEOUT_S = 900  # of one file of tests that prints nothing, on the slowest board
_RUN = """
import sys
sys.path[:] = [{folder!r} + "/host_tests"] + [p for p in sys.path if p.startswith(".")]
import run_mpy
run_mpy.main([{folder!r} + "/host_tests/run_mpy.py", {folder!r} + "/firmware", "--only", {stem!r}])
"""


def files():
    """{path below the scratch folder: bytes}."""
    found = {}
    for root, name in ((build_firmware(), "firmware"), (build_tests(), "host_tests")):
        for file in sorted([*root.glob("**/*.mpy"), root / "run_mpy.py"]):
            if file.exists() and not file.is_relative_to(root / "nodes"):
                found[f"{name}/{file.relative_to(root).as_posix()}"] = file.read_bytes()
    return found


def run_tests(session, stems):
    """Run the files of tests and show their output at once; (passed, failed)."""
    passed = failed = 0
    for stem in stems:
        session.enter()
        printed = session.run(_RUN.format(folder=FOLDER, stem=stem), _TIMEOUT_S)
        print(f"{stem}: {printed.strip()}".replace("\r", ""), flush=True)
        found = re.search(r"^(\d+) passed, (\d+) failed\s*$", printed, re.MULTILINE)
        passed += int(found[1]) if found else 0
        failed += int(found[2]) if found else 1
    return passed, failed


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    text = sys.argv[2] if len(sys.argv) == 3 else ""
    try:
        wanted = files()
        unit = [path.rpartition("/unit/")[2] for path in wanted if "/unit/test_" in path]
        session = open_session(sys.argv[1])
        try:
            put(session, wanted)
            passed, failed = run_tests(
                session, [name.removesuffix(".mpy") for name in unit if text in name]
            )
            remove(session)
        finally:
            session.restart()
            session.close()
    except (BuildError, DeviceError) as error:
        sys.exit(f"{sys.argv[1]}: Error: {error}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
