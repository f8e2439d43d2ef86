"""The configuration server: the memory of a flood with forged sources."""

import json
import os
import subprocess
import sys

import pytest
from peers import ROOT

PROGRAM = ROOT / "host_tests" / "support" / "programs" / "flood_in_namespace.py"
IN_NAMESPACE = ("unshare", "--map-root-user", "--net")
# 4 KB each, without a bound, would be 160 MB. FLOOD_REQUESTS=300000 takes some minutes.
N_REQUESTS = int(os.environ.get("FLOOD_REQUESTS", "40000"))
MAX_GROWTH_MB = 100
MAX_REST_MB = 5


def require_namespace():
    """Skip, and say so, where this user may not make a network namespace."""
    try:
        tried = subprocess.run(
            [*IN_NAMESPACE, "true"], capture_output=True, text=True, check=False
        )
        reason = tried.stderr.strip() if tried.returncode else None
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.skip(f"the flood was NOT tried: this machine makes no network namespace: {reason}")


@pytest.mark.slow
def test_the_memory_of_a_flood_from_10000_forged_sources_is_limited_and_comes_back(tmp_path):
    require_namespace()
    done = subprocess.run(
        [*IN_NAMESPACE, sys.executable, PROGRAM, tmp_path, str(N_REQUESTS)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert figures["done"] >= 0.95 * N_REQUESTS, figures
    assert figures["most_mb"] <= MAX_GROWTH_MB, figures
    assert figures["rest_mb"] <= MAX_REST_MB, figures
    assert figures["again_mb"] <= figures["most_mb"] + 5, figures
