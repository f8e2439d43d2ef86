"""The Lua dissector for Wireshark and tshark, and the folder where they look for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "msgin5g.lua"
_LUA = Path(__file__).with_name(NAME)
_ASKING_S = 30


def dissector():
    """The text of the dissector."""
    return _LUA.read_text(encoding="utf-8")


def plugin_folder():
    """The folder of personal Lua plugins: the one that tshark names, else the default."""
    tshark = shutil.which("tshark")
    if tshark:
        try:
            asked = subprocess.run(
                [tshark, "-G", "folders"], capture_output=True, timeout=_ASKING_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return _default_folder()
        for line in os.fsdecode(asked.stdout).splitlines():
            what, _, folder = line.partition(":")
            if what == "Personal Lua Plugins" and folder.strip():
                return Path(folder.strip())
    return _default_folder()


def _default_folder():
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home(), "Wireshark", "plugins")
    return Path.home() / ".local" / "lib" / "wireshark" / "plugins"
