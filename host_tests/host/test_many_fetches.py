"""The heap in use after very many fetches is what it was after 1,000, on real MicroPython.

CI=true plays 100,000 fetches, which takes a minute or two; otherwise 10,000.
"""

import json
import os
import subprocess

import pytest

from msgin5g_tools.build.mpy import build_firmware, build_tests
from msgin5g_tools.commands.run import interpreter_command

_THOROUGH = os.environ.get("CI") == "true"
_TIMEOUT_S = 1200
# The last message that came in and the like; a block of 32 bytes lost in a thousand fetches is
# more than this in 100,000, and one lost in a hundred is more in 10,000.
_NOISE = 1024


@pytest.mark.parametrize(
    ("how", "n"),
    [((), 100_000 if _THOROUGH else 10_000), (("observe",), 20_000 if _THOROUGH else 3_000)],
    ids=["refreshed", "pushed"],
)
def test_the_heap_in_use_stays_what_it_was_after_1000_fetches(repository, how, n):
    rig = repository / "host_tests" / "support" / "benchmarks" / "many_fetches.py"
    command = [interpreter_command(), "-X", "heapsize=512K", str(rig)]
    command += [str(build_firmware()), str(build_tests()), str(n), *how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert found["fetches"] >= n
    assert max(found["in_use"]) - found["in_use"][0] < _NOISE, found["in_use"]
    assert abs(found["in_use"][-1] - found["in_use"][0]) < _NOISE, found["in_use"]
    counts = found["counts"]
    if how:
        # Nearly all has come without being asked for.
        assert found["requests"] < n / 50
        assert found["bodies"] > 0.9 * n
        assert counts["applied"] > n / 20
    else:
        assert found["requests"] == n
        assert n / 30 < found["bodies"] < n / 10  # the others are 2.03
        assert counts["applied"] > n / 50
    assert counts["unchanged"] > n / 2
    assert counts["rejected"] > n / 2000
    assert found["relay_counters"]["duplicate"] > n / 1000
