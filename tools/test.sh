#!/bin/sh
# tools/test.sh           every test, on two cores
# tools/test.sh fast      unit/ and nodes/ on CPython without the slow tests, unit/ on MicroPython
# tools/test.sh ARGS...   pytest alone, with these arguments
#
# Two streams run at once. The first is pytest with the real peers. The second is what needs no
# peer: the lanes on real MicroPython, then the campaigns. Its output comes at the end.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
first="not campaign"
folders=""
case "${1-}" in
"") ;;
fast)
    first="not slow"
    folders="host_tests/unit host_tests/nodes"
    ;;
*) exec $python -m pytest "$@" ;;
esac
output=$(mktemp)
{
    status=0
    if [ -n "$folders" ]; then
        $python -m msgin5g_tools.checks.lanes --in unit || status=$?
    else
        $python -m msgin5g_tools.checks.lanes || status=$?
        $python -m pytest -m campaign || status=$?
    fi
    exit $status
} >"$output" 2>&1 &
second=$!
trap 'kill $second 2>/dev/null || true; rm -f "$output"' EXIT INT TERM
status=0
# shellcheck disable=SC2086
$python -m pytest -m "$first" $folders || status=$?
wait $second || status=$?
cat "$output"
exit $status
