"""/.well-known/core of an intermediary: invalid requests."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import BAD_REQUEST, BLOCK2, CON, CONTENT, GET, URI_PATH
from msgin5g.intermediary.numbers import BAD_OPTION
from msgin5g.relay import Relay
from builders import SERVER, UE_ID, relay_settings, ue_address

UE = ue_address(2)


def response_to(block2):
    """The response to a GET with a Block2 of these bytes."""
    relay = Relay(relay_settings(), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    options = [(URI_PATH, b".well-known"), (URI_PATH, b"core"), (BLOCK2, block2)]
    buf = bytearray(100)
    size = encode(buf, CON, GET, 1, b"t", options)
    relay.receive(0, bytes(buf[:size]), UE, 0)
    return Message(32).decode(bytes(relay.transmit(0)[1]))


def test_the_page_comes_in_the_blocks_that_are_asked_for():
    whole = response_to(b"\x06")
    assert (whole.code, whole.option(BLOCK2)) == (CONTENT, b"\x06")
    # RFC 7959 section 2.2: NUM 0, SZX 0 is no byte at all; M means nothing in a request.
    for first in (b"", b"\x08", b"\x00"):
        assert response_to(first).option(BLOCK2) == b"\x08"
        assert response_to(first).payload() + response_to(b"\x10").payload() == whole.payload()
    assert response_to(b"\x10").option(BLOCK2) == b"\x10"
    for wrong in (b"\x07", b"\x16", b"\x20", b"\xff\xff\xf0"):
        assert response_to(wrong).code == BAD_REQUEST, wrong


def test_a_block2_that_is_longer_than_any_is_an_option_that_is_not_understood():
    for block2 in (b"\x00\x00\x00\x06", b"\x00\x00\x00\x00\x06", bytes(8), bytes(40)):
        assert response_to(block2).code == BAD_OPTION, block2
