"""Run by MicroPython, not by CPython: the heap of a role that is configured and idle.

    micropython heap_rig.py FIRMWARE DIRECTORY

`main` does all that it does on a board with DIRECTORY/settings.json; only the loop is played
here, and the network: a request of a UE gets the options and payload in DIRECTORY/answer. A line
with one number says how many bytes are in use above the bare interpreter.
"""

import gc
import sys


def play(role, links, ticks_ms, tell, trace=None, limit_ms=None):
    """In place of port.loop.run: until the role has nothing more to ask."""
    with open(sys.argv[2] + "/answer", "rb") as file:
        answer = file.read()
    while True:
        role.step(ticks_ms())
        out = role.transmit(ticks_ms())
        if out is not None:
            head = out[1]
            end = 4 + (head[0] & 15)
            reply = bytes([0x60 | head[0] & 15, 0x45]) + head[2:end] + answer
            role.receive(out[0], reply, out[2], ticks_ms())
        event = role.poll()
        if event is not None:
            tell(event)
        wait_ms = role.wait_ms(ticks_ms())
        if out is None and event is None and (wait_ms is None or wait_ms > 30000):
            break
    del answer, out, event
    gc.collect()
    print(gc.mem_alloc() - bare)


sys.path.insert(0, sys.argv[1])
gc.collect()
bare = gc.mem_alloc()
__import__("msgin5g.port.loop").port.loop.run = play
__import__("msgin5g.main").main.main(sys.argv[2] + "/settings.json", sys.argv[2])
