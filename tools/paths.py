"""Where things live in the checkout, and how CPython gets to import the firmware."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
TESTKIT = ROOT / "host_tests" / "testkit"  # has the package msgin5g_testkit
SHIM = TESTKIT / "msgin5g_testkit" / "shim"


def _build_folder():
    """build/ of the checkout; where it has files of another user, a folder of one's own."""
    build = ROOT / "build"
    made = [build, *build.glob("mpy/**/"), *build.glob("romfs/"), *build.glob("mpy/*.*")]
    if all(os.access(path, os.W_OK) for path in made if path.exists()) and (
        build.exists() or os.access(ROOT, os.W_OK)
    ):
        return build
    return _cache() / "msgin5g" / hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:12]


def _cache():
    """One's own folder for what can be made again; $HOME may be missing, or another user's."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    above = home if os.path.exists(home) else os.path.dirname(home)
    if os.path.isabs(home) and os.access(above, os.W_OK):
        return Path(home)
    return Path(tempfile.gettempdir(), f"msgin5g-{os.getuid()}")


BUILD = _build_folder()


def import_firmware():
    """Put firmware/ and the test kit with its shims on sys.path: `import msgin5g` works here."""
    for path in (str(TESTKIT), str(FIRMWARE)):
        if path not in sys.path:
            sys.path.insert(0, path)
    import msgin5g_testkit  # noqa: F401  # the shims: MicroPython's modules, time.ticks_ms
