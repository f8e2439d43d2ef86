"""How much heap a gateway takes for the keys of its UEs: run by MicroPython.

micropython -X heapsize=512K oscore_gateway_heap.py FIRMWARE_DIR N_UES

The last line: bytes a UE with a key; the same when each UE has asked and its window is in use.
"""

import gc
import sys

sys.path[:] = [sys.argv[1]]

from msgin5g.oscore.context import SecurityContext  # noqa: E402
from msgin5g.oscore.server import ServerSecurity  # noqa: E402

N = int(sys.argv[2])


def in_use():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def main():
    security = ServerSecurity(65020)
    echo = b"12345678"
    before = in_use()
    for n in range(N):
        kid = n.to_bytes(4, "big")
        context = SecurityContext(bytes((n,)) * 16, b"\x02", kid, None)
        context.peer = b"urn:x-msgin5g:ue:%04d" % n
        context.echo = echo
        security.contexts[kid] = context
    made = in_use()
    for context in security.contexts.values():
        context.echo = None
        context.window.start(1 << 38)
        context.window.came((1 << 38) + 5)
    print("key", (made - before) // N, "used", (in_use() - before) // N)


main()
