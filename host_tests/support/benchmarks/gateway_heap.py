"""How much heap a gateway takes for its UEs: run by MicroPython, without a network.

micropython -X heapsize=192K gateway_heap.py FIRMWARE_DIR N_UES DOCUMENT_SIZE

Every UE asks; the answers of the server are made block by block and never held; every UE
acknowledges its own. The last line: bytes a link, bytes a waiting UE, answers, bulk requests.
"""

import gc
import sys

here = __file__.rpartition("/")[0]
sys.path[:] = [sys.argv[1], here + "/..", here + "/../../testkit"]

from msgin5g_testkit.checks import xorshift  # noqa: E402
from msgin5g.coap.message import Message, encode, uint_bytes  # noqa: E402
from msgin5g.coap.retransmission import Parameters  # noqa: E402
from msgin5g.gateway.gateway import Gateway  # noqa: E402
from msgin5g.gateway.scm_local import LocalScmClient  # noqa: E402
from msgin5g.scm.request import ScmRequest  # noqa: E402
from default_settings import DefaultSettings  # noqa: E402

SERVER = b"the server's one"
N = int(sys.argv[2])
DATA_SIZE = int(sys.argv[3])


def in_use():
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0


def name(n):
    return b"urn:x-msgin5g:ue:%04d" % n


def address(n):
    return b"%016d" % n  # as long as an address of the Unix port


buf = bytearray(1152)
settings = DefaultSettings(
    {"role": "gateway", "ue_id": "urn:x-msgin5g:gateway:1", "max_links": N, "max_waiting": N,
     "bulk_count": 1000}
)  # fmt: skip
if len(sys.argv) > 4:
    import json

    settings.update(json.loads(sys.argv[4]))
settings.parameters = Parameters(nstart=16)
gateway = Gateway(settings, xorshift(3), 0)
gateway.connect(LocalScmClient(settings, gateway.endpoint, 0, SERVER))
if hasattr(gc, "threshold"):
    gc.threshold(gc.mem_free() // 4)  # as msgin5g.main does
message = Message(64)


def request(n):
    resource = ScmRequest("msgin5g", [name(n)], b"coap://scm.example")
    return bytes(buf[: encode(buf, 0, 1, n, b"t%03d" % n, resource.options())])


def document(ue_id):
    data = b"\x7a\x00\x00" + bytes((DATA_SIZE >> 8, DATA_SIZE & 255)) + DATA_SIZE * b"x"
    return (
        b"\xa3\x6dueConfigDocId\x64" + ue_id[-4:] + b"\x68valUeIds\xa1\x64uris\x81\x75" + ue_id
        + b"\x69ueConfigs\x81\xa2\x6aconfigType\x6aON_NETWORK\x6aconfigData" + data
    )  # fmt: skip


def block_of(ids, number, size):
    """(bytes, whether more come) of the array of the documents of these UEs."""
    part = bytearray()
    i = -number * size
    head = bytes((0x98, len(ids))) if len(ids) > 23 else bytes((0x80 | len(ids),))
    for n in range(-1, len(ids)):
        piece = head if n < 0 else document(ids[n])
        if i < size and i + len(piece) > 0:
            part.extend(piece[max(-i, 0) : size - i])
        i += len(piece)
    return part, i > size


def main():
    before = in_use()
    for n in range(N):
        gateway.link_up(name(n), 0, address(n))
    linked = in_use()
    for n in range(N):
        gateway.receive(0, request(n), address(n), 0)
        while gateway.endpoint.outbox:
            gateway.endpoint.outbox.pop()
    waiting = in_use()
    answered = set()
    n_bulks = 0
    peak = 0
    now = 3000
    while len(answered) < N and now < 60000:
        gateway.step(now)
        out = gateway.transmit(now)
        if out is None:
            now += 10
            continue
        _, datagram, remote = out
        message.decode(datagram)
        if remote == SERVER:
            values = [
                message.value(i) for i in range(message.n_options) if message.numbers[i] == 15
            ]
            ids = [value[7:] for value in values if value.startswith(b"ue-uri=")]
            block = message.uint(23, 6)
            n_bulks += block >> 4 == 0
            body, more = block_of(ids, block >> 4, 1024)
            options = [(4, b"etag"), (12, b"\xfd\xe9"), (23, uint_bytes(block | 8 * more))]
            mid, token = message.mid, message.token()
            del datagram, out
            size = encode(buf, 2, 0x45, mid, token, options, body)
            gateway.receive(0, bytes(buf[:size]), SERVER, now)
        elif message.code:
            n = int(remote)
            assert message.code == 0x45 and message.option(65020) == name(n), message.code
            answered.add(n)
            ack = bytes((0x60, 0, message.mid >> 8, message.mid & 255))
            gateway.receive(0, ack, remote, now)
        if gateway.n_waiting % 10 == 0:
            used = in_use()
            if used > peak:
                peak = used
                at = (gateway.n_waiting, len(gateway.transfers.under_way),
                      gateway.pending_requests.held_size, len(gateway.responder.unacknowledged),
                      len(gateway.cache), len(gateway.responder.ready))  # fmt: skip
    left = in_use()
    print(
        "link", (linked - before) // N, "waiting", (waiting - linked) // N, "answers",
        len(answered), "bulks", n_bulks, "before", before, "peak", peak, "after", left - linked,
        gateway.counters, at,
    )  # fmt: skip


main()
