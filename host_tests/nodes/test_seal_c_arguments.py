"""A configuration client apart from its gateway, asked for what makes no sense."""

from gateway_builders import SEAL_C, gateway_settings
from msgin5g_testkit.checks import xorshift
from full_heap import call_with_memory_for
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import CON
from msgin5g.intermediary.numbers import FETCH
from msgin5g.gateway.scm_client_node import ScmClientNode
from builders import SERVER

UE = b"urn:x-msgin5g:ue:0007"


def asked(body):
    """(remote, code) of what a client sends when it is asked for this."""
    client = ScmClientNode(gateway_settings(), xorshift(5), SERVER, SEAL_C[0])
    buf = bytearray(1152)
    size = encode(buf, CON, FETCH, 1, b"t", [(11, b"seal-c")], body)
    client.receive(1, bytes(buf[:size]), SEAL_C[0], 0)
    client.step(0)
    out = []
    while True:
        item = client.transmit(0)
        if item is None:
            return out
        out.append((item[2], Message(128).decode(bytes(item[1])).code))


def test_a_body_that_names_more_ues_than_one_request_can_is_a_bad_request():
    # [null, null, null, [h'75' 520 times], []]: 1 KB on the wire, 30 KB of heap as objects
    body = b"\x85\xf6\xf6\xf6\x99\x02\x08" + 520 * b"\x41\x75" + b"\x80"
    assert asked(body) == [(SEAL_C[0], 0x80)]
    for ids in (b"\x9f" + 520 * b"\x41\x75" + b"\xff", b"\x81" + 520 * b"\x81\x80"):
        assert asked(b"\x85\xf6\xf6\xf6" + ids + b"\x80") == [(SEAL_C[0], 0x80)]
    assert asked(dumps([None, None, None, 83 * [b"u:1"], []])) == [(SEAL_C[0], 0), (SERVER, 1)]


def test_that_body_ends_nothing_in_a_heap_that_is_nearly_full():
    client = ScmClientNode(gateway_settings(), xorshift(5), SERVER, SEAL_C[0])
    body = b"\x85\xf6\xf6\xf6\x99\x02\x08" + 520 * b"\x41\x75" + b"\x80"
    buf = bytearray(1152)
    size = encode(buf, CON, FETCH, 1, b"t", [(11, b"seal-c")], body)
    for n in range(40):
        buf[3] = n
        arguments = (1, bytes(buf[:size]), SEAL_C[0], 0)
        call_with_memory_for(n, client.receive, arguments)
    assert client.counters["no_memory"] > 4 and not client.pending_requests
    while client.transmit(0) is not None:
        pass
    size = encode(buf, CON, FETCH, 99, b"t", [(11, b"seal-c")], dumps([None, 6, None, [UE], []]))
    client.receive(1, bytes(buf[:size]), SEAL_C[0], 0)
    remotes = [client.transmit(0)[2], client.transmit(0)[2]]
    assert remotes == [SEAL_C[0], SERVER] and len(client.pending_requests) == 1


def test_arguments_of_a_wrong_kind_are_a_bad_request():
    good = [None, 18, None, [UE], []]
    assert asked(dumps(good)) == [(SEAL_C[0], 0), (SERVER, 1)]
    bodies = [b"", b"\xff"]
    for number in (b"\xf9\x3e\x00", b"\xf9\x7e\x00", b"\xfa\x3f\x80\x00\x00"):  # floats
        bodies.append(b"\x85\xf6" + number + b"\xf6\x81\x41x\x80")
    for block2 in ("1", b"1", True, -1, 1 << 24, [1]):
        bodies.append(dumps([None, block2, None, [UE], []]))
    for body in (5, [], {}, good[:4], good + [1], {i: i for i in range(5)}, "abcde", b"abcde"):
        bodies.append(dumps(body))
    for ids in ([], ["text"], UE, None):
        bodies.append(dumps([None, 1, None, ids, []]))
    for body in bodies:
        assert asked(body) == [(SEAL_C[0], 0x80)], body
