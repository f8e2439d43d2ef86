"""Block2: a body that comes in blocks (RFC 7959). A server cuts it with `responder.cut`.

A Block2 value is NUM << 4 | M << 3 | SZX; a block of exponent SZX has 2 ** (SZX + 4) bytes.
"""

from micropython import const

from msgin5g.coap.numbers import BLOCK2, ETAG, SIZE2

MORE = const(0)  # ask for `next_block`
COMPLETE = const(1)  # that was the last block
CHANGED = const(2)  # the representation is another one now: start again

_MAX_SZX = const(6)  # 7 is reserved (RFC 7959 section 2.2)


class BlockError(Exception):
    """A block-wise transfer that cannot go on."""


def szx_of(size):
    """The largest SZX whose block has at most `size` bytes: 16 gives 0, 1024 and more give 6."""
    szx = 0
    while szx < _MAX_SZX and size >> (szx + 5):
        szx += 1
    return szx


class Block2Receiver:
    """The client's rules of RFC 7959 section 2.4 for one representation; keeps no body.

    szx: the block size to ask for; the server may go to smaller blocks at any time, because the
    place of a block is its offset. size: bytes received. etag: that of the representation.
    """

    def __init__(self, szx):
        self.szx = szx
        self.size = 0
        self.etag = None

    def next_block(self):
        """The Block2 value to ask with; None when a first request needs none."""
        if not self.size and self.szx == _MAX_SZX:
            return None
        return (self.size >> (self.szx + 4)) << 4 | self.szx

    def take(self, message):
        """Take the block in a 2.05 response: MORE, COMPLETE or CHANGED.

        BlockError when the server breaks the rules.
        """
        size = message.size - message.payload_start
        block = message.uint(BLOCK2)
        etag = message.option(ETAG)
        if etag is not None and not 0 < len(etag) < 9:
            etag = None  # RFC 7252 section 5.4.3: treated as if it were absent
        if self.size:
            if block is None or etag != self.etag:
                return CHANGED
        else:
            self.etag = etag
        more = 0
        if block is not None:
            szx = block & 7
            more = block & 8
            if szx > self.szx:  # also true for the reserved 7
                raise BlockError("block size")
            if (block >> 4) << (szx + 4) != self.size:
                raise BlockError("wrong block")
            if size > 16 << szx or (more and size != 16 << szx):
                raise BlockError("block size")
            self.szx = szx
        self.size += size
        return MORE if more else COMPLETE


class Block2Body(Block2Receiver):
    """A Block2Receiver that keeps the `body`, of at most max_size bytes.

    A body that comes in one message stays in its datagram: `body` is a view of that.
    """

    def __init__(self, szx, max_size):
        super().__init__(szx)
        self.max_size = max_size
        self.body = bytearray()

    def take(self, message):
        """As Block2Receiver.take; BlockError also when the body is larger than allowed."""
        start = self.size
        progress = Block2Receiver.take(self, message)
        if progress == CHANGED:
            return progress
        needed = end = self.size
        if not start:
            needed = max(end, message.uint(SIZE2, 0))
        if needed > self.max_size:
            raise BlockError(
                "too large: " + str(needed) + " bytes, the limit is " + str(self.max_size)
            )
        payload = memoryview(message.view)[message.payload_start : message.size]
        if not start:
            if progress == COMPLETE:
                self.body = payload
                return progress
            # All of it in one piece, if possible. RFC 7959 section 4: Size2 is only an estimate.
            self.body = bytearray(needed)
        n = len(self.body) - start
        if n < len(payload):
            self.body.extend(payload[n:])
            payload = payload[:n]
        # Through a view: a store into the bytearray itself moves all that lies behind.
        memoryview(self.body)[start : start + len(payload)] = payload
        if progress == COMPLETE and end < len(self.body):
            self.body[end:] = b""
        return progress
