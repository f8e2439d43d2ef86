"""Modules that are needed for a moment only: loaded from .mpy files they take heap."""

import gc
import sys


def unload(*names):
    """Unload modules of this package; a frozen one costs nothing and comes back as quickly."""
    for name in names:
        package, _, last = ("msgin5g." + name).rpartition(".")
        if sys.modules.pop(package + "." + last, None) is not None:
            delattr(sys.modules[package], last)
    gc.collect()
