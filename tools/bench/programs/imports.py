"""Heap that modules take when they are loaded, one after the other.

    micropython -X heapsize=192K imports.py FIRMWARE_DIR MODULE...

The last line is one JSON object: `heap`, of all, and `modules`, a list of (name, bytes).
"""

from measure import arguments, heap_in_use, tell

names = arguments()
figures = [0] * len(names)
first = before = heap_in_use()
for i in range(len(names)):
    __import__(names[i])
    after = heap_in_use()
    figures[i] = after - before
    before = after
tell({"heap": before - first, "modules": list(zip(names, figures))})
