"""Run by MicroPython: the heap of a role that is idle when heap.py interrupts it.

    micropython idle_heap.py FIRMWARE DIRECTORY

FIRMWARE is a folder of modules, or a ROMFS image, which is mounted and does not count. `main` runs
with DIRECTORY/settings.json as on a board. When it is interrupted, its node stays loaded, as it
does for a person at the REPL. Then this program prints the bytes in use before `main`, by the
interpreter, this program and the image; the bytes in use above that; and the modules of the
package that are loaded.

Each name takes heap, so this program has next to none of its own.
"""

import gc
import sys

if sys.argv[1].endswith(".romfs"):
    import vfs

    with open(sys.argv[1], "rb") as file:
        vfs.mount(vfs.VfsRom(file.read()), "/rom")
    del file, vfs
    sys.argv[1] = "/rom"
sys.path.insert(0, sys.argv[1])
gc.collect()
bare = gc.mem_alloc()
__import__("msgin5g.main").main.main(sys.argv[2] + "/settings.json", sys.argv[2])
gc.collect()
print("heap", bare, gc.mem_alloc() - bare)
print("modules", *[name for name in sys.modules if name.startswith("msgin5g")])
