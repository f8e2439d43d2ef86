#!/bin/sh
# Every test, on two cores. In front: pytest with the real peers. Beside it: the tests that run on
# real MicroPython, and then the campaigns, which take long and wait for nobody. Arguments go to
# pytest, and then it runs alone.
#
# In front are real processes, terminals and clocks. A file with a failure there is run once more
# when nothing else runs, and what fails then has failed: a busy machine is not a fault of ours.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi
mkdir -p build
front() {
    .venv/bin/python -m pytest -o cache_dir=build/front -m "not campaign" "$@"
}
{
    status=0
    .venv/bin/python -m tools.test_lanes || status=$?
    .venv/bin/python -m pytest -m campaign || status=$?
    exit $status
} >build/beside.txt 2>&1 &
beside=$!
trap 'kill $beside 2>/dev/null || true' EXIT INT TERM
first=0
front || first=$?
status=0
wait $beside || status=$?
trap - EXIT INT TERM
cat build/beside.txt
if [ $first = 1 ]; then
    files=$(.venv/bin/python -c '
import json
failed = json.load(open("build/front/v/cache/lastfailed"))
print(*sorted({name.partition("::")[0] for name in failed}))')
    echo "test: once more, alone: $files"
    first=0
    # shellcheck disable=SC2086
    front $files || first=$?
fi
[ $first = 0 ] || status=$first
exit $status
