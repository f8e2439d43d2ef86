"""The answers that an endpoint keeps for repetitions, RFC 7252 section 4.5, in bounded memory."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.endpoint import NOTHING, REQUEST
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import CONTENT
from msgin5g.coap.responder import ServerEndpoint

PEER = ("192.0.2.1", 5683)


def request(mid):
    return bytes((0x44, 1, mid >> 8, mid & 255)) + b"toke"


def answered(endpoint, mid, size):
    """The answer of `size` bytes of payload to a request that is new."""
    assert endpoint.receive(0, request(mid), PEER, 0) == REQUEST
    endpoint.respond(endpoint.accept(0), CONTENT, (), bytes(size))
    return bytes(endpoint.transmit(0)[1])


def repeated(endpoint, mid):
    """What a repetition is answered with, None when it is taken for a new request."""
    if endpoint.receive(0, request(mid), PEER, 1) == REQUEST:
        return None
    out = endpoint.transmit(1)
    return bytes(out[1])


def test_large_answers_are_kept_up_to_a_limit_the_newest_ones():
    endpoint = ServerEndpoint(xorshift(7), {}, max_incoming=32, max_replies_size=1024)
    answers = [answered(endpoint, mid, 250) for mid in range(30)]
    kept = [mid for mid in range(30) if repeated(endpoint, mid) == answers[mid]]
    assert kept == [26, 27, 28, 29]
    assert repeated(endpoint, 24) is None


def test_small_answers_are_all_kept():
    endpoint = ServerEndpoint(xorshift(7), {}, max_incoming=32, max_replies_size=4096)
    answers = [answered(endpoint, mid, 60) for mid in range(32)]
    assert [repeated(endpoint, mid) for mid in range(32)] == answers


def test_what_is_owed_is_not_forgotten():
    endpoint = ServerEndpoint(xorshift(7), {}, max_incoming=32, max_replies_size=0)
    assert endpoint.receive(0, request(99), PEER, 0) == REQUEST
    owed = endpoint.accept(0)
    endpoint.acknowledge(owed)
    endpoint.transmit(0)
    for mid in range(5):
        answered(endpoint, mid, 1000)
    assert endpoint.receive(0, request(99), PEER, 1) == NOTHING
    assert Message(8).decode(bytes(endpoint.transmit(1)[1])).mid == 99
