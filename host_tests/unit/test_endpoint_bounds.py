"""When a message is another one, and where an endpoint's tables end: RFC 7252 4 and 5.3."""

from msgin5g.coap.endpoint import NOTHING, REQUEST
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import CONTENT, GET, RST
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.retransmission import CANCELLED, SENT
from msgin5g.coap.ticks import add
from endpoint_setup import PATH, PEER, T0, new

EXCHANGE_LIFETIME_MS = 247000
HALF_PERIOD_MS = 1 << 29  # from here on a moment that has passed looks as if it lay ahead


def sent(endpoint, now=T0):
    """All that the endpoint has to send, as (transport, Message, remote)."""
    out = []
    while True:
        item = endpoint.transmit(now)
        if item is None:
            return out
        out.append((item[0], Message(8).decode(bytes(item[1])), item[2]))


def request(mid, token=b"tok"):
    return bytes((0x40 | len(token), GET, mid >> 8, mid & 255)) + token


def answered(endpoint, mid, now, size=1, transport=0):
    """Answer a request that is new with `size` bytes; the Incoming."""
    assert endpoint.receive(transport, request(mid), PEER, now) == REQUEST, mid
    incoming = endpoint.accept(now)
    endpoint.respond(incoming, CONTENT, (), bytes(size))
    sent(endpoint, now)
    return incoming


def idle(endpoint, start, for_ms):
    """Let time pass as a node does that has nothing to do; the moment after it."""
    for _ in range(for_ms // 600000):
        start = add(start, 600000)
        assert endpoint.step(start) is None
    return add(start, for_ms % 600000)


def test_equal_message_ids_from_one_address_on_two_transports_are_two_messages():
    endpoint = new()
    for transport, value in ((0, b"by UDP"), (1, b"by ESP-NOW")):
        assert endpoint.receive(transport, request(0x0101), PEER, T0) == REQUEST, transport
        endpoint.respond(endpoint.accept(T0), CONTENT, [], value)
    assert [(t, m.payload()) for t, m, _ in sent(endpoint)] == [(0, b"by UDP"), (1, b"by ESP-NOW")]
    for transport, value in ((1, b"by ESP-NOW"), (0, b"by UDP")):
        assert endpoint.receive(transport, request(0x0101), PEER, T0) == NOTHING
        ((used, again, _),) = sent(endpoint)
        assert (used, again.payload()) == (transport, value)
    assert endpoint.counters == {"duplicate": 2}


def test_after_the_clock_has_wrapped_an_old_message_id_is_a_new_message():
    # Once round the wrap, and for longer than moments can be compared.
    for ms in (EXCHANGE_LIFETIME_MS + 30000, HALF_PERIOD_MS + 300000):
        endpoint = new()
        answered(endpoint, 0x0101, T0)
        now = idle(endpoint, T0, ms)
        endpoint.step(now)
        assert endpoint.receive(0, request(0x0101), PEER, now) == REQUEST, ms
        assert endpoint.counters == {}


def test_after_the_clock_has_wrapped_kept_replies_are_freed():
    endpoint = new(max_incoming=8, max_replies_size=1000)
    observed = answered(endpoint, 1, T0, 600)
    answered(endpoint, 2, T0, 600)
    assert observed.reply is not None
    now = add(T0, EXCHANGE_LIFETIME_MS + 30000)
    endpoint.step(now)
    # An observation holds its request for long, and must not hold the reply as well.
    assert observed.reply is None and endpoint.n_incoming == 0
    # What they took is there again: both of these are kept.
    for mid in (3, 4, 5):
        answered(endpoint, mid, now, 200)
    for mid in (3, 4, 5):
        assert endpoint.receive(0, request(mid), PEER, now) == NOTHING, mid
        assert len(sent(endpoint, now)) == 1, mid


def test_a_random_token_in_use_is_not_given_twice():
    left = [0]

    def random():
        left[0] -= 1
        return 7 if left[0] >= 0 else -left[0] & 255

    endpoint = ServerEndpoint(random, {})
    left[0] = 100
    first = endpoint.request(0, PEER, GET, PATH, None)
    assert first.token == b"\7\7\7\7"
    left[0] = 12  # the same token comes up again, and perhaps twice more
    second = endpoint.request(0, PEER, GET, PATH, None)
    assert second.token != first.token and len(second.token) == 4
    assert endpoint.by_token[first.token] is first
    assert endpoint.by_token[second.token] is second


def test_the_17th_datagram_in_the_outbox_is_dropped_and_counted():
    endpoint = new()
    for mid in range(16):
        endpoint.receive(0, bytes((0x40, 0, 0, mid)), PEER, T0)  # a ping is answered with a Reset
    assert endpoint.counters == {}
    endpoint.receive(0, bytes((0x40, 0, 0, 16)), PEER, T0)
    assert endpoint.counters == {"outbox_full": 1}
    out = sent(endpoint)
    assert [(m.mtype, m.mid) for _, m, _ in out] == [(RST, mid) for mid in range(16)]
    endpoint.receive(0, bytes((0x40, 0, 0, 17)), PEER, T0)
    ((_, reset, _),) = sent(endpoint)
    assert reset.mid == 17 and endpoint.counters == {"outbox_full": 1}


def test_an_acknowledgement_or_reset_over_another_transport_is_of_another_peer():
    endpoint = new()
    exchange = endpoint.request(0, PEER, GET, PATH, None)
    ((_, asked, _),) = sent(endpoint)
    for mtype in (0x60, 0x70):
        empty = bytes((mtype, 0, asked.mid >> 8, asked.mid & 255))
        assert endpoint.receive(1, empty, PEER, T0) == NOTHING
    assert exchange.state == SENT and endpoint.counters == {"unmatched_empty": 2}
    assert len(sent(endpoint, add(T0, 3000))) == 1  # still to be acknowledged: sent again


def test_forgetting_a_peer_leaves_the_same_address_on_another_transport():
    endpoint = new(max_exchanges=8)
    gone = endpoint.request(0, PEER, GET, PATH, None)
    stays = endpoint.request(1, PEER, GET, PATH, None, False)
    for transport in (0, 1):
        answered(endpoint, 0x0101, T0, 1, transport)
        endpoint.receive(transport, bytes((0x40, 0, 0, transport)), PEER, T0)  # a ping
    endpoint.receive(0, bytes((0x40, 0, 0, 2)), ("192.0.2.2", 5683), T0)
    endpoint.forget_peer(0, PEER)
    assert gone.state == CANCELLED and stays.state != CANCELLED
    assert [(t, m.mtype, m.mid) for t, m, _ in sent(endpoint)] == [(1, RST, 1), (0, RST, 2)]
    assert endpoint.receive(1, request(0x0101), PEER, T0) == NOTHING  # a duplicate
    assert endpoint.receive(0, request(0x0101), PEER, T0) == REQUEST
