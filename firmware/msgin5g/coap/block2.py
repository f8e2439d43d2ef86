"""A body that arrives block by block: the Block2 side of a client (RFC 7959 section 2.4)."""

from micropython import const

from msgin5g.coap.errors import BlockError
from msgin5g.coap.numbers import BLOCK2, ETAG, SIZE2

MORE = const(0)  # ask for `next_block`
WHOLE = const(1)  # `body` is complete
CHANGED = const(2)  # the document is another one now: begin anew


def size_exponent(size):
    """SZX of a block size: 16 is 0, 1024 is 6; sizes between are rounded down."""
    szx = 0
    while szx < 6 and size >> (szx + 5):
        szx += 1
    return szx


class Assembly:
    """Joins the blocks of one representation, at most max_size bytes of them.

    The place of a block is its offset, so that the server may go to smaller blocks at any time.
    """

    def __init__(self, szx, max_size):
        self.szx = szx
        self.max_size = max_size
        self.body = bytearray()
        self.size = 0
        self.etag = None

    def next_block(self):
        """The value of Block2 that asks for what comes next."""
        return (self.size >> (self.szx + 4)) << 4 | self.szx

    def take(self, message):
        """Take the block in a 2.05 response; MORE, WHOLE or CHANGED.

        BlockError when the server breaks the rules or the body is larger than allowed.
        """
        start = message.payload_start
        size = message.size - start
        block = message.uint(BLOCK2)
        etag = message.option(ETAG)
        if etag is not None and not 0 < len(etag) < 9:
            etag = None  # RFC 7252 section 5.4.3: as if it were not there
        if self.size and (block is None or etag != self.etag):
            return CHANGED
        more = 0
        if block is not None:
            szx = block & 7
            more = block & 8
            if szx > self.szx:  # 7, which is reserved, always is
                raise BlockError("block size")
            if (block >> 4) << (szx + 4) != self.size:
                raise BlockError("wrong block")
            if size > 16 << szx or (more and size != 16 << szx):
                raise BlockError("block size")
            self.szx = szx
        total = self.size + size
        if not self.size:
            self.etag = etag
            announced = message.uint(SIZE2, 0)
            if announced > self.max_size or total > self.max_size:
                raise self._too_large(max(announced, total))
            # One piece of memory for all of it, while there is one; RFC 7959 section 4 says
            # that Size2 is only an estimate.
            self.body = bytearray(max(announced, total))
        elif total > self.max_size:
            raise self._too_large(total)
        end = len(self.body)
        if total > end:
            self.body.extend(bytes(total - end))
        self.body[self.size : total] = memoryview(message.view)[start : message.size]
        self.size = total
        if more:
            return MORE
        self.body[total:] = b""
        return WHOLE

    def _too_large(self, size):
        return BlockError("too large: " + str(size) + " bytes, the limit is " + str(self.max_size))
