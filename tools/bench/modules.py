"""Where the heap of a role goes: each loaded module, and the objects on top.

python -m msgin5g_tools.bench.modules [ROLE]      a table in Markdown
"""

import sys

from msgin5g_tools.bench.heap import idle_heap, loaded_modules
from msgin5g_tools.bench.interpreter import Interpreter
from msgin5g_tools.build.modules import ROLES, path_of
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.paths import FIRMWARE


def table(role):
    """The table, as lines of Markdown."""
    firmware = build_firmware()
    names = loaded_modules(role, firmware)
    found = Interpreter(firmware).run("imports", "512K", *names)
    idle = idle_heap(role, firmware)
    yield f"| {role}, from .mpy | bytes of heap | bytes of the file |"
    yield "|---|---:|---:|"
    for name, size in sorted(map(tuple, found["modules"]), key=lambda row: -row[1]):
        file = (firmware / path_of(name, FIRMWARE)).with_suffix(".mpy")
        yield f"| {name} | {size:,} | {file.stat().st_size:,} |"
    yield f"| the table of names | {found['names']:,} | |"
    yield f"| objects | {idle - found['heap']:,} | |"
    yield f"| idle | {idle:,} | |"
    yield f"| idle, from ROMFS | {idle_heap(role, build_romfs(role)):,} | |"


def main():
    role = sys.argv[1] if len(sys.argv) > 1 else "ue"
    if role not in ROLES:
        sys.exit(__doc__)
    print("\n".join(table(role)))


if __name__ == "__main__":
    main()
