"""Where the heap of a role goes: each loaded module, and the objects on top.

python -m msgin5g_tools.bench.modules [ROLE]      a table in Markdown
"""

import sys

from msgin5g_tools.bench.heap import idle_heap, loaded_modules
from msgin5g_tools.bench.interpreter import Interpreter
from msgin5g_tools.build.modules import ROLES
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.build.romfs import build_romfs


def module_heap(role):
    """(bytes in all when idle, [(module, bytes when it is loaded from .mpy)]), largest first."""
    firmware = build_firmware()
    names = loaded_modules(role, firmware)
    found = Interpreter(firmware).run("imports", "512K", *names)["modules"]
    return idle_heap(role, firmware), sorted(map(tuple, found), key=lambda row: -row[1])


def table(role):
    """The table, as lines of Markdown."""
    idle, modules = module_heap(role)
    loaded = sum(size for _, size in modules)
    yield f"| {role}, from .mpy | bytes of heap |"
    yield "|---|---:|"
    for name, size in modules:
        yield f"| {name} | {size:,} |"
    yield f"| all modules | {loaded:,} |"
    yield f"| objects | {idle - loaded:,} |"
    yield f"| idle | {idle:,} |"
    yield f"| idle, from ROMFS | {idle_heap(role, build_romfs(role)):,} |"


def main():
    role = sys.argv[1] if len(sys.argv) > 1 else "ue"
    if role not in ROLES:
        sys.exit(__doc__)
    print("\n".join(table(role)))


if __name__ == "__main__":
    main()
