#!/bin/sh
# Every test, on two cores. In front: pytest with the real peers. Beside it: the tests that run on
# real MicroPython, and then the campaigns, which take long and wait for nobody. Arguments go to
# pytest, and then it runs alone.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi
mkdir -p build
{
    status=0
    .venv/bin/python -m msgin5g_tools.checks.lanes || status=$?
    .venv/bin/python -m pytest -m campaign || status=$?
    exit $status
} >build/beside.txt 2>&1 &
beside=$!
trap 'kill $beside 2>/dev/null || true' EXIT INT TERM
status=0
.venv/bin/python -m pytest -m "not campaign" || status=$?
wait $beside || status=$?
trap - EXIT
cat build/beside.txt
exit $status
