"""What a board gets: the compiled modules that its role imports, and main.py."""

import hashlib
from collections import namedtuple

from msgin5g_tools.build.modules import ROLES as _ROLES
from msgin5g_tools.build.mpy import BuildError, role_files
from msgin5g_tools.device import programs
from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError

ROLES = (*_ROLES, "seal-c")  # of a board; seal-c has the modules of a gateway


class File(namedtuple("File", "path data sha256")):
    """path: on the board, without the leading slash. sha256: in hex."""

    def __repr__(self):
        return f"File({self.path!r})"  # a secrets.json is never shown

    def programs(self, folder):
        """The programs that write the file below a folder of the board."""
        return programs.write_file(f"{folder}/{self.path}", self.data)


def file_of(path, data):
    return File(path, data, hashlib.sha256(data).hexdigest())


def build(role):
    """The Files of a role, freshly compiled, main.py last; DeviceError when it does not build."""
    try:
        files = role_files(role)
    except BuildError as error:
        raise DeviceError(WRONG_INPUT, f"build: {error}") from None
    return [file_of(path, file.read_bytes()) for path, file in files.items()]


__all__ = ["ROLES", "File", "build", "file_of"]
