"""Run by MicroPython, not by CPython: a UE that gets one large configuration after the other.

    micropython -m configurations FIRMWARE DIRECTORY SHAPE SIZE...

FIRMWARE is a folder of .mpy files or a ROMFS image. `main` does all that it does on a board with
DIRECTORY/settings.json, its loop apart; the network is played here. Each configuration has SIZE
bytes: its SHAPE is `one`, a single long value; `lines`, a long value of lines with escapes between
them; or `many`, keys with values of 40 bytes. Its blocks are made when they are asked for, so that
nobody else holds it. Prints the bytes in use before the first request, the interpreter, this
program and a ROMFS image among them; then what became of each configuration.
"""

import gc
import sys

START = b'{"MSGin5G-Server-address":"coap://m.example","MSGin5G-UE-Service-id":"user-7"'
LINE = 66  # characters of a line, with its \n
ENTRY = 53  # bytes of a key with its value


class Source:
    """A body with a configuration, generated on request, so that it takes no heap."""

    def __init__(self, ue_id, shape, size, version):
        self.head = b"\x81\xa3\x6dueConfigDocId\x61d" + b"\x68valUeIds\xa1\x64uris\x81\x78"
        self.head += bytes((len(ue_id),)) + ue_id + b"\x69ueConfigs\x81\xa2"
        self.head += b"\x6aconfigType\x6aON_NETWORK\x6aconfigData\x79"
        self.head += bytes((size >> 8, size & 255)) + START
        self.filled = len(self.head)
        self.shape = shape
        self.letter = 97 + version
        filler = size - len(START) - 1
        if shape == "many":
            self.tail = b',"rest":"%s"}' % (b"x" * (filler % ENTRY + ENTRY - 10))
            filler -= filler % ENTRY + ENTRY
        else:
            self.head += b',"value":"'
            self.filled = len(self.head)
            filler -= 11
            self.tail = b'"}'
            if shape == "lines":
                self.tail = b"x" * (filler % LINE) + self.tail
                filler -= filler % LINE
        self.end = self.filled + filler
        self.size = self.end + len(self.tail)

    def _byte(self, i):
        if self.shape == "one":
            return self.letter
        if self.shape == "lines":
            i %= LINE
            return self.letter if i < LINE - 2 else b"\\n"[i - LINE + 2]
        entry = b',"key-%03d":"' % (i // ENTRY)
        i %= ENTRY
        if i < len(entry):
            return entry[i]
        return 0x22 if i == ENTRY - 1 else self.letter

    def part(self, start, size):
        """The bytes from `start`, at most `size` of them."""
        part = bytearray(min(size, self.size - start))
        for i in range(len(part)):
            at = start + i
            if at < self.filled:
                part[i] = self.head[at]
            elif at >= self.end:
                part[i] = self.tail[at - self.end]
            else:
                part[i] = self._byte(at - self.filled)
        return part


def reply(request, source, recipient):
    """The response to a GET: the block that it requests."""
    from msgin5g.coap.message import Message, encode, uint_bytes

    message = Message(24).decode(request)
    block = message.uint(23, 6)
    size = 16 << (block & 7)
    start = (block >> 4) * size
    options = [(4, b"etag%d" % source.letter), (12, b"\xfd\xe9"), (14, b"\x0e\x10")]
    more = 8 if start + size < source.size else 0
    options.append((23, uint_bytes(block & ~8 | more)))
    if not start:
        options.append((28, uint_bytes(source.size)))
    options.append((65020, recipient))
    out = bytearray(size + 128)
    payload = source.part(start, size)
    size = encode(out, 2, 0x45, message.mid, message.token(), options, payload)
    return memoryview(out)[:size]  # no copy: the network takes its heap from the UE's


def play(node, links=None, ticks_ms=None, emit=None, trace=None, limit_ms=None):
    """In place of event_loop.run, in virtual time."""
    recipient = b"urn:x-msgin5g:ue:0007"
    now = ticks_ms()
    found = []
    gc.collect()
    idle = gc.mem_alloc()
    for n in range(4, len(sys.argv)):
        source = Source(recipient, sys.argv[3], int(sys.argv[n]), n)
        node.ue.fetch(now)
        outcome = None
        while outcome is None:
            node.step(now)
            out = node.transmit(now)
            if out is not None:
                datagram = reply(out[1], source, recipient)
                now += 30
                node.receive(out[0], datagram, out[2], now)
                del datagram
            event = node.poll()
            if event is not None:
                emit(event)  # as on a board: it takes heap, too
                if event["event"] != "backing_off":
                    outcome = event["event"]
            elif out is None:
                now += max(node.wait_ms(now) or 1, 1)
        if outcome == "refused":
            outcome += ": " + event["reasons"][0]
        del out
        event = None
        found.append(outcome)
    print("\nidle", idle)
    print("\n".join(found))
    raise KeyboardInterrupt


if sys.argv[1].endswith(".romfs"):
    import vfs

    with open(sys.argv[1], "rb") as file:
        vfs.mount(vfs.VfsRom(file.read()), "/rom")
    del file, vfs
    sys.argv[1] = "/rom"
sys.path.insert(0, sys.argv[1])
__import__("msgin5g.port.event_loop").port.event_loop.run = play
__import__("msgin5g.main").main.main(sys.argv[2] + "/settings.json", sys.argv[2])
