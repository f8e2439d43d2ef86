"""The fuzzer of host_tests/nodes on both interpreters.

FUZZ_CASES sets how many cases CPython gets; MicroPython gets a tenth of them. The default is a
million where CI is true, and a tenth of it elsewhere. A failure prints the arguments with which
the rig plays it again.
"""

import ast
import json
import os
import subprocess
import sys

import pytest
from fuzz_small_heap import Small
from peers import ROOT, micropython

from msgin5g_tools.paths import FIRMWARE, SHIM

RIG = ROOT / "host_tests" / "support" / "fuzzer.py"
CASES = int(os.environ.get("FUZZ_CASES") or (10**6 if os.environ.get("CI") == "true" else 10**5))
SMALL_HEAP_CASES = 20000  # for each role
SECURED_CASES = 2000  # each takes more time
SEED = 20261129
_TIMEOUT_S = 600 + CASES // 1000  # it hangs, if it takes a millisecond for each
# Bytes: after 100 cases the tables of tokens and counters have not yet grown to their limits, and
# what the collector takes for a pointer differs from time to time.
_NOISE = 2048


def rig(*arguments, interpreter="micropython"):
    """What the rig prints; AssertionError with the case when it fails."""
    env = dict(os.environ)
    if interpreter == "cpython":
        start = [sys.executable]
        env["PYTHONPATH"] = os.pathsep.join([str(SHIM), str(FIRMWARE)])
    else:
        start = [micropython(), "-X", "heapsize=1M"]  # it compiles the firmware as well
        env["MICROPYPATH"] = str(FIRMWARE)
    command = [*start, str(RIG), *map(str, arguments)]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_case_on_cpython_leaves_a_role_or_a_part_other_than_as_it_should():
    assert f"{CASES} cases, no failure" in rig("--cases", CASES, interpreter="cpython")


def test_no_case_on_micropython_does():
    n = CASES // 10
    assert f"{n} cases, no failure" in rig("--cases", n)


def test_a_fresh_seed_each_run_finds_nothing_either():
    seed = int.from_bytes(os.urandom(4), "big")
    rig("--cases", CASES // 10, "--seed", seed, interpreter="cpython")


def test_both_interpreters_are_given_the_same_and_make_the_same_of_it():
    reports = []
    for interpreter in ("cpython", "micropython"):
        lines = rig("--cases", 12000, interpreter=interpreter).splitlines()
        reports.append([ast.literal_eval(line) for line in lines[:-1]])
    assert reports[0] == reports[1]
    by_target = {report["target"]: report for report in reports[0]}
    assert list(by_target) == ["ue", "relay", "gateway", "seal-c", "secured", "parts"]
    assert sum(report["cases"] for report in reports[0]) == 12000
    del by_target["parts"]  # parsers, which send nothing
    for name, report in by_target.items():
        assert 0 < report["most"] <= 32 and 4 < report["largest"] <= 1152, name
        assert len(report["counters"]) > 6, f"the cases do not reach deep enough: {name}"


def test_the_heap_after_10_000_cases_is_what_it_was_after_100():
    used = json.loads(rig("--heap", "--target", "ue,relay,gateway,secured"))
    assert set(used) == {"ue", "relay", "gateway", "secured"}
    for name, (early, late, latest) in used.items():
        assert late <= early + _NOISE, (name, early, late)
        assert latest <= late + _NOISE, (name, late, latest)


@pytest.mark.parametrize("role", ["ue", "relay", "gateway", "seal-c", "secured"])
def test_hostile_datagrams_in_a_heap_that_leaves_8_kb_end_no_role(role, tmp_path):
    """The role is built as main does it, from .mpy files; then its heap is filled.

    secured: a gateway with keys, to which 12 KB are left.
    """
    small = Small(role, tmp_path, SEED)
    n = 0
    try:
        for n in range(SECURED_CASES if role == "secured" else SMALL_HEAP_CASES):
            small.hostile()
        assert small.is_honest_peer_served()
        counters = small.end()
    except AssertionError as error:
        raise AssertionError(f"{role}, seed {SEED}, case {n}: {error}") from None
    finally:
        small.close()
    print(counters)
    assert len(counters) > 6, "the cases do not reach deep enough"
    if role != "ue":  # its tables are small: 8 KB are enough for it
        assert counters["no_memory"] > 100, "there was memory for everything"
