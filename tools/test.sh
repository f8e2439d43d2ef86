#!/bin/sh
# tools/test.sh           every test, on two cores
# tools/test.sh fast      unit/ and nodes/ on CPython without the slow tests, unit/ on MicroPython
# tools/test.sh ARGS...   pytest alone, with these arguments
#
# Two streams run at once. The first is pytest with the real peers. The second is what needs no
# peer: the lanes on real MicroPython, the campaigns, a sample of mutants. Its output comes at the
# end.
set -eu
cd "$(dirname "$0")/.."
# A run starts some thousand interpreters: each would compile every library anew.
unset PYTHONDONTWRITEBYTECODE
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

run() { # a command of the second stream, which ends with it
    "$@" &
    child=$!
    wait $child || status=$?
}
second_stream() {
    status=0
    child=""
    trap 'kill $child 2>/dev/null || true; exit 1' TERM
    if [ -n "$folders" ]; then
        run $python -m msgin5g_tools.checks.lanes --in unit
    else
        run $python -m msgin5g_tools.checks.lanes
        run $python -m pytest -m campaign
        run $python -m msgin5g_tools.checks.mutants --without device --sample 60 --min 90
    fi
    exit $status
}

output=$(mktemp)
second_stream >"$output" 2>&1 &
second=$!
trap 'kill $second 2>/dev/null || true; rm -f "$output"' EXIT INT TERM
status=0
# shellcheck disable=SC2086
$python -m pytest -m "$first" $folders || status=$?
wait $second || status=$?
cat "$output"
exit $status
