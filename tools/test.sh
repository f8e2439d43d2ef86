#!/bin/sh
# tools/test.sh           every test, on two cores
# tools/test.sh fast      unit/ and nodes/ on CPython without the slow tests, unit/ on MicroPython
# tools/test.sh ARGS...   pytest alone, with these arguments
#
# Two streams run at once. The first is pytest, some files at a time: most wait for real peers. The
# second is always busy: the lanes on real MicroPython, then a sample of mutants. Its output comes
# at the end.
set -eu
cd "$(dirname "$0")/.."
# A run starts some thousand interpreters: each would compile every library anew.
unset PYTHONDONTWRITEBYTECODE
python=.venv/bin/python
lanes="$python -m msgin5g_tools.checks.lanes"
mutants="$python -m msgin5g_tools.checks.mutants --without device --sample 60 --min 90"
case "${1-}" in
"")
    # One file more than there are cores; a file stays in one process, with its fixtures.
    set -- --numprocesses $(($(nproc) + 1)) --dist loadfile --no-loadscope-reorder
    ;;
fast)
    set -- -m "not slow" host_tests/unit host_tests/nodes
    lanes="$lanes --in unit"
    mutants=""
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
    run $lanes
    [ -z "$mutants" ] || run $mutants
    exit $status
}

output=$(mktemp)
second_stream >"$output" 2>&1 &
second=$!
trap 'kill $second 2>/dev/null || true; rm -f "$output"' EXIT INT TERM
status=0
$python -m pytest "$@" || status=$?
wait $second || status=$?
cat "$output"
exit $status
