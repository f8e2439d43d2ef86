"""A ROMFS image of a role's modules, made by mpremote's own builder.

MicroPython mounts such an image at /rom and executes the bytecode where it lies in flash; only
data goes to the heap. `mpremote romfs deploy` puts an image into the ROMFS partition of a board,
and /rom is on that board's sys.path.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from msgin5g_tools import streams
from msgin5g_tools.build.mpy import BuildError, role_files
from msgin5g_tools.paths import BUILD


def build_romfs(role="all", target=None):
    """Write an image of the modules that a role, or "all", needs; gives its path.

    target: build/romfs/ROLE.romfs when it is None. main.py is not in it: that one stays on the
    board's file system, where MicroPython looks for it.
    """
    files = {path: file for path, file in role_files(role).items() if path != "main.py"}
    target = Path(target or BUILD / "romfs" / f"{role}.romfs")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for path, file in files.items():
            copy = Path(folder, "rom", path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        made = Path(folder, "image")
        _run_mpremote(["romfs", "--no-mpy", "-o", str(made), "build", f"{folder}/rom"])
        fresh = target.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(made.read_bytes())
        os.replace(fresh, target)
    return target


def _run_mpremote(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", *arguments],
        capture_output=True,
        check=False,
        env=streams.utf8_environment(),
        **streams.UTF8,
    )
    if done.returncode:
        raise BuildError(f"mpremote {arguments[0]}: {(done.stdout + done.stderr).strip()}")
