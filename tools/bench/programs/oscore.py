"""Time, allocation and sizes of OSCORE (RFC 8613).

    micropython -X heapsize=192K oscore.py FIRMWARE_DIR ROUNDS

As in speed.py a figure is the best of all rounds.
"""

import gc

from measure import allocated, arguments, heap_in_use, microseconds, tell, unit

import frames
from msgin5g.coap.message import Message, encode, size_of
from msgin5g.coap.numbers import CONTENT, CONTENT_FORMAT, GET
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.protect import Binding, Protection
from msgin5g.oscore.sequence_store import SequenceStore


class CountedWrites:
    """A flash that counts what is written to it, and keeps it."""

    error = OSError

    def __init__(self):
        self.n_writes = 0
        self._files = {}

    def write(self, name, parts):
        self.n_writes += 1
        self._files[name] = b"".join(parts)

    def read(self, name, offset, size):
        return self._files[name][offset : offset + size]

    def same(self, name, offset, parts):
        return self.read(name, offset, 999) == b"".join(parts)


class Numbers:
    """The numbers of a context, without a flash."""

    def next(self):
        return 5


class Protected:
    """An answer with a payload of this size, protected and unprotected (RFC 8613)."""

    def __init__(self, size):
        secret = bytes(range(16))
        server = SecurityContext(secret, b"\x01", b"\x07", Numbers())
        ue = SecurityContext(secret, b"\x07", b"\x01", Numbers())
        self._protection = Protection(frames.RECIPIENT)
        self._at_server = Binding(server, b"\x07", b"\x05", False)
        self._at_ue = Binding(ue, b"\x07", b"\x05", False)
        self._options = [(CONTENT_FORMAT, b"\xfd\xe9")]
        self._payload = bytes(size)
        code, options, sealed = self._protection.protect_response(
            self._at_server, CONTENT, self._options, self._payload
        )
        self._datagram = bytearray(size_of(b"1234", options, sealed))
        encode(self._datagram, 2, code, 1, b"1234", options, sealed)
        self._message = Message(32)

    def protect(self, n):
        for _ in range(n):
            self._protection.protect_response(
                self._at_server, CONTENT, self._options, self._payload
            )

    def decode(self, n):
        for _ in range(n):
            self._message.decode(self._datagram)

    def decode_and_unprotect(self, n):
        for _ in range(n):
            self._message.decode(self._datagram)
            self._protection.unprotect_response(self._at_ue, self._message)


def oscore_sizes():
    """Heap of a context, and the bytes that protection adds to a request and to its answer."""
    start = heap_in_use()
    context = SecurityContext(bytes(16), b"\x07", b"\x01", Numbers())
    heap = heap_in_use() - start
    protection = Protection(frames.RECIPIENT)
    _, options, sealed, binding = protection.protect_request(
        context, GET, frames.options_of(frames.REQUEST), b""
    )
    added = [size_of(b"1234", options, sealed) - len(frames.REQUEST)]
    answer = frames.answer(0, frames.REQUEST, frames.body(0))
    _, options, sealed = protection.protect_response(
        binding, CONTENT, frames.options_of(answer), Message(32).decode(answer).payload()
    )
    added.append(size_of(b"1234", options, sealed) - len(answer))
    return {"context_heap_bytes": heap, "added_bytes": added}


def number_writes():
    """Writes to the flash in a start and 64 messages, and in the next 64."""
    flash = CountedWrites()
    SequenceStore(flash, bytes(16), b"board").create()
    flash.n_writes = 0
    store = SequenceStore(flash, bytes(16), b"board")
    assert store.load(lambda: 7)
    found = []
    for _ in range(2):
        for _ in range(64):
            store.next()
        found.append(flash.n_writes)
        flash.n_writes = 0
    return {"number_writes": found}


def contexts(n):
    """Make a SecurityContext."""
    for _ in range(n):
        SecurityContext(bytes(16), b"\x07", b"\x01", None)


def main():
    rounds = int(arguments()[0])
    sizes = oscore_sizes()
    sizes.update(number_writes())
    paths = [("context", contexts, 4)]
    for name, size, n in (("", 100, 30), ("_1k", 1024, 8)):
        protected = Protected(size)
        paths.append(("protect" + name, protected.protect, n))
        paths.append(("decode_and_unprotect" + name, protected.decode_and_unprotect, n))
        paths.append(("decode" + name, protected.decode, n))
    alloc = {name: allocated(function, 10) for name, function, _ in paths}
    best = {}
    for _ in range(rounds):
        for name, function, n in paths:
            for key, measured, times in (
                ("unit", lambda n: unit(n, frames.REQUEST), 50),
                (name, function, n),
            ):
                us = microseconds(measured, times)
                best[key] = min(us, best.get(key, us))
    for name in ("", "_1k"):
        # A message that is unprotected is not protected any more: it must be decoded each time.
        for values in (best, alloc):
            whole = values["decode_and_unprotect" + name]
            values["unprotect" + name] = whole - values.pop("decode" + name)
    # As the others, the best of many: the machine may have other things to do.
    best["collection"] = min([microseconds(lambda _: gc.collect(), 1) for _ in range(rounds)])
    gc.collect()
    sizes.update(us=best, alloc_bytes=alloc, moved_bytes={}, free_bytes=gc.mem_free())
    tell(sizes)


main()
