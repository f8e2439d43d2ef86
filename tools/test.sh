#!/bin/sh
# Every test: the unit tests on real MicroPython, and beside them, on the other core, pytest on
# CPython with the real peers. Arguments go to pytest, and then it runs alone.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi
mkdir -p build
.venv/bin/python -m tools.test_lanes >build/lanes.txt 2>&1 &
lanes=$!
trap 'kill $lanes 2>/dev/null || true' EXIT INT TERM
status=0
.venv/bin/python -m pytest || status=$?
wait $lanes || status=$?
trap - EXIT
cat build/lanes.txt
exit $status
