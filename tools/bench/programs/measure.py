"""What the programs of `msgin5g bench` share. They run on MicroPython:

    micropython -X heapsize=... NAME.py FIRMWARE_DIR [ARGUMENT...]

The last line that a program prints is one JSON object.
"""

import gc
import json
import sys
import time

# As main does while it imports modules, so that garbage does not fragment the heap.
gc.threshold(1024)
sys.path[:] = [sys.path[0], sys.argv[1]] + [p for p in sys.path if p.startswith(".")]


def arguments():
    """What comes after the directory of the firmware. All modules are loaded by now."""
    gc.collect()
    gc.threshold(-1)
    return sys.argv[2:]


def tell(values):
    """Print one JSON object, the output of a program."""
    print(json.dumps(values))
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


def heap_in_use():
    """Bytes in use after a collection."""
    gc.collect()
    return gc.mem_alloc()


def allocated(function, n=50):
    """Bytes that one of n allocates; `function(n)` does something n times."""
    function(1)  # what only the first one allocates is not of the operation
    gc.collect()
    gc.disable()
    start = gc.mem_alloc()
    function(0)
    call = gc.mem_alloc() - start
    start = gc.mem_alloc()
    function(n)
    total = gc.mem_alloc() - start - call
    gc.enable()
    return total // n


def unit(n, buf):
    """What time is measured in, n times over."""
    for _ in range(n):
        for i in range(100):
            buf[i & 63]


def microseconds(function, n):
    """Microseconds that one of n takes."""
    start = time.ticks_us()
    function(n)
    return time.ticks_diff(time.ticks_us(), start) / n
