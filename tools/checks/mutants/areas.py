"""What is mutated, by area, and which tests belong to it.

An area of the firmware is a package or a module right below firmware/msgin5g, so a new one is
here by itself. Its tests are unit/ and nodes/ in virtual time. The tools have tests of their own.
"""

from collections import namedtuple

from msgin5g_tools.paths import ROOT

# files: the modules, as paths below the root. suite: its tests, in SUITES.
Area = namedtuple("Area", "name files suite")

_FIRMWARE = "firmware/msgin5g"
_TOOLS = {"scm_server": "tools/scm_server", "device": "tools/device"}
_START = ("main", "node")  # modules that are one area: how a board starts
# Patterns of test files, below host_tests/.
SUITES = {
    "firmware": ("unit/test_*.py", "nodes/test_*.py"),
    # Without those that start a process of its own for each test.
    "scm_server": (
        "host/test_scm_[!p]*.py",
        "host/test_scm_p[!r]*.py",  # all but test_scm_process.py
        "host/test_web_[!b]*.py",  # without the browser
        "host/test_documents*.py",
        "host/test_metrics.py",
        "host/test_printable.py",
    ),
    "device": (
        "host/test_device_*.py",
        "host/test_doctor.py",
        "host/test_flash.py",
        "host/test_flash_ports.py",
        "host/test_flash_watch.py",
        "host/test_metrics.py",
        "host/test_monitor.py",
        "host/test_provision.py",
    ),
}


def areas(root=ROOT):
    """{name: Area} of everything that can be mutated below `root`."""
    found = {}
    for file in sorted((root / _FIRMWARE).glob("**/*.py")):
        name = file.relative_to(root / _FIRMWARE).parts[0].removesuffix(".py")
        name = "start" if name in _START else name
        _add(found, name, "firmware", file, root)
    for name, folder in _TOOLS.items():
        for file in sorted((root / folder).glob("*.py")):
            _add(found, name, name, file, root)
    return found


def _add(found, name, suite, file, root):
    if file.stat().st_size and name != "__init__":
        area = found.setdefault(name, Area(name, [], suite))
        area.files.append(file.relative_to(root).as_posix())


def files_of(suite, root=ROOT):
    """The test files of a suite, as paths below `root`."""
    tests = root / "host_tests"
    found = {file for pattern in SUITES[suite] for file in tests.glob(pattern)}
    return sorted(file.relative_to(root).as_posix() for file in found)
