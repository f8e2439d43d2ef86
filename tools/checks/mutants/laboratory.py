"""A copy of the repository in a temporary folder, and the warm process that works in it.

The mutants live there alone: nothing of the checkout is ever changed.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from msgin5g_tools.checks.mutants.areas import files_of
from msgin5g_tools.checks.mutants.catalogue import changed_lines, mutated
from msgin5g_tools.checks.mutants.session import Result
from msgin5g_tools.paths import ROOT

_NOT_COPIED = (
    ".git", ".venv", ".hypothesis", ".pytest_cache", ".ruff_cache", "__pycache__", "build",
)  # fmt: skip
_PATH = ".path"  # where the child finds the copy's msgin5g_tools before the installed one
_LIMIT_S = 2  # of the processor's time for a test, and in addition
_SLOWER = 20  # so many times what it takes without a change
_LONG_S = 1  # a test is long that takes more,
_LONG_SHARE = 0.02  # and more than this of all tests of its suite


class MutantsError(Exception):
    """Tests that cannot be used: the text says why."""


class Laboratory:
    """`with Laboratory(cache) as laboratory:`; cache is a folder for what was measured."""

    def __init__(self, cache, root=ROOT):
        self._cache = cache
        self._root = root
        self._suites = {}
        self._kills = Counter()  # (module, test): mutants that it noticed, so it comes first

    def __enter__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="msgin5g-mutants-"))
        copy = self._folder / "copy"
        shutil.copytree(self._root, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        (copy / ".venv").symlink_to(self._root / ".venv")
        (copy / _PATH).mkdir()
        (copy / _PATH / "msgin5g_tools").symlink_to(copy / "tools")
        self._worker = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py"), copy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy / _PATH)},
        )
        return self

    def __exit__(self, *_):
        self._worker.send_signal(signal.SIGINT)  # it ends its child, too
        self._worker.stdin.close()
        try:
            self._worker.wait(5)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def suite(self, name):
        """The Suite of this name, measured now or as it was measured for the same files."""
        if name not in self._suites:
            files = files_of(name, self._root)
            helpers = ["host_tests/support", "host_tests/testkit", "host_tests/conftest.py"]
            tests = _hash(self._root, [*files, *helpers])
            key = tests + _hash(self._root, ["firmware", "tools"])
            cached = self._cache / f"measured-{name}.json"
            measured = json.loads(cached.read_text()) if cached.exists() else {}
            if measured.get("key") != key:
                measured = {"key": key, **self._ask({"measure": files})}
                if not measured["tests"]:
                    stuck = measured.get("unfinished", "")
                    raise MutantsError(f"{stuck}: does not end: {measured['said']}")
                cached.parent.mkdir(parents=True, exist_ok=True)
                cached.write_text(json.dumps(measured))
            self._suites[name] = Suite(measured, tests)
        return self._suites[name]

    def judge(self, mutant, suite):
        """The Result of a mutant."""
        source = (self._folder / "copy" / mutant.module).read_text()
        text = mutated(mutant, source)
        change = changed_lines(source, text)
        tests = suite.tests_of(mutant)
        if not tests:
            return Result(mutant, "uncovered", "", 0, change)
        tests.sort(key=lambda test: -self._kills[mutant.module, test])
        limits = [(test, _LIMIT_S + _SLOWER * suite.seconds(test)) for test in tests]
        said = self._ask({"module": mutant.module, "text": text, "tests": limits})
        killer = "" if said["outcome"] == "survived" else said["killer"]
        self._kills[mutant.module, killer] += 1
        return Result(mutant, said["outcome"], killer, round(said["s"], 2), change)

    def _ask(self, request):
        self._worker.stdin.write(json.dumps(request) + "\n")
        self._worker.stdin.flush()
        answer = self._worker.stdout.readline()
        if not answer:
            raise MutantsError(f"the process that runs the tests ended: {self._worker.wait()}")
        return json.loads(answer)


class Suite:
    """What was measured about the tests of an area; `failed`: those that fail without a change."""

    def __init__(self, measured, tests_hash):
        self.failed = measured["failed"]
        self.said = measured["said"]
        self.hash = tests_hash
        self._tests = {t: m for t, m in measured["tests"].items() if t not in self.failed}
        limit = max(_LONG_S, _LONG_SHARE * sum(m["s"] for m in self._tests.values()))
        self._long = {test for test, m in self._tests.items() if m["s"] > limit}
        self._by_row = {}
        for test, m in self._tests.items():
            for module, rows in m["lines"].items():
                for row in rows:
                    self._by_row.setdefault((module, row), []).append(test)

    def seconds(self, test):
        return self._tests[test]["s"]

    def tests_of(self, mutant):
        """The tests that can notice a mutant, the quick ones first.

        What runs when a module is imported can be noticed by all: first by those that run any of
        its functions. A long test is for what no other one runs: it would take minutes for each
        change that nobody notices, and a rule has a quick test.
        """
        if mutant.top:
            found = self._tests
            away = {test: mutant.module not in self._tests[test]["lines"] for test in found}
        else:
            rows = ((mutant.module, row) for row in mutant.rows)
            found = {test for row in rows for test in self._by_row.get(row, ())}
            away = dict.fromkeys(found, False)
        tests = [test for test in found if test not in self._long] or found
        return sorted(tests, key=lambda test: (away[test], self.seconds(test), test))


def _hash(root, names):
    """A hash of the Python files in these files and folders."""
    made = hashlib.sha256()
    for name in names:
        path = root / name
        for file in [path] if path.is_file() else sorted(path.glob("**/*.py")):
            made.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return made.hexdigest()
