"""The warm process: it has pytest and the libraries loaded, and forks for each mutant.

    python worker.py ROOT

ROOT is a copy of the repository, which nobody else uses. Nothing of the project is imported here,
so each child imports it anew, with the one module that was changed. A line of JSON comes in on
stdin and one goes out on stdout. Whatever a child leaves running is ended with it: its process
group, and then what comes to this process as the parent, such as a PostgreSQL with its session.

    {"measure": [files]}           -> {"tests": {id: {"s": seconds, "lines": {module: [rows]}}},
                                       "failed": [ids], "said": text}
    {"module", "text", "tests"}    -> {"outcome": "killed", "killer": id, "s": seconds}

Time limits count the processor's time, so that a busy machine does not end a test early. A test
that only waits has a limit in real time too. They are the signals' own: the kernel ends the child.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest

_WARM = (
    "aiocoap", "asyncio", "cbor2", "click.testing", "coverage", "email", "hypothesis", "logging",
    "pydantic", "rich.console", "rich.progress", "serial", "sqlite3", "subprocess",
    "unittest.mock", "websockets.sync.client",
)  # fmt: skip
_MEASURED = ("firmware/msgin5g", "tools/scm_server", "tools/device")
_MEASURE_S = 120  # for a test without a change
_MEMORY = 6 << 30  # bytes of address space: a mutant may ask for more and more
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_PLUGINS = ("-p", "no:randomly", "-p", "no:cacheprovider")
_ENDED = {signal.SIGPROF: "timeout", signal.SIGALRM: "timeout", signal.SIGKILL: "killed"}


class Measure:
    """A pytest plugin: which lines of which module each test runs, and for how long."""

    def __init__(self, say):
        import coverage

        self._say = say

        include = [f"{os.getcwd()}/{folder}/*" for folder in _MEASURED]
        self._coverage = coverage.Coverage(data_file=None, include=include, config_file=False)
        self._seconds = {}
        self.failed = []
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._say({"unfinished": item.nodeid})
        signal.setitimer(signal.ITIMER_PROF, _MEASURE_S)
        signal.setitimer(signal.ITIMER_REAL, 2 * _MEASURE_S)
        self._coverage.switch_context(item.nodeid)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = time.monotonic() - began
            self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report):
        if report.failed or report.skipped:
            self.failed.append(report.nodeid)

    def result(self):
        self._coverage.stop()
        data = self._coverage.get_data()
        tests = {test: {"s": s, "lines": {}} for test, s in self._seconds.items()}
        for file in data.measured_files():
            module = os.path.relpath(file)
            for row, contexts in data.contexts_by_lineno(file).items():
                for test in contexts:
                    if test in tests:
                        tests[test]["lines"].setdefault(module, []).append(row)
        return {"tests": tests, "failed": sorted(set(self.failed))}


class Judge:
    """A pytest plugin: these tests in this order, each with a limit; it says which one fails."""

    def __init__(self, tests, say):
        self._limits = dict(tests)
        self._order = {test: n for n, test in enumerate(self._limits)}
        self._say = say

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self._order]
        items.sort(key=lambda item: self._order[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._say({"killer": item.nodeid})
        limit = self._limits[item.nodeid]
        signal.setitimer(signal.ITIMER_PROF, limit)
        signal.setitimer(signal.ITIMER_REAL, 10 * limit)
        return (yield)


def in_child(work, stdout):
    """Run `work(say)` in a forked child; what it said last, how it ended, what it printed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        status = 70
        try:
            # A group, not a session: a leader's first terminal would end it by closing.
            os.setpgid(0, 0)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

            def say(data):
                os.write(writer, (json.dumps(data) + "\n").encode())

            status = work(say)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().split(b"\n")[-2:-1]
        status = os.waitpid(child, 0)[1]
    finally:
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        _end_children()
    stdout.seek(0)
    text = stdout.read()[-4000:].decode(errors="replace")
    return json.loads(said[0]) if said else {}, status, text


def _end_children():
    """End what has this process as its parent: the child that was forked has ended."""
    pid = os.getpid()
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def measure(files):
    """The answer to {"measure": files}."""

    def work(say):
        plugin = Measure(say)
        pytest.main([*_PLUGINS, "-q", "-m", "not slow and not campaign", *files], [plugin])
        say(plugin.result())
        return 0

    with tempfile.TemporaryFile() as stdout:
        said, _, text = in_child(work, stdout)
    return {"tests": {}, "failed": [], **said, "said": text}  # or "unfinished": a test


def judge(module, text, tests):
    """The answer to {"module", "text", "tests"}: [[test, limit in seconds]] in their order."""
    files = sorted({test.split("::")[0] for test, _ in tests})

    def work(say):
        sys.dont_write_bytecode = True
        signal.setitimer(signal.ITIMER_PROF, 60)  # until the first test: all that is imported
        status = pytest.main([*_PLUGINS, "-q", "-x", "--tb=line", *files], [Judge(tests, say)])
        return int(status)

    path = Path(module)
    original, stat = path.read_bytes(), path.stat()
    began = time.monotonic()
    with tempfile.TemporaryFile() as stdout:
        try:
            path.write_text(text)
            # Another time than any of its compiled files has.
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**10))
            said, status, _ = in_child(work, stdout)
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    outcome = "survived" if status == 0 else "killed"
    if os.WIFSIGNALED(status):
        outcome = _ENDED.get(os.WTERMSIG(status), "killed")
    return {"outcome": outcome, "killer": said.get("killer", "import"),
            "s": time.monotonic() - began}  # fmt: skip


def main():
    os.chdir(sys.argv[1])
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    answers = os.fdopen(os.dup(1), "w")  # what the libraries print is no answer
    os.dup2(2, 1)
    for name in _WARM:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "measure" in request:
            answer = measure(request["measure"])
        else:
            answer = judge(request["module"], request["text"], request["tests"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
