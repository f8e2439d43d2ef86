"""Where things live in the checkout, and how CPython gets to import the firmware."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
SHIM = ROOT / "host_tests" / "support" / "shim"


def _build_folder():
    """build/ of the checkout; where it has files of another user, a folder of one's own."""
    build = ROOT / "build"
    made = [build, *build.glob("mpy/**/"), *build.glob("romfs/"), *build.glob("mpy/*.*")]
    if all(os.access(path, os.W_OK) for path in made if path.exists()) and (
        build.exists() or os.access(ROOT, os.W_OK)
    ):
        return build
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    if not os.access(home if home.exists() else home.parent, os.W_OK):
        home = Path(tempfile.gettempdir(), f"msgin5g-{os.getuid()}")
    return home / "msgin5g" / hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:12]


BUILD = _build_folder()


def import_firmware():
    """Put firmware/ and the CPython shim on sys.path, so that `import msgin5g` works here."""
    for path in (str(SHIM), str(FIRMWARE)):
        if path not in sys.path:
            sys.path.insert(0, path)
    import micropython  # noqa: F401  # the shim adds time.ticks_ms and friends when imported
