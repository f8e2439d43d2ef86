"""What is on a board, and the plan that brings it to what it shall have."""

import json
from collections import namedtuple

from msgin5g_tools.device import programs
from msgin5g_tools.device.errors import FAILED, NOT_MICROPYTHON, DeviceError

_MPY_VERSION = 6  # what mpy-cross writes; sub-versions concern native code only
_LONGEST_WATCHDOG_S = 3600
_STAGING = programs.STAGING + "/"
_PACKAGE = programs.PACKAGE + "/"


class Inventory:
    """facts: see INVENTORY in programs. files: {path without leading slash: SHA-256 in hex}.

    folders: a set of paths, without leading slash as well.
    """

    def __init__(self, text):
        lines = text.replace("\r", "").split("\n")
        try:
            self.facts = json.loads(lines[0])
            rows = [line.split(" ", 3) for line in lines[1:] if line.startswith("file ")]
            self.files = {path[1:]: digest for _, _, digest, path in rows}
            self.folders = {line[8:] for line in lines[1:] if line.startswith("folder /")}
            self.n_bytes = sum(
                int(size) for _, size, _, path in rows if path[1:].startswith(_PACKAGE)
            )
            settings = self.facts.pop("settings")
            self.settings = None if settings is None else bytes.fromhex(settings)
        except (ValueError, KeyError, TypeError):
            raise DeviceError(FAILED, "the board's inventory could not be read") from None

    @property
    def staged(self):
        """Files that wait below the staging folder, by the path that they shall get."""
        at = len(_STAGING)
        return {p[at:]: digest for p, digest in self.files.items() if p.startswith(_STAGING)}

    @property
    def installed(self):
        return {p: digest for p, digest in self.files.items() if not p.startswith(_STAGING)}

    def require_micropython(self):
        """Raise when our .mpy files cannot be loaded there."""
        facts = self.facts
        if facts["name"] != "micropython":
            raise DeviceError(NOT_MICROPYTHON, f"this is {facts['name']}, not MicroPython")
        if facts["mpy"] != _MPY_VERSION:
            raise DeviceError(
                NOT_MICROPYTHON,
                f"MicroPython {facts['version']} loads .mpy version {facts['mpy']}, and version "
                f"{_MPY_VERSION} is needed: put a newer MicroPython on the board",
            )


# copy: Files to write. leftovers: paths below the staging folder to remove first. unwanted: paths
# of ours that go with the commit. missing: Files that are not in place yet.
Plan = namedtuple("Plan", "copy leftovers unwanted missing")


def take_inventory(session):
    inventory = Inventory(session.run(programs.INVENTORY))
    inventory.require_micropython()
    return inventory


def feed_watchdog(session, inventory):
    """Feed the watchdog that the settings on the board have started."""
    try:
        timeout_s = json.loads(inventory.settings or b"{}").get("watchdog_s")
    except (ValueError, AttributeError):
        return
    if isinstance(timeout_s, int) and 0 < timeout_s <= _LONGEST_WATCHDOG_S:
        session.run(programs.feed_watchdog(timeout_s))


def plan(inventory, wanted):
    """What makes a board have exactly the `wanted` Files."""
    installed, staged = inventory.installed, inventory.staged
    paths = {file.path for file in wanted}
    missing = [file for file in wanted if installed.get(file.path) != file.sha256]
    unwanted = [
        "/" + path
        for path in sorted(installed)
        if path.startswith(_PACKAGE) and path.endswith((".mpy", ".py")) and path not in paths
    ]
    if missing or unwanted:
        # main.py is away while the rest is moved into place, so it comes along in any case.
        missing += [f for f in wanted if f.path == "main.py" and f not in missing]
    copy = [file for file in missing if staged.get(file.path) != file.sha256]
    good = {file.path for file in missing} - {file.path for file in copy}
    leftovers = ["/" + _STAGING + path for path in sorted(staged) if path not in good]
    return Plan(copy, leftovers, unwanted, missing)


def conflict(inventory, wanted):
    """Why a wanted file cannot be written, or None: it is a folder, or a file is above it."""
    for file in wanted:
        for path in (file.path, _STAGING + file.path):
            if path in inventory.folders:
                return f"/{path} is a folder, where a file must go: remove it from the board"
            parts = path.split("/")
            for i in range(1, len(parts)):
                above = "/".join(parts[:i])
                if above in inventory.files:
                    return f"/{above} is a file, where a folder must go: remove it from the board"
    return None


def room_fault(inventory, copy):
    """Why the files to copy do not fit, or None.

    A file takes whole blocks, if it is not so small that it lies in its folder's; a folder two.
    """
    block = inventory.facts["block"]
    folders = {file.path.rpartition("/")[0] for file in copy}
    blocks = sum(-(-len(file.data) // block) for file in copy if len(file.data) > block // 8)
    needed = (blocks + 2 * len(folders) + 2) * block
    free = inventory.facts["free"]
    if needed <= free:
        return None
    return f"{free >> 10} KiB are free on the board, {needed >> 10} KiB are needed"
