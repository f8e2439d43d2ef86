"""/.well-known/core of a hop, asked for in ways that make no sense."""

from checks import xorshift
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import BLOCK2, CON, GET, URI_PATH
from msgin5g.roles.relay import Relay
from stations import SERVER, UE_ID, relay_settings, ue_address

UE = ue_address(2)


def code_for(block2):
    """The code of the answer to a GET with a Block2 of these bytes."""
    relay = Relay(relay_settings(), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    options = [(URI_PATH, b".well-known"), (URI_PATH, b"core"), (BLOCK2, block2)]
    buf = bytearray(100)
    size = encode(buf, CON, GET, 1, b"t", options)
    relay.receive(0, bytes(buf[:size]), UE, 0)
    return Message(32).decode(bytes(relay.transmit(0)[1])).code


def test_a_block2_that_is_longer_than_any_is_an_option_that_is_not_understood():
    assert code_for(b"\x06") == 0x45
    for block2 in (b"", b"\x07", b"\x16", b"\x00\x00\x00\x00\x06", bytes(8), bytes(40)):
        assert code_for(block2) == 0x82, block2
