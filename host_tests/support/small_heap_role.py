"""A role in a heap that is nearly full, for host/test_fuzz.py: the host is its network and clock.

    micropython -X heapsize=192K small_heap_role.py PATHS SETTINGS DIRECTORY FREE REMOTES

PATHS and REMOTES are JSON: folders of modules, and [host, port] of each peer. The node is built as
main does it. Then the heap is filled, but for FREE bytes. From then on this program takes its own
memory from nothing: it reads records from stdin and writes records to stdout.

    in    operation, transport, number of the peer, ms to pass (4 bytes), size (2 bytes), datagram
    out   "D", transport, number of the peer, size (2 bytes), datagram      what the node sends
          "E" and 4 bytes: the number of the event in EVENTS                what the node reports
          "." and 4 bytes: ms until the node has something to do            the end of the record

Operations: "D" a datagram has come, "T" time has passed, "C" print the counters and end.
"""

import json
import sys


def main():
    paths, settings, directory, free, remotes = sys.argv[1:]
    sys.path[:0] = json.loads(paths)
    from full_heap import Ballast
    from small_heap_events import EVENTS
    from msgin5g.builder import Builder
    from msgin5g.coap.ticks import add
    from msgin5g.port.resolver import resolve
    from msgin5g.port.system import ticks_ms
    from msgin5g.settings import load

    remotes = [resolve(host, port) for host, port in json.loads(remotes)]
    node = Builder(load(settings), directory).build()
    now = ticks_ms()
    head = bytearray(9)
    out = bytearray(5)
    buf = bytearray(2048)
    view = memoryview(buf)
    read = sys.stdin.buffer.readinto
    write = sys.stdout.buffer.write
    ballast = Ballast(int(free))
    while True:
        read(head)
        operation = head[0]
        if operation == 0x43:
            break
        now = add(now, head[3] << 24 | head[4] << 16 | head[5] << 8 | head[6])
        size = head[7] << 8 | head[8]
        if size:
            read(buf, size)
        if operation == 0x44:
            datagram = None
            try:
                datagram = bytes(view[:size])
            except MemoryError:
                pass  # as a transport drops it
            if datagram is not None:
                node.receive(head[1], datagram, remotes[head[2]], now)
            datagram = None
        node.step(now)
        while True:
            sent = node.transmit(now)
            if sent is None:
                break
            out[0] = 0x44
            out[1] = sent[0]
            out[2] = remotes.index(sent[2])
            out[3] = len(sent[1]) >> 8
            out[4] = len(sent[1]) & 255
            write(out)
            write(sent[1])
        while True:
            event = node.poll()
            if event is None:
                break
            name = event["event"]
            number(out, 0x45, EVENTS.index(name) if name in EVENTS else 0)
            write(out)
        wait = node.wait_ms(now)
        number(out, 0x2E, 0xFFFFFF if wait is None else min(wait, 0xFFFFFF))
        write(out)
    ballast.release()
    print(json.dumps(node.role.counters))


def number(out, kind, n):
    out[0] = kind
    out[1] = n >> 24 & 255
    out[2] = n >> 16 & 255
    out[3] = n >> 8 & 255
    out[4] = n & 255


main()
