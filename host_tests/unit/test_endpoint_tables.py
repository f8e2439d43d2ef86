"""What an endpoint remembers and forgets, and the edges of its numbers: RFC 7252 section 4."""

from msgin5g_testkit.checks import raises
from msgin5g.coap.endpoint import NOTHING, REJECTED, REQUEST, RESPONSE, UNMATCHED
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET, NON, RST
from msgin5g.coap.responder import must_confirm
from msgin5g.coap.retransmission import (
    ACKED,
    CANCELLED,
    DONE,
    OBSERVING,
    QUEUED,
    SENT,
    Exchange,
    Parameters,
)
from msgin5g.coap.ticks import add
from endpoint_setup import OTHER, PATH, PEER, T0, new, packet, sent

LIFETIME_MS = 247000
NON_LIFETIME_MS = 145000


def answered(endpoint, mid, token=b"tok", size=1, now=T0, mtype=CON):
    """Answer a new request with `size` bytes; the Incoming."""
    assert endpoint.receive(0, packet(mtype, GET, mid, token), PEER, now) == REQUEST, mid
    incoming = endpoint.accept(now)
    endpoint.respond(incoming, CONTENT, (), bytes(size))
    sent(endpoint, now)
    return incoming


def repeated(endpoint, mid, token, now=T0):
    """Whether a request is known; its reply is sent again then."""
    if endpoint.receive(0, packet(CON, GET, mid, token), PEER, now) == REQUEST:
        return False
    ((reply, _),) = sent(endpoint, now)
    assert (reply.mid, reply.token()) == (mid, token)
    return True


def test_parameters_have_a_range():
    for right in (
        (1,),
        (60000,),
        (2000, 100),
        (2000, 300),
        (2000, 150, 0),
        (2000, 150, 8),
        (2000, 150, 4, 1),
        (2000, 150, 4, 99),
        (60000, 300, 8),
    ):
        made = Parameters(*right)
        assert 0 < made.max_transmit_wait_ms < 1 << 29, right
        assert 0 < made.exchange_lifetime_ms < 1 << 29, right
    for wrong in (
        (0,),
        (60001,),
        (2000, 99),
        (2000, 301),
        (2000, 150, -1),
        (2000, 150, 9),
        (2000, 150, 4, 0),
    ):
        with raises(ValueError, "out of range"):
            Parameters(*wrong)


def test_without_retransmission_a_message_is_sent_once_and_waits_one_longest_timeout():
    endpoint = new(parameters=Parameters(2000, 150, 0))
    exchange = endpoint.request(0, PEER, GET, PATH, None)
    assert len(sent(endpoint)) == 1 and endpoint.wait_ms(T0) == 3000
    for ms in (1999, 2000, 2999):
        assert endpoint.step(add(T0, ms)) is None and sent(endpoint, add(T0, ms)) == []
    assert endpoint.step(add(T0, 3000)) is exchange


def test_of_requests_with_one_message_id_each_is_known_by_its_token_until_it_is_forgotten():
    tokens = (b"a", b"b", b"c", b"d")
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 0, 3), (2, 0, 3, 1)):
        endpoint = new()
        known = [answered(endpoint, 7, token) for token in tokens]
        gone = set()
        for i in order:
            endpoint.forget(known[i])
            endpoint.forget(known[i])  # once more changes nothing
            gone.add(i)
            assert endpoint.n_incoming == len(endpoint.answered) == 4 - len(gone)
            for n, token in enumerate(tokens):
                if n not in gone:
                    assert repeated(endpoint, 7, token), (order, i, n)
        for token in tokens:
            assert not repeated(endpoint, 7, token)


def test_peers_with_one_hash_are_two_peers_all_the_same():
    one, other = 5, 5 + (1 << 20)  # numbers are their own hash, of which 14 bits count
    endpoint = new()
    for remote in (one, other):
        assert endpoint.receive(0, packet(CON, GET, 7, b"t"), remote, T0) == REQUEST
        endpoint.respond(endpoint.accept(T0), CONTENT, (), b"%d" % remote)
    for remote in (one, other):
        assert endpoint.receive(0, packet(CON, GET, 7, b"t"), remote, T0) == NOTHING
    said = [(remote, m.payload()) for m, remote in sent(endpoint)]
    assert said == 2 * [(one, b"%d" % one), (other, b"%d" % other)]
    assert endpoint.counters == {"duplicate": 2}
    exchange = endpoint.request(0, one, GET, PATH, None)
    sent(endpoint)
    for mtype in (ACK, RST):
        assert endpoint.receive(0, packet(mtype, 0, exchange.mid()), other, T0) == NOTHING
        assert exchange.state == SENT
    assert endpoint.receive(0, packet(ACK, 0, exchange.mid()), one, T0) == NOTHING
    assert exchange.state == ACKED


