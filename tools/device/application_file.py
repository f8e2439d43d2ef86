"""An application as a file on this host, which `msgin5g run --app` starts beside a role."""

import os
import sys
from pathlib import Path

from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.paths import ROOT, SHIM

ENDINGS = (".py", ".mpy")
_ONBOARD = ROOT / "tools" / "board" / "onboard"
# An `import` of one of these finds another module, on a board, too.
_TAKEN = {"boot", "machine", "main", "msgin5g", "microcoapy"} | sys.stdlib_module_names
# The Unix port's `machine` has no pins: it gets those of the virtual board, at which nothing is
# connected. The firmware finds a host by what is removed.
_PINS = """
import io, sys
sys.path.insert(0, {onboard!a})
import machine
sys.path.remove({onboard!a})
machine.state = io.BytesIO(bytes(16) + b"\\xff" * 96 + bytes(98))
for name in ("WDT", "reset", "reset_cause", "unique_id"):
    delattr(machine, name)
"""
# A host does not sleep: the role ends, as where the board would restart (see commands.run).
_DEEP_SLEEP = """
import sys, machine
def deepsleep(time_ms=None):
    print("deepsleep: a board would sleep " + ("until a reset" if time_ms is None else
          "for %d ms" % time_ms) + ", and start again: here the role ends")
    sys.exit(3)
machine.deepsleep = deepsleep
"""
# What Python has cached of an application is taken for the next one that is stored in the same
# second and has the same size.
_NO_CACHE = "import sys\nsys.dont_write_bytecode = True\n"


class ApplicationFile:
    """A file that a role can import: its `name` as a module, and its `folder`.

    DeviceError when it is none. interpreter: micropython or cpython.
    """

    def __init__(self, file, interpreter):
        path = Path(os.path.abspath(file))
        self.name = path.stem
        self.folder = path.parent
        self._is_micropython = interpreter == "micropython"
        fault = self._fault(path)
        if fault:
            raise DeviceError(WRONG_INPUT, f"--app: {file}: {fault}")

    def require_same(self, application):
        """DeviceError when the settings name another application than this one."""
        if application not in (None, self.name):
            text = f"settings: application: {application!r}, but --app has {self.name!r}"
            raise DeviceError(WRONG_INPUT, f"{text}: give both the same name")

    @property
    def prelude(self):
        """What runs before the role, in the same interpreter."""
        if not self._is_micropython:
            return _NO_CACHE + _DEEP_SLEEP
        pins = _PINS.format(onboard=os.fsencode(_ONBOARD).decode("utf-8", "replace"))
        return pins + _DEEP_SLEEP

    def _fault(self, path):
        try:
            path.open("rb").close()
        except OSError as error:
            return error.strerror
        if path.suffix not in ENDINGS:
            return "must end in .py or .mpy"
        if path.suffix == ".mpy" and not self._is_micropython:
            return "CPython cannot run .mpy: take the .py file"
        if not self.name.isidentifier() or not self.name.isascii():
            return "the name must be that of a module: letters, digits and _, such as app.py"
        taken = _TAKEN | {file.stem for file in SHIM.glob("*.py")}
        if self.name in taken:
            return f"import {self.name} finds another module: rename the file, to app.py for one"
        return None
