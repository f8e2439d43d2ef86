"""Heap that modules take when they are loaded, one after the other.

    micropython -X heapsize=192K imports.py FIRMWARE_DIR MODULE...

The last line is one JSON object: `heap`, of all; `modules`, a list of (name, bytes) without the
names in them; `names`, the bytes of the interpreter's table of names, which all modules share.
"""

import sys

from measure import arguments, heap_in_use, tell


def load(names, figures):
    before = heap_in_use()
    for i in range(len(names)):
        __import__(names[i])
        after = heap_in_use()
        figures[i] = after - before
        before = after


names = arguments()
loaded_before = list(sys.modules)
figures = [0] * len(names)
first = heap_in_use()
load(names, figures)
heap = heap_in_use() - first
# Names stay in the table for good: loaded again, a module takes only what is its own.
for name in list(sys.modules):
    if name not in loaded_before:
        del sys.modules[name]
first = heap_in_use()
load(names, figures)
own = heap_in_use() - first
tell({"heap": heap, "names": heap - own, "modules": list(zip(names, figures))})
