"""Heap that modules take when they are loaded from .mpy files.

micropython -X heapsize=192K imports.py FIRMWARE_DIR MODULE...
"""

from measure import arguments, heap_in_use, tell

names = arguments()
before = heap_in_use()
for name in names:
    __import__(name)
tell({"heap": heap_in_use() - before})
