"""What a board gets: the modules that its role needs, joined and compiled, and main.py.

The modules of a role are those that are frozen for it: tools/check_manifests.py declares them.
"""

import hashlib
from collections import namedtuple

from msgin5g_tools.build.mpy import BuildError
from msgin5g_tools.checks.manifests import ROLES
from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.build.mpy import build_firmware

# path: on the board, without the leading slash. sha256: in hex.
File = namedtuple("File", "path data sha256")


def file_of(path, data):
    return File(path, data, hashlib.sha256(data).hexdigest())


def build(role):
    """The Files of a role, freshly compiled, main.py last; DeviceError when it does not build."""
    try:
        target = build_firmware()
    except BuildError as error:
        raise DeviceError(WRONG_INPUT, f"build: {error}") from None
    names = [mpy.relative_to(target).as_posix() for mpy in sorted(target.glob("**/*.mpy"))]
    return [file_of(name, (target / name).read_bytes()) for name in [*names, "main.py"]]


__all__ = ["ROLES", "File", "build", "file_of"]
