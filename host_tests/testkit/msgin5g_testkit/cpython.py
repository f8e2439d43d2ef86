"""CPython gets the modules of MicroPython: see the folder shim."""

import sys
from pathlib import Path

SHIM = Path(__file__).resolve().parent / "shim"


def add_shims() -> None:
    """Put the shims on the path, behind everything else, and add time.ticks_ms and its like."""
    if str(SHIM) not in sys.path:
        sys.path.append(str(SHIM))
    __import__("micropython")  # adds what MicroPython's `time` has
