"""Modules that are needed for a moment only: loaded from .mpy files they take heap."""

import gc
import sys


def unload(name):
    """Unload a module of this package; a frozen one costs nothing and comes back as quickly."""
    package, _, last = ("msgin5g." + name).rpartition(".")
    if sys.modules.pop(package + "." + last, None) is not None:
        delattr(sys.modules[package], last)
        gc.collect()
