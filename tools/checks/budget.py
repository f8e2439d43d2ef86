"""Measure the heap that each role takes and compare it with boards/budget.toml.

    python -m msgin5g_tools.checks.budget [ROLE...]

For each role: the idle heap and the smallest heap in which the role does its work, from .mpy files
and from a ROMFS image, on the 64-bit Unix port (msgin5g_tools.bench.heap). The exit status is 1
when a figure is above its limit.
"""

import sys

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.heap import SHARE_OF_32_BIT, idle_heap, smallest_heap
from msgin5g_tools.build.modules import ROLES
from msgin5g_tools.build.mpy import BuildError, build_firmware
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.paths import ROOT

BUDGET = ROOT / "boards" / "budget.toml"


def measure(role):
    """{name of a limit: bytes} of one role."""
    mpy, romfs = build_firmware(), build_romfs(role)
    return {
        "mpy_idle": idle_heap(role, mpy),
        "mpy_smallest": smallest_heap(role, mpy),
        "romfs_idle": idle_heap(role, romfs),
        "romfs_smallest": smallest_heap(role, romfs),
    }


def limits():
    """{role: {name of a limit: bytes}} of boards/budget.toml."""
    return tomllib.loads(BUDGET.read_text())


def excesses(role, figures, budget):
    """What is above its limit, a line each. budget: the limits of the role."""
    for name, value in figures.items():
        if name not in budget:
            yield f"{BUDGET.name}: [{role}] {name} is missing; it is {value}"
        elif value > budget[name]:
            above = value - budget[name]
            yield f"{role}: {name} is {value} bytes, {above} above its limit of {budget[name]}"


def shown(role, figures):
    """A line for a person: the figures in KB, and the estimate for a 32-bit board."""
    words = []
    for name, value in figures.items():
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
        for role in wanted:
            figures = measure(role)
            print(shown(role, figures), flush=True)
            lines.extend(excesses(role, figures, budget.get(role, {})))
    except (BenchError, BuildError) as error:
        sys.exit(f"budget: {error}")
    for line in lines:
        print(line)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
