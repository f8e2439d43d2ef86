"""The state machine finds faults that gateway and relay once had, when they are put back.

A campaign: each fault is put into a copy of the firmware, and support/fleet_machine.py tries
sequences of steps on it, always the same ones, until one shows it. On the firmware as it is
test_fleet_machine tries them.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import fleet_faults
import fleet_machine

_EXAMPLES = 300  # twice what test_fleet_machine tries with CI=true
_LIMIT_S = 600  # for one fault, on a very busy machine: 30 s are enough on a quiet one
_AT_ONCE = 2


@pytest.fixture(scope="module")
def searches(repository, tmp_path_factory):
    """{fault: future of its finished process}; two of them run at a time."""
    support, testkit = (repository / "host_tests" / name for name in ("support", "testkit"))

    def search(fault, folder):
        fleet_faults.put_back(fault, repository / "firmware", folder)
        path = (folder, support, testkit, repository / "tools" / "simulate")
        return subprocess.run(
            [sys.executable, support / "fleet_machine.py", fault.middle, str(_EXAMPLES)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # The factory is not for several threads at once.
        folders = [tmp_path_factory.mktemp("fault") / "firmware" for _ in fleet_faults.FAULTS]
        pairs = zip(fleet_faults.FAULTS, folders, strict=True)
        yield {fault: pool.submit(search, fault, folder) for fault, folder in pairs}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("fault", fleet_faults.FAULTS, ids=lambda fault: fault.name)
def test_the_state_machine_finds_a_fault_that_is_put_back(searches, fault):
    process = searches[fault].result()
    assert process.returncode == fleet_machine.FOUND, process.stdout + process.stderr