def test_a_request_is_known_for_its_lifetime_and_no_longer():
    for mtype, lifetime_ms in ((CON, LIFETIME_MS), (NON, NON_LIFETIME_MS)):
        for ms, is_known in ((lifetime_ms - 1, True), (lifetime_ms, False)):
            endpoint = new()
            answered(endpoint, 7, mtype=mtype)
            now = add(T0, ms)
            expected = NOTHING if is_known else REQUEST
            assert endpoint.receive(0, packet(mtype, GET, 7, b"tok"), PEER, now) == expected
            assert endpoint.n_incoming == is_known, (mtype, ms)


def test_one_that_is_not_answered_yet_is_known_for_as_long_as_that_takes():
    endpoint = new(max_incoming=2)
    owed = [None, None]
    for mid in (0, 1):
        endpoint.receive(0, packet(CON, GET, mid, b"t"), PEER, T0)
        owed[mid] = endpoint.accept(T0)
    now = add(T0, 2 * LIFETIME_MS)
    endpoint.step(now)
    assert endpoint.receive(0, packet(CON, GET, 1, b"t"), PEER, now) == NOTHING
    assert endpoint.receive(0, packet(CON, GET, 2, b"t"), PEER, now) == REQUEST
    assert endpoint.accept(now) is None and endpoint.n_incoming == 2
    endpoint.respond(owed[1], CONTENT, (), b"")  # that one makes room
    assert endpoint.receive(0, packet(CON, GET, 2, b"t"), PEER, now) == REQUEST
    assert endpoint.accept(now) is not None and endpoint.n_incoming == 2


def test_what_has_expired_is_forgotten_within_half_a_minute():
    endpoint = new()
    endpoint.step(T0)
    answered(endpoint, 7, now=add(T0, 10000))
    answered(endpoint, 8, now=add(T0, 10001))
    for ms, n in (
        (0, 2),
        (LIFETIME_MS + 9999, 2),  # it looks now, and again in half a minute
        (LIFETIME_MS + 39998, 2),
        (LIFETIME_MS + 39999, 0),
    ):
        endpoint.step(add(T0, ms))
        assert endpoint.n_incoming == n, ms


def test_replies_of_exactly_the_limit_are_kept_and_one_more_byte_is_too_much():
    for size, n_kept in ((91, 3), (92, 2)):  # a reply has nine bytes more
        endpoint = new(max_incoming=8, max_replies_size=200)
        for mid in range(3):
            answered(endpoint, mid, b"tokn", size)
        assert len(endpoint.answered) == n_kept, size
        assert [repeated(endpoint, mid, b"tokn") for mid in (1, 2)] == [n_kept > 1, True]


def test_a_message_with_a_format_error_is_rejected_only_if_its_header_is_there():
    for text, is_rejected in (
        ("40211234", True),
        ("4021123455", True),
        ("44011234", True),
        ("402112", False),
        ("50211234", False),
        ("60211234", False),
        ("70211234", False),
        ("80211234", False),
        ("", False),
    ):
        endpoint = new()
        assert endpoint.receive(0, bytes.fromhex(text), PEER, T0) == NOTHING
        out = [(m.mtype, m.code, m.mid, remote) for m, remote in sent(endpoint)]
        assert out == is_rejected * [(RST, 0, 0x1234, PEER)], text
        assert endpoint.counters == {"malformed": 1}
    for size, kind in ((1152, REQUEST), (1153, NOTHING)):
        datagram = packet(NON, GET, 1, b"t", b"\xff" + bytes(size - 6))
        assert new().receive(0, datagram, PEER, T0) == kind


def test_a_reset_or_acknowledgement_that_is_none_changes_nothing():
    endpoint = new()
    exchange = endpoint.request(0, PEER, GET, PATH, None)
    mid = exchange.mid()
    for mtype in (ACK, RST):  # it was not sent yet
        assert endpoint.receive(0, packet(mtype, 0, mid), PEER, T0) == NOTHING
    assert exchange.state == QUEUED and endpoint.counters == {"unmatched_empty": 2}
    sent(endpoint)
    for datagram in (packet(RST, CONTENT, mid, exchange.token), packet(ACK, GET, mid, b"t"),
                     packet(RST, GET, mid, b"t"), packet(NON, 0, mid)):  # fmt: skip
        assert endpoint.receive(0, datagram, PEER, T0) == NOTHING
        assert exchange.state == SENT and sent(endpoint) == []
    assert endpoint.counters == {"unmatched_empty": 3, "malformed": 3}
    for remote in (OTHER, PEER):
        kind = endpoint.receive(0, packet(RST, 0, mid), remote, T0)
        assert kind == (REJECTED if remote == PEER else NOTHING)


