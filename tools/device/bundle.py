"""What a board gets: the modules that its role needs, compiled, and main.py.

The modules of a role are those that are frozen for it: tools/check_manifests.py declares them.
"""

import hashlib
from collections import namedtuple

from tools.build_mpy import BuildError, build_firmware
from tools.check_manifests import ROLES, imports, modules_of
from tools.device.errors import WRONG_INPUT, DeviceError
from tools.inline_constants import module_name
from tools.paths import BUILD

_PACKAGE = "msgin5g"
_TARGET = BUILD / "flash"

# path: on the board, without the leading slash. sha256: in hex.
File = namedtuple("File", "path data sha256")


def file_of(path, data):
    return File(path, data, hashlib.sha256(data).hexdigest())


def build(role):
    """The Files of a role, freshly compiled, main.py last; DeviceError when it does not build."""
    wanted = modules_of(role, imports())
    try:
        compiled = build_firmware(_TARGET)
    except BuildError as error:
        raise DeviceError(WRONG_INPUT, f"build: {error}") from None
    files = [
        file_of(mpy.relative_to(compiled).as_posix(), mpy.read_bytes())
        for mpy in sorted(compiled.glob(f"{_PACKAGE}/**/*.mpy"))
        if module_name(mpy, compiled) in wanted
    ]
    return [*files, file_of("main.py", (compiled / "main.py").read_bytes())]


__all__ = ["ROLES", "File", "build", "file_of"]
