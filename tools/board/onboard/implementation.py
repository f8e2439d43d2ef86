"""`sys` as the board has it that the virtual board stands for: sys.implementation names it.

The interpreter's own is read-only, and each `import sys` looks into sys.modules first.
"""

import sys
from collections import namedtuple

_Implementation = namedtuple("implementation", ("name", "version", "_machine", "_mpy", "_build"))


class BoardSys:
    """Everything is that of the interpreter, but `implementation`."""

    def __init__(self, build, machine):
        name, version, _, mpy = sys.implementation[:4]
        BoardSys.implementation = _Implementation(name, version, machine, mpy, build)

    def __getattr__(self, name):
        return getattr(sys, name)

    def __setattr__(self, name, value):
        setattr(sys, name, value)