def test_after_16_resets_that_match_nothing_resets_are_ignored_until_the_next_purge():
    for n, kind, is_new in (
        (15, REJECTED, 0),
        (16, NOTHING, 0),
        (15, REJECTED, 1),
        (16, NOTHING, 1),
    ):
        endpoint = new()
        if not is_new:
            endpoint.step(T0)
        exchange = endpoint.request(0, PEER, GET, PATH, None)
        sent(endpoint)
        for _ in range(n):
            endpoint.receive(0, packet(RST, 0, exchange.mid() ^ 0x8000), PEER, T0)
            endpoint.receive(0, packet(ACK, 0, exchange.mid() ^ 0x8000), PEER, T0)
        assert endpoint.receive(0, packet(RST, 0, exchange.mid()), PEER, T0) == kind, n
        endpoint.step(add(T0, 30000))
        if kind == NOTHING:
            assert endpoint.counters["reset_ignored"] == 1
            assert endpoint.receive(0, packet(RST, 0, exchange.mid()), PEER, T0) == REJECTED


def test_a_response_to_what_was_not_sent_yet_or_is_over_is_unmatched():
    endpoint = new()
    exchange = endpoint.request(0, PEER, GET, PATH, None)
    answer = packet(NON, CONTENT, 9, exchange.token)
    assert endpoint.receive(0, answer, PEER, T0) == UNMATCHED
    sent(endpoint)
    for mtype, mid, kind in (
        (ACK, exchange.mid() ^ 1, UNMATCHED),
        (ACK, exchange.mid(), RESPONSE),
    ):
        assert endpoint.receive(0, packet(mtype, CONTENT, mid, exchange.token), PEER, T0) == kind
    endpoint.cancel(exchange)
    assert exchange.state == CANCELLED
    assert endpoint.receive(0, answer, PEER, T0) == UNMATCHED


def test_a_notification_is_newer_within_half_of_the_numbers_or_after_128_s():
    # RFC 7641 section 3.4.
    for first, second, ms, is_newer in (
        (5, 6, 0, True),
        (5, 5, 0, False),
        (5, 4, 0, False),
        (5, 5, 128000, False),
        (5, 5, 128001, True),
        (5, 4, 128001, True),
        (0, 0x7FFFFF, 0, True),
        (0, 0x800000, 0, False),
        (0xFFFFFF, 0, 0, True),
        (0xFFFFFF, 0x7FFFFE, 0, True),
        (0xFFFFFF, 0x7FFFFF, 0, False),
        (0, 0xFFFFFF, 0, False),
    ):
        exchange = Exchange(0, PEER, None, None)
        assert exchange.newer(first, T0)
        assert exchange.newer(second, add(T0, ms)) == is_newer, (first, second, ms)
        assert exchange.newest == (second if is_newer else first)
    # The time counts from the newest one on.
    assert exchange.newer(1, add(T0, 100000))
    assert not exchange.newer(0, add(T0, 228000)) and exchange.newer(0, add(T0, 228001))


def test_a_confirmable_notification_is_due_every_twelve_hours():
    hours = 43200000
    for ms, is_due in ((0, False), (1, False), (hours - 1, False), (hours, True), (-1, True)):
        assert must_confirm(T0, add(T0, ms)) == is_due, ms


def test_room_for_exchanges_counts_those_that_observe_and_those_that_wait():
    endpoint = new(max_exchanges=3, parameters=Parameters(nstart=3))
    exchanges = [endpoint.request(0, PEER, GET, PATH, None) for _ in range(2)]
    sent(endpoint)
    endpoint.receive(0, packet(ACK, CONTENT, exchanges[0].mid(), exchanges[0].token), PEER, T0)
    endpoint.accept(T0, True)
    assert exchanges[0].state == OBSERVING
    third = endpoint.request(0, PEER, GET, PATH, None)
    assert third is not None and endpoint.request(0, PEER, GET, PATH, None) is None
    assert endpoint.counters == {"exchanges_full": 1}
    # Another notification does not take another place.
    for mid in (1, 2):
        endpoint.receive(0, packet(CON, CONTENT, mid, exchanges[0].token), PEER, T0)
        endpoint.accept(T0, True)
    endpoint.cancel(third)
    assert endpoint.request(0, PEER, GET, PATH, None) is not None
    assert endpoint.request(0, PEER, GET, PATH, None) is None
    endpoint.cancel(exchanges[0])
    endpoint.cancel(exchanges[0])
    assert endpoint.request(0, PEER, GET, PATH, None) is not None
    assert endpoint.request(0, PEER, GET, PATH, None) is None


