"""Run by MicroPython, not by CPython: a UE that takes a large document in its own heap.

    micropython -m block_heap FIRMWARE WHAT SIZE LOSS_PERCENT BLOCK_SIZE

WHAT is `role`, the ConstrainedUe alone with a store in RAM; or a directory, with whose
settings.json `main` does all that it does on a board, its loop apart. The network is played here.
The collection has SIZE bytes, nearly all of them in the document of another UE; its blocks are
made when they are asked for, so that nobody else holds it. The line says what came first of it,
then how many ms it took in virtual time, and the heap in use and free.
"""

import gc
import sys


class Source:
    """A body of SIZE bytes that is generated on request, so that it takes no heap."""

    def __init__(self, ue_id, size):
        data = b'{"MSGin5G-Server-address":"coap://m.example","MSGin5G-UE-Service-id":"user-7"}'
        own = b"\xa3\x6dueConfigDocId\x61d" + b"\x68valUeIds\xa1\x64uris\x81\x78"
        own += bytes((len(ue_id),)) + ue_id + b"\x69ueConfigs\x81\xa2\x6aconfigType\x6aON_NETWORK"
        self.tail = own + b"\x6aconfigData\x78" + bytes((len(data),)) + data
        self.head = b"\x82\xa2\x68valUeIds\xa1\x64uris\x81\x65urn:x\x6aconfigName\x79"
        self.size = size
        filler = size - len(self.head) - 2 - len(self.tail)
        self.head += bytes((filler >> 8, filler & 255))

    def part(self, start, size):
        """The bytes from `start`, at most `size` of them."""
        part = bytearray(min(size, self.size - start))
        for i in range(len(part)):
            at = start + i
            if at < len(self.head):
                part[i] = self.head[at]
            elif at >= self.size - len(self.tail):
                part[i] = self.tail[at - self.size + len(self.tail)]
            else:
                part[i] = 97 + at % 26
        return part


def reply(request, source, recipient):
    """The response to a GET: the block that it requests."""
    from msgin5g.coap.message import Message, encode, uint_bytes

    message = Message(24).decode(request)
    block = message.uint(23, 6)
    size = 16 << (block & 7)
    start = (block >> 4) * size
    options = [(4, b"12345678"), (12, b"\xfd\xe9"), (14, b"\x0e\x10")]
    if source.size > size:
        more = 8 if start + size < source.size else 0
        options.append((23, uint_bytes(block & ~8 | more)))
        if not start:
            options.append((28, uint_bytes(source.size)))
    options.append((65020, recipient))
    out = bytearray(size + 128)
    payload = source.part(start, size)
    size = encode(out, 2, 0x45, message.mid, message.token(), options, payload)
    return memoryview(out)[:size]  # no copy: the network takes its heap from the UE's


class FakeConfiguration:
    """A store in RAM."""

    etag = b""
    configuration = None

    def offer(self, texts, etag, now):
        self.etag = etag
        self.configuration = texts[0]
        return "applied", ()

    def step(self, now):
        return None

    wait_ms = step


def play(role, links=None, ticks_ms=None, tell=None, trace=None, limit_ms=None):
    """In place of event_loop.run: until the first outcome, in virtual time."""
    recipient = b"urn:x-msgin5g:ue:0007"
    source = Source(recipient, int(sys.argv[3]))
    loss = int(sys.argv[4])
    now = start = ticks_ms() if ticks_ms else 0
    seed = 4711
    outcome = answer = None
    while outcome is None:
        role.step(now)
        out = role.transmit(now)
        if out is not None:
            seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
            # Lost on the way there, or on the way back.
            if (seed >> 8) % 10000 >= 200 * loss - loss * loss:
                answer = reply(out[1], source, recipient)
                now += 30
                role.receive(out[0], answer, out[2], now)
        event = role.poll()
        if event is not None and event["event"] != "backing_off":
            outcome = event
        elif out is None:
            now += max(role.wait_ms(now) or 1, 1)
        if now - start > 36000000:
            outcome = {"event": "nothing"}
    del answer, out
    gc.collect()
    print(outcome["event"], now - start, gc.mem_alloc(), gc.mem_free(), outcome.get("reasons"))


def alone():
    """The role with the settings' defaults."""
    from msgin5g.ue import ConstrainedUe

    class settings:
        pass

    settings.ue_id = "urn:x-msgin5g:ue:0007"
    settings.server_recipient = "coap://scm.example"
    settings.server_host = settings.server_path_prefix = None
    settings.service_id = "msgin5g"
    settings.ue_vendor = settings.ue_type = settings.ue_snr = None
    settings.parameters = settings.peer_key = None
    settings.report_refused = False
    settings.recipient_option = 65020
    settings.content_format = 65001
    settings.observe = False
    settings.require_recipient = True
    settings.start_delay_s = 0
    settings.block_size = int(sys.argv[5])
    settings.max_document_size = 32768
    settings.refresh_min_s = 60
    settings.refresh_max_s = 86400
    settings.retry_first_s = 5
    settings.retry_max_s = 3600
    settings.retry_jitter_percent = 50
    settings.probing_rate = 8
    state = [7]

    def random():
        state[0] = (state[0] * 1103515245 + 12345) & 0x3FFFFFFF
        return (state[0] >> 8) & 255

    return ConstrainedUe(settings, random, FakeConfiguration(), 1, 0)


gc.threshold(1024)  # as main does while it loads
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "role":
    ue = alone()
    # As the MicroPython documentation advises: what lives a little longer would lie scattered
    # over the whole heap, were it only collected when that is full.
    gc.threshold(gc.mem_free() // 4)
    play(ue)
else:
    __import__("msgin5g.port.event_loop").port.event_loop.run = play
    __import__("msgin5g.main").main.main(sys.argv[2] + "/settings.json", sys.argv[2])
