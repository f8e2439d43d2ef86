"""Blocks at their edges: sizes, the last block, what does not fit (RFC 7959 section 2)."""

from msgin5g_testkit.checks import raises
from heap_in_pieces import HeapInPieces
from msgin5g.coap.block2 import (
    CHANGED,
    COMPLETE,
    MORE,
    Block2Body,
    Block2Receiver,
    BlockError,
    szx_of,
)
from msgin5g.coap.message import Message, encode, uint_bytes
from msgin5g.coap.responder import cut

BODY = bytes([n & 255 for n in range(100)])


def part(payload, block2=None, etag=b"e", size2=None):
    """A 2.05 response as Message."""
    options = [] if etag is None else [(4, etag)]
    if block2 is not None:
        options.append((23, uint_bytes(block2)))
    if size2 is not None:
        options.append((28, uint_bytes(size2)))
    buf = bytearray(1152)
    return Message(8).decode(bytes(buf[: encode(buf, 2, 69, 1, b"t", options, payload)]))


def test_the_exponent_of_a_size_is_that_of_the_largest_block_that_is_not_larger():
    for size, szx in (
        (1, 0),
        (16, 0),
        (31, 0),
        (32, 1),
        (63, 1),
        (64, 2),
        (511, 4),
        (512, 5),
        (1023, 5),
        (1024, 6),
        (2047, 6),
        (2048, 6),
        (100000, 6),
    ):
        assert szx_of(size) == szx, size


def test_a_body_is_cut_at_each_place_that_a_request_can_ask_for():
    # (Block2 of the request, size of the body, largest exponent, result)
    for block2, size, max_szx, expected in (
        (None, 0, 6, (0, 0, None)),
        (None, 1024, 6, (0, 1024, None)),
        (None, 1025, 6, (0, 1024, 0x0E)),
        (None, 100, 2, (0, 64, 0x0A)),
        (None, 64, 2, (0, 64, None)),
        (None, 65, 2, (0, 64, 0x0A)),
        (0x00, 16, 6, (0, 16, None)),
        (0x00, 17, 6, (0, 16, 0x08)),
        (0x10, 17, 6, (16, 17, 0x10)),
        (0x10, 32, 6, (16, 32, 0x10)),
        (0x10, 33, 6, (16, 32, 0x18)),
        (0x10, 16, 6, None),
        (0x10, 15, 6, None),
        (0x20, 33, 6, (32, 33, 0x20)),
        # A larger block than we give: the place is the same, the number another one.
        (0x16, 2048, 5, (1024, 1536, 0x2D)),
        (0x16, 1200, 4, (1024, 1200, 0x44)),
        (0x06, 300, 4, (0, 256, 0x0C)),
        (0x1E, 2000, 6, (1024, 2000, 0x16)),
        (0x07, 100, 6, None),
        (0x17, 100, 6, None),
        (0x06, 0, 6, (0, 0, None)),
        (0x10, 0, 6, None),
    ):
        assert cut(block2, size, max_szx) == expected, (block2, size, max_szx)


def test_a_client_asks_for_the_block_where_it_is():
    receiver = Block2Receiver(6)
    assert receiver.next_block() is None  # the server chooses
    receiver = Block2Receiver(2)
    assert receiver.next_block() == 2
    assert receiver.take(part(BODY[:64], 0x0A)) == MORE
    assert (receiver.next_block(), receiver.size, receiver.etag) == (0x12, 64, b"e")
    # The server goes to smaller blocks: the next one is counted in these.
    assert receiver.take(part(BODY[64:80], 0x48)) == MORE
    assert (receiver.next_block(), receiver.szx) == (0x50, 0)
    assert receiver.take(part(BODY[80:83], 0x50)) == COMPLETE and receiver.size == 83


def test_what_is_no_next_block_is_an_error():
    for block2, size, error in (
        (0x1A, 64, None),
        (0x12, 64, None),
        (0x12, 1, None),
        (0x12, 0, None),
        (0x1A, 63, "block size"),
        (0x1A, 65, "block size"),
        (0x12, 65, "block size"),
        (0x0A, 64, "wrong block"),
        (0x2A, 64, "wrong block"),
        (0x13, 64, "block size"),
        (0x17, 64, "block size"),
        (0x39, 32, "wrong block"),
        (0x29, 32, None),
    ):
        receiver = Block2Receiver(2)
        assert receiver.take(part(BODY[:64], 0x0A)) == MORE
        message = part(bytes(size), block2)
        if error is None:
            assert receiver.take(message) == (MORE if block2 & 8 else COMPLETE), block2
            assert receiver.size == 64 + size
        else:
            with raises(BlockError, error):
                receiver.take(message)


def test_another_etag_is_another_body_and_one_of_a_wrong_length_is_none():
    for first, second, expected in (
        (b"e", b"e", MORE),
        (b"e", b"f", CHANGED),
        (b"e", None, CHANGED),
        (None, b"e", CHANGED),
        (None, None, MORE),
        (b"12345678", b"12345678", MORE),
        (b"", None, MORE),
        (b"123456789", None, MORE),
    ):
        receiver = Block2Receiver(2)
        assert receiver.take(part(BODY[:64], 0x0A, first)) == MORE
        assert receiver.take(part(BODY[:64], 0x1A, second)) == expected, (first, second)
    # A whole body in the middle is another one, too.
    assert receiver.take(part(BODY, None, None)) == CHANGED


def test_a_body_is_as_long_as_its_blocks_whatever_size_was_announced():
    for size2 in (None, 0, 1, 64, 99, 100, 101, 200):
        body = Block2Body(2, 200)
        assert body.take(part(BODY[:64], 0x0A, b"e", size2)) == MORE
        assert body.take(part(BODY[64:], 0x12)) == COMPLETE
        assert bytes(body.body) == BODY, size2
        for block2 in (None, 0x06):
            body = Block2Body(6, 200)
            assert body.take(part(BODY, block2, b"e", size2)) == COMPLETE
            assert bytes(body.body) == BODY, size2
    body = Block2Body(2, 200)
    assert body.take(part(b"", None)) == COMPLETE and body.body == b""


def test_a_body_of_the_limit_is_taken_and_one_more_byte_is_not():
    for limit, size2, fits in ((100, None, True), (99, None, False), (100, 100, True)):
        body = Block2Body(2, limit)
        assert body.take(part(BODY[:64], 0x0A, b"e", size2)) == MORE
        if fits:
            assert body.take(part(BODY[64:], 0x12)) == COMPLETE and body.body == BODY
        else:
            with raises(BlockError, "too large: 100 bytes, the limit is 99"):
                body.take(part(BODY[64:], 0x12))
    for payload, block2, size2 in ((BODY, None, None), (BODY[:64], 0x0A, 100)):
        with raises(BlockError, "too large: 100 bytes, the limit is 99"):
            Block2Body(2, 99).take(part(payload, block2, b"e", size2))
    # Announced with the first block only: later it means nothing.
    body = Block2Body(2, 100)
    body.take(part(BODY[:64], 0x0A))
    assert body.take(part(BODY[64:], 0x12, b"e", 1000)) == COMPLETE and body.body == BODY


def test_a_body_in_one_message_takes_no_heap_for_a_second_copy():
    payload = b"p" * 1000
    message = part(payload, None)
    body = Block2Body(6, 1000)
    heap = HeapInPieces(256)
    try:
        assert body.take(message) == COMPLETE
    finally:
        heap.release()
    assert bytes(body.body) == payload