def test_what_is_not_sent_again_takes_no_memory_for_its_bytes():
    endpoint = new(parameters=Parameters(nstart=8))
    con = endpoint.request(0, PEER, GET, PATH, None)
    non = endpoint.request(0, PEER, GET, PATH, None, False)
    assert con.datagram and non.datagram
    sent(endpoint)
    assert con.datagram and non.datagram is None
    endpoint.receive(0, packet(ACK, 0, con.mid()), PEER, T0)
    assert con.datagram is None


def test_the_message_id_of_a_peer_goes_on_while_at_most_62_others_came_since():
    for n_others, is_known in ((0, True), (62, True), (63, False)):
        endpoint = new(max_exchanges=4)
        first = endpoint.request(0, PEER, GET, PATH, None)
        endpoint.cancel(first)
        for n in range(n_others):
            endpoint.cancel(endpoint.request(0, ("198.51.100.%d" % n, 5683), GET, PATH, None))
        again = endpoint.request(0, PEER, GET, PATH, None)
        assert ((again.mid() - first.mid()) & 0xFFFF == 1) == is_known, n_others


def test_nstart_is_for_each_peer_and_a_place_is_free_when_one_is_acknowledged_or_over():
    endpoint = new(max_exchanges=8)
    first = endpoint.request(0, PEER, GET, PATH, None)
    second = endpoint.request(0, PEER, GET, PATH, None)
    other = endpoint.request(0, OTHER, GET, PATH, None)
    lazy = endpoint.request(0, PEER, GET, PATH, None, False)
    third = endpoint.request(0, PEER, GET, PATH, None)
    assert [m.mid for m, _ in sent(endpoint)] == [first.mid(), other.mid(), lazy.mid()]
    assert (first.state, second.state, lazy.state) == (SENT, QUEUED, ACKED)
    assert endpoint.wait_ms(T0) > 0
    endpoint.receive(0, packet(ACK, 0, first.mid()), PEER, T0)
    assert first.state == ACKED and endpoint.wait_ms(T0) == 0
    assert [m.mid for m, _ in sent(endpoint)] == [second.mid()]
    # The first one's response gives no second place.
    endpoint.receive(0, packet(CON, CONTENT, 77, first.token), PEER, T0)
    endpoint.accept(T0)
    assert first.state == DONE and [m.mtype for m, _ in sent(endpoint)] == [ACK]
    endpoint.cancel(second)
    assert [m.mid for m, _ in sent(endpoint)] == [third.mid()]
    endpoint.receive(0, packet(RST, 0, third.mid()), PEER, T0)
    endpoint.cancel(other)
    endpoint.cancel(lazy)
    assert endpoint.exchanges == [] and endpoint.by_token == {} and endpoint.wait_ms(T0) is None


def test_want_of_memory_leaves_what_is_whole_and_drops_what_is_half_there():
    endpoint = new(max_exchanges=8, parameters=Parameters(nstart=8))
    whole = endpoint.request(0, PEER, GET, PATH, None)
    sent(endpoint)
    queued = endpoint.request(0, PEER, GET, PATH, None)
    observed = endpoint.request(0, PEER, GET, PATH, None, False)
    sent(endpoint)
    endpoint.receive(0, packet(NON, CONTENT, 5, observed.token), PEER, T0)
    endpoint.accept(T0, True)
    for lost in range(3):
        half = endpoint.request(0, PEER, GET, PATH, None)
        if lost == 0:
            endpoint.exchanges.remove(half)
        else:
            endpoint.cancel(half)
            half.state = QUEUED
            if lost == 1:
                endpoint.by_token[half.token] = half
            else:  # it is among the exchanges, and would never be sent
                endpoint.exchanges.append(half)
        endpoint.drop_half_done()
        assert [whole, queued] == endpoint.exchanges, lost
        tokens = [e.token for e in (whole, queued, observed)]
        assert sorted(endpoint.by_token) == sorted(tokens), lost
        assert sent(endpoint) == []
    kept = answered(endpoint, 1)
    incoming = []
    for mid in (2, 3, 2):
        endpoint.receive(0, packet(CON, GET, mid, b"t%d" % len(incoming)), PEER, T0)
        incoming.append(endpoint.accept(T0))

    class Pending:
        def __init__(self, one):
            self.incoming = one

    endpoint.drop_half_done([Pending(incoming[0])])
    assert [one.open for one in incoming] == [True, False, False]
    assert endpoint.answered[-1] is kept and endpoint.n_incoming == len(endpoint.answered) + 1
    assert endpoint.receive(0, packet(CON, GET, 2, b"t0"), PEER, T0) == NOTHING
    for mid, token in ((3, b"t1"), (2, b"t2")):
        assert endpoint.receive(0, packet(CON, GET, mid, token), PEER, T0) == REQUEST
