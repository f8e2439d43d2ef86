#!/bin/sh
# Every test: pytest on CPython with the real peers, then the unit tests on real MicroPython.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python -m pytest "$@"
.venv/bin/python -m tools.test_lanes
