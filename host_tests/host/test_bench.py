"""`msgin5g bench`: every figure is there, is plausible, and, where it is the same each time, good.

Times are not judged here: the machine may have other things to do.
"""

import json
import os
import subprocess
import sys

import pytest

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.figures import FIGURES, rows
from msgin5g_tools.bench.interpreter import Interpreter
from msgin5g_tools.bench.heap import smallest

_BENCH = (sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "bench")
_TIMEOUT_S = 300
# (key, at least, at most)
_PLAUSIBLE = (
    ("unit_us", 0.1, 1000),
    ("decode_units", 0.05, 20),
    ("encode_units", 0.05, 20),
    ("encode_moved_bytes", 1, 1000),
    ("encode_large_moved_bytes", 5000, 20000),
    ("request_units", 0.1, 50),
    ("answer_decode_units", 0.05, 20),
    ("protect_units", 0.5, 30),
    ("unprotect_units", 0.5, 30),
    ("protect_1k_units", 2, 100),
    ("unprotect_1k_units", 2, 100),
    ("decode_and_unprotect_units", 0.5, 30),
    ("relay_protected_uplink_times", 0.5, 2),
    ("relay_protected_downlink_times", 0.5, 2),
    ("context_units", 2, 100),
    ("answer_encode_units", 0.05, 20),
    ("relay_units", 0.5, 100),
    ("relay_busy_units", 0.5, 200),
    ("relay_renewal_units", 1, 200),
    ("relay_link_down_units", 0.2, 100),
    # How the cost grows is the same each time, but for a machine that is busy.
    ("relay_renewal_growth", 0.5, 3),
    ("relay_uplink_growth", 0.5, 2.5),
    ("relay_link_down_growth", 0.5, 5),
    ("idle_poll_units", 0.05, 50),
    ("relay_datagrams_per_s", 100, 1000000),
    ("relay_uplink_alloc_bytes", 100, 4000),
    ("relay_downlink_alloc_bytes", 100, 4000),
    ("relay_heap_per_link_bytes", 300, 3000),
    ("relay_heap_per_request_bytes", 200, 3000),
    ("gateway_heap_per_ue_bytes", 200, 3000),
    ("ue_mpy_bytes", 10000, 114688),
    ("ue_import_heap_bytes", 10000, 131072),
    ("ue_idle_heap_bytes", 10000, 131072),
    ("ue_romfs_idle_heap_bytes", 10000, 98304),
    ("ue_min_heap_bytes", 20000, 131072),
    ("first_fetch_bytes", 200, 600),
    ("refresh_bytes", 80, 250),
    ("push_bytes", 100, 600),
)
# Figures that are the same each time; wire bytes change only with what is sent.
_ALLOCATED = (
    "decode_alloc_bytes",
    "encode_alloc_bytes",
    "idle_poll_alloc_bytes",
    "protect_alloc_bytes",
    "unprotect_alloc_bytes",
    "protect_1k_alloc_bytes",
    "unprotect_1k_alloc_bytes",
    "context_heap_bytes",
    "number_writes_at_start",
    "number_writes",
    "request_added_bytes",
    "answer_added_bytes",
)


def run(*options, **environment):
    return subprocess.run(
        [*_BENCH, *options],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def figures():
    done = run("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_every_figure_is_there_and_plausible(figures):
    assert not {figure.key for figure in FIGURES} - set(figures)
    for key, low, high in _PLAUSIBLE:
        assert low <= figures[key] <= high, (key, figures[key])


def test_what_is_allocated_keeps_to_the_targets(figures):
    targets = {figure.key: figure.target for figure in FIGURES}
    for key in _ALLOCATED:
        assert figures[key] <= targets[key], (key, figures[key])


def test_the_parts_fit_the_whole(figures):
    assert figures["relay_units"] == max(
        figures["relay_uplink_units"], figures["relay_downlink_units"]
    )
    assert figures["ue_import_heap_bytes"] < figures["ue_idle_heap_bytes"]
    assert figures["ue_idle_heap_bytes"] < figures["ue_min_heap_bytes"]
    assert figures["ue_romfs_idle_heap_bytes"] < figures["ue_import_heap_bytes"]
    assert figures["refresh_bytes"] < figures["first_fetch_bytes"]
    assert figures["recipient"] == "coap://scm" and figures["refresh_bytes"] == 160
    assert figures["refresh_default_bytes"] == 169  # 8 characters and a longer option header
    assert figures["ue_mpy_bytes"] < sum(figures["mpy_bytes"].values())


def test_a_person_sees_every_figure_and_which_targets_hold(figures):
    shown = {text: (value, target, holds) for text, value, target, holds in rows(figures)}
    assert len(shown) >= len(FIGURES) - 3  # `- allocated` comes several times
    assert shown["decode the request of 104 bytes"][1] == "0.80"
    assert shown["decode the request of 104 bytes"][2] == (figures["decode_units"] <= 0.8)
    missed = {**figures, "relay_units": 10.01}
    assert ("relay a datagram, receive to transmit", False) in [(r[0], r[3]) for r in rows(missed)]


def test_without_an_interpreter_it_says_so_in_one_line():
    done = run(MICROPYTHON="/nowhere/micropython")
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: /nowhere/micropython: No such file or directory"


def test_a_program_that_fails_is_named_with_its_last_line(tmp_path):
    with pytest.raises(BenchError, match="speed: ended with 1: ImportError: no module named"):
        Interpreter(tmp_path).run("speed", "192K", 1)


def test_the_smallest_size_works_again_and_again():
    assert smallest(lambda size: size >= 50000, 8192, 131072) == 50176
    # A size that works by chance between others that do not is not the answer.
    assert smallest(lambda size: size >= 60000 or size == 50176, 8192, 131072) >= 60000
    assert smallest(lambda size: False, 8192, 131072) is None
