"""Where things live in the checkout, and how CPython gets to import the firmware."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
SHIM = ROOT / "host_tests" / "support" / "shim"
BUILD = ROOT / "build"


def import_firmware():
    """Put firmware/ and the CPython shim on sys.path, so that `import msgin5g` works here."""
    for path in (str(SHIM), str(FIRMWARE)):
        if path not in sys.path:
            sys.path.insert(0, path)
    import micropython  # noqa: F401  # the shim adds time.ticks_ms and friends when imported
