"""The message layer and the matching of responses: RFC 7252 sections 4 and 5.3."""

from msgin5g_testkit.checks import no_alloc, unhex
from msgin5g.coap.endpoint import (
    NOTHING,
    REJECTED,
    REQUEST,
    RESPONSE,
    UNMATCHED,
)
from msgin5g.coap.numbers import ACK, CON, CONTENT, EMPTY, GET, NON, RST
from msgin5g.coap.ticks import add
from msgin5g.coap.retransmission import (
    ACKED,
    DONE,
    OBSERVING,
    RESET,
    TIMED_OUT,
    Exchange,
    Parameters,
)
from endpoint_setup import OTHER, PATH, PEER, T0, new, packet, sent


def ping(confirmable=True):
    exchange = Exchange(0, PEER, bytearray((0x40, EMPTY, 0, 0)), None)
    exchange.confirmable = confirmable
    return exchange


def asked(endpoint, now=T0, confirmable=True):
    """An exchange whose request has been sent, and that request."""
    exchange = endpoint.request(0, PEER, GET, PATH, None, confirmable)
    ((message, remote),) = sent(endpoint, now)
    assert remote == PEER
    return exchange, message


def test_a_piggybacked_response_ends_the_exchange():
    endpoint = new()
    exchange, request = asked(endpoint)
    answer = packet(ACK, CONTENT, request.mid, request.token(), b"\xffhello")
    assert endpoint.receive(0, answer, PEER, add(T0, 10)) == RESPONSE
    assert endpoint.exchange is exchange
    assert endpoint.message.payload() == b"hello"
    endpoint.accept(add(T0, 10))
    assert exchange.state == DONE
    assert endpoint.wait_ms(add(T0, 10)) is None
    assert endpoint.receive(0, answer, PEER, add(T0, 20)) == UNMATCHED
    assert sent(endpoint) == []


def test_what_needs_no_timer_is_sent_without_delay():
    endpoint = new()
    assert endpoint.receive(0, packet(CON, EMPTY, 7), PEER, T0) == NOTHING
    assert endpoint.wait_ms(T0) == 0
    ((reset, remote),) = sent(endpoint)
    assert (reset.mtype, reset.mid, remote) == (RST, 7, PEER)
    assert endpoint.wait_ms(T0) is None


def test_what_is_not_accepted_leaves_no_trace():
    endpoint = new()
    _exchange, request = asked(endpoint)
    wait_ms = endpoint.wait_ms(add(T0, 10))
    answer = packet(CON, CONTENT, 99, request.token(), b"\xffhello")
    for _ in range(2):
        assert endpoint.receive(0, answer, PEER, add(T0, 10)) == RESPONSE
    assert endpoint.wait_ms(add(T0, 10)) == wait_ms
    assert sent(endpoint, add(T0, 10)) == []
    get = packet(CON, GET, 7, b"t")
    for _ in range(2):
        assert endpoint.receive(0, get, OTHER, add(T0, 10)) == REQUEST
    assert sent(endpoint, add(T0, 10)) == []


def test_a_separate_response_is_acknowledged_and_its_repeat_too():
    endpoint = new()
    exchange, request = asked(endpoint)
    assert endpoint.receive(0, packet(ACK, 0, request.mid), PEER, add(T0, 10)) == NOTHING
    assert exchange.state == ACKED
    assert sent(endpoint, add(T0, 3500)) == []  # an acknowledged request is not sent again
    answer = packet(CON, CONTENT, 0xBEEF, request.token())
    assert endpoint.receive(0, answer, PEER, add(T0, 4000)) == RESPONSE
    endpoint.accept(add(T0, 4000))
    for _ in range(2):
        ((ack, _),) = sent(endpoint, add(T0, 4000))
        assert (ack.mtype, ack.code, ack.mid) == (ACK, 0, 0xBEEF)
        assert endpoint.receive(0, answer, PEER, add(T0, 5000)) == NOTHING
    assert endpoint.counters["duplicate"] == 2


def test_a_response_that_overtakes_its_acknowledgement_counts_as_both():
    endpoint = new()
    exchange, request = asked(endpoint)
    answer = packet(NON, CONTENT, 5, request.token())
    assert endpoint.receive(0, answer, PEER, add(T0, 10)) == RESPONSE
    endpoint.accept(add(T0, 10))
    assert exchange.state == DONE and sent(endpoint, add(T0, 60000)) == []


def test_retransmission_doubles_and_ends_after_max_transmit_wait():
    endpoint = new()
    exchange, request = asked(endpoint)
    now = T0
    gaps = []
    copies = 0
    total_ms = 0
    gap_ms = 0
    while True:
        wait_ms = endpoint.wait_ms(now)
        now = add(now, wait_ms)
        total_ms += wait_ms
        gap_ms += wait_ms
        ended = endpoint.step(now)
        if ended is not None:
            break
        ((copy, _),) = sent(endpoint, now)
        assert copy.view == request.view  # the same bytes
        gaps.append(gap_ms)
        gap_ms = 0
        copies += 1
    assert ended is exchange and exchange.state == TIMED_OUT
    assert copies == 4  # MAX_RETRANSMIT
    assert 2000 <= gaps[0] <= 3000
    assert gaps[1:] == [gaps[0] * 2, gaps[0] * 4, gaps[0] * 8]
    assert total_ms == 93000  # MAX_TRANSMIT_WAIT, section 4.8.2
    assert endpoint.wait_ms(now) is None


def test_the_parameters_give_the_times_of_section_4_8_2():
    defaults = Parameters()
    assert defaults.max_transmit_wait_ms == 93000
    assert defaults.exchange_lifetime_ms == 247000
    assert defaults.non_lifetime_ms == 145000
    assert Parameters(1000, 150, 3).max_transmit_wait_ms == 22500


def test_first_timeouts_spread_over_the_whole_range():
    endpoint = new(max_exchanges=64, parameters=Parameters(nstart=64))
    for _ in range(12):
        endpoint.request(0, PEER, GET, PATH, None)
    sent(endpoint, T0)
    times = [e.timeout_ms for e in endpoint.exchanges]
    assert min(times) >= 2000 and max(times) <= 3000
    assert max(times) - min(times) > 300


def test_a_response_must_come_from_where_the_request_went():
    endpoint = new()
    _exchange, request = asked(endpoint)
    answer = packet(ACK, CONTENT, request.mid, request.token())
    assert endpoint.receive(0, answer, OTHER, add(T0, 1)) == NOTHING
    assert endpoint.receive(1, answer, PEER, add(T0, 1)) == NOTHING
    assert endpoint.counters["wrong_source"] == 2
    wrong = packet(ACK, CONTENT, request.mid, b"nope")
    assert endpoint.receive(0, wrong, PEER, add(T0, 1)) == UNMATCHED
    wrong = packet(ACK, CONTENT, request.mid ^ 1, request.token())
    assert endpoint.receive(0, wrong, PEER, add(T0, 1)) == UNMATCHED
    empty = packet(ACK, 0, request.mid)
    assert endpoint.receive(0, empty, OTHER, add(T0, 1)) == NOTHING
    assert endpoint.counters["unmatched_empty"] == 1
    assert sent(endpoint, add(T0, 1)) == []
    assert len(sent(endpoint, add(T0, 3000))) == 1  # still unanswered: retransmitted


def test_the_port_of_a_peer_matters_only_when_it_is_checked():
    endpoint = new(peer_key=lambda remote: remote[0])
    _exchange, request = asked(endpoint)
    answer = packet(ACK, CONTENT, request.mid, request.token())
    assert endpoint.receive(0, answer, ("192.0.2.1", 40000), add(T0, 1)) == RESPONSE


def test_a_duplicate_request_is_answered_with_the_same_bytes():
    endpoint = new()
    get = packet(CON, GET, 0x0101, b"tok", b"\xb1a")
    assert endpoint.receive(0, get, PEER, T0) == REQUEST
    incoming = endpoint.accept(T0)
    assert endpoint.receive(0, get, PEER, add(T0, 1)) == NOTHING  # in work: nothing to say yet
    assert sent(endpoint) == []
    endpoint.respond(incoming, CONTENT, [], b"value")
    ((first, _),) = sent(endpoint)
    assert (first.mtype, first.mid, first.token()) == (ACK, 0x0101, b"tok")
    assert endpoint.receive(0, get, PEER, add(T0, 200000)) == NOTHING
    ((again, _),) = sent(endpoint)
    assert again.view == first.view
    # After EXCHANGE_LIFETIME the message ID is free again.
    assert endpoint.receive(0, get, PEER, add(T0, 247001)) == REQUEST


def test_equal_message_ids_of_two_peers_are_two_messages():
    endpoint = new()
    get = packet(CON, GET, 0x0101, b"tok", b"\xb1a")
    for peer, value in ((PEER, b"one"), (OTHER, b"two")):
        assert endpoint.receive(0, get, peer, T0) == REQUEST
        endpoint.respond(endpoint.accept(T0), CONTENT, [], value)
        ((answer, remote),) = sent(endpoint)
        assert remote == peer and answer.payload() == value


def test_a_late_response_is_separate_and_confirmable():
    endpoint = new()
    get = packet(CON, GET, 0x0101, b"tok", b"\xb1a")
    endpoint.receive(0, get, PEER, T0)
    incoming = endpoint.accept(T0)
    endpoint.acknowledge(incoming)
    ((ack, _),) = sent(endpoint)
    assert (ack.mtype, ack.code, ack.mid, ack.size) == (ACK, 0, 0x0101, 4)
    endpoint.receive(0, get, PEER, add(T0, 2000))
    ((again, _),) = sent(endpoint)
    assert again.view == ack.view
    exchange = endpoint.respond(incoming, CONTENT, [], b"late")
    ((answer, _),) = sent(endpoint, add(T0, 3000))
    assert (answer.mtype, answer.token(), answer.payload()) == (CON, b"tok", b"late")
    assert len(sent(endpoint, add(T0, 6000))) == 1  # not acknowledged: sent again
    assert endpoint.receive(0, packet(ACK, 0, answer.mid), PEER, add(T0, 6001)) == NOTHING
    assert exchange.state == DONE and endpoint.wait_ms(add(T0, 6001)) is None


def test_the_same_message_id_with_another_token_is_another_message():
    endpoint = new(max_incoming=3)
    for token in (b"one", b"two", b""):
        assert endpoint.receive(0, packet(CON, GET, 0x0101, token), PEER, T0) == REQUEST
        endpoint.respond(endpoint.accept(T0), CONTENT, [], token)
        sent(endpoint)
    for token in (b"", b"one", b"two"):
        assert endpoint.receive(0, packet(CON, GET, 0x0101, token), PEER, T0) == NOTHING
        ((answer, _),) = sent(endpoint)
        assert answer.token() == token
    # For the fourth one the first is forgotten, and only that.
    assert endpoint.receive(0, packet(CON, GET, 0x0101, b"four"), PEER, T0) == REQUEST
    endpoint.respond(endpoint.accept(T0), CONTENT, [], b"v")
    sent(endpoint)
    assert endpoint.n_incoming == 3
    for token in (b"two", b"", b"four"):
        assert endpoint.receive(0, packet(CON, GET, 0x0101, token), PEER, T0) == NOTHING, token
    assert endpoint.receive(0, packet(CON, GET, 0x0101, b"one"), PEER, T0) == REQUEST


def test_each_peer_has_message_ids_of_its_own_that_begin_at_random():
    endpoint = new(max_exchanges=400)
    peers = [("192.0.2.%d" % n, 5683) for n in range(1, 5)]
    mids = []
    for _ in range(3):
        mids.append([])
        for peer in peers:
            exchange = endpoint.request(0, peer, GET, PATH, None)
            sent(endpoint)
            mids[-1].append(exchange.mid())
            endpoint.cancel(exchange)
    first = mids[0]
    for n in (1, 2):
        assert mids[n] == [(mid + n) & 0xFFFF for mid in first]
    assert len({mid >> 8 for mid in first}) == 4  # they lie far apart


def test_a_peer_that_was_forgotten_begins_at_another_random_message_id():
    endpoint = new()
    for keep in (False, True):
        first = endpoint.request(0, PEER, GET, PATH, None)
        endpoint.cancel(first)
        for n in range(200):
            other = endpoint.request(0, ("198.51.100.%d" % n, 5683), GET, PATH, None)
            endpoint.cancel(other)
            if keep and not n % 10:
                first = endpoint.request(0, PEER, GET, PATH, None)
                endpoint.cancel(first)
        again = endpoint.request(0, PEER, GET, PATH, None)
        endpoint.cancel(again)
        # The table has a size; a peer that is in use stays in it.
        assert ((again.mid() - first.mid()) & 0xFFFF == 1) == keep


def test_a_message_id_in_use_is_not_given_twice():
    endpoint = new(max_exchanges=4)
    waiting = endpoint.request(0, PEER, GET, PATH, None)
    sent(endpoint)
    for _ in range(0x10000):
        exchange = endpoint.start(ping(False))
        assert exchange.mid() != waiting.mid()
        endpoint.cancel(exchange)


def test_resets_with_guessed_message_ids_are_counted_and_soon_ignored():
    endpoint = new()
    exchange, request = asked(endpoint)
    endpoint.step(T0)
    for n in range(1, 21):
        guess = packet(RST, 0, (request.mid + n) & 0xFFFF)
        assert endpoint.receive(0, guess, PEER, T0) == NOTHING
    assert endpoint.receive(0, packet(RST, 0, request.mid), PEER, T0) == NOTHING
    assert endpoint.counters == {"unmatched_empty": 20, "reset_ignored": 1}
    # An answer still arrives, and after some time a Reset counts again.
    endpoint.step(add(T0, 31000))
    assert endpoint.receive(0, packet(RST, 0, request.mid), PEER, add(T0, 31000)) == REJECTED
    assert exchange.state == RESET


def test_a_confirmable_response_from_elsewhere_is_rejected():
    endpoint = new()
    _exchange, request = asked(endpoint)
    for mtype in (CON, NON):
        answer = packet(mtype, CONTENT, 0x0602, request.token())
        assert endpoint.receive(0, answer, OTHER, T0) == NOTHING
    ((reset, remote),) = sent(endpoint)
    assert (reset.mtype, reset.mid, remote) == (RST, 0x0602, OTHER)
    assert endpoint.counters == {"wrong_source": 2}


def test_a_non_confirmable_request_gets_a_non_confirmable_response():
    endpoint = new()
    get = packet(NON, GET, 0x0101, b"tok")
    endpoint.receive(0, get, PEER, T0)
    endpoint.respond(endpoint.accept(T0), CONTENT, [], b"v")
    ((answer, _),) = sent(endpoint)
    assert (answer.mtype, answer.token()) == (NON, b"tok")


def test_a_non_confirmable_request_is_sent_once():
    endpoint = new()
    exchange, request = asked(endpoint, T0, False)
    assert request.mtype == NON
    assert sent(endpoint, add(T0, 50000)) == []
    assert endpoint.step(add(T0, 93000)) is exchange


def test_ping_and_reset():
    endpoint = new()
    endpoint.receive(0, unhex("40001234"), PEER, T0)
    ((reset, _),) = sent(endpoint)
    assert (reset.mtype, reset.mid, reset.size) == (RST, 0x1234, 4)
    exchange, request = asked(endpoint)
    assert endpoint.receive(0, packet(RST, 0, request.mid), PEER, T0) == REJECTED
    assert endpoint.exchange is exchange and exchange.state == RESET
    exchange = endpoint.start(ping())
    ((message, _),) = sent(endpoint)
    assert (message.mtype, message.code, message.size) == (CON, 0, 4)
    assert endpoint.receive(0, packet(RST, 0, message.mid), PEER, T0) == REJECTED
    assert exchange.state == RESET


def test_a_confirmable_message_with_a_format_error_is_rejected_others_are_ignored():
    endpoint = new()
    endpoint.receive(0, unhex("40011234ff"), PEER, T0)
    ((reset, _),) = sent(endpoint)
    assert (reset.mtype, reset.mid) == (RST, 0x1234)
    for text in ("50011234ff", "60451234ff", "70001234ff", "00011234", "c0011234", "4001", ""):
        assert endpoint.receive(0, unhex(text), PEER, T0) == NOTHING
    # A request on an acknowledgement, a response on a reset: not in table 1 of section 4.3.
    for text in ("60011234", "70451234", "70011234"):
        assert endpoint.receive(0, unhex(text), PEER, T0) == NOTHING
    too_long = unhex("50011234 ff") + bytes(1148)  # sound but for its 1,153 bytes
    assert endpoint.receive(0, too_long, PEER, T0) == NOTHING
    assert sent(endpoint) == []
    assert endpoint.counters["malformed"] == 12


def test_nstart_holds_the_second_request_to_a_peer_back():
    endpoint = new()
    _exchange, request = asked(endpoint)
    endpoint.request(0, PEER, GET, PATH, None)
    endpoint.request(0, OTHER, GET, PATH, None)
    assert [remote for _, remote in sent(endpoint)] == [OTHER]
    assert endpoint.wait_ms(T0) > 0
    endpoint.receive(0, packet(ACK, 0, request.mid), PEER, T0)
    assert endpoint.wait_ms(T0) == 0
    assert [remote for _, remote in sent(endpoint)] == [PEER]


def test_tables_have_their_sizes():
    endpoint = new(max_exchanges=2, max_incoming=2)
    assert endpoint.request(0, PEER, GET, PATH, None)
    assert endpoint.request(0, PEER, GET, PATH, None)
    assert endpoint.request(0, PEER, GET, PATH, None) is None
    assert endpoint.counters["exchanges_full"] == 1
    kept = []
    for mid in range(2):
        endpoint.receive(0, packet(CON, GET, mid), PEER, T0)
        kept.append(endpoint.accept(T0))
    endpoint.receive(0, packet(CON, GET, 2), PEER, T0)
    assert endpoint.accept(T0) is None  # both are in work
    endpoint.respond(kept[0], CONTENT, [], b"")
    endpoint.receive(0, packet(CON, GET, 3), PEER, T0)
    assert endpoint.accept(T0) is not None  # the answered one made room


def test_an_observation_takes_answer_after_answer():
    endpoint = new()
    exchange, request = asked(endpoint)
    for mid in range(3):
        answer = packet(CON, CONTENT, mid, request.token(), b"\x61" + bytes((mid,)))
        assert endpoint.receive(0, answer, PEER, add(T0, mid)) == RESPONSE
        endpoint.accept(add(T0, mid), True)
        assert exchange.state == OBSERVING
        ((ack, _),) = sent(endpoint)
        assert ack.mid == mid
    assert endpoint.step(add(T0, 500000)) is None
    endpoint.cancel(exchange)
    late = packet(CON, CONTENT, 9, request.token(), b"\x61\x09")
    assert endpoint.receive(0, late, PEER, T0) == UNMATCHED
    endpoint.reject()
    ((reset, _),) = sent(endpoint)
    assert (reset.mtype, reset.mid) == (RST, 9)


def test_forgetting_a_peer_leaves_the_others():
    endpoint = new()
    endpoint.request(0, PEER, GET, PATH, None)
    other = endpoint.request(0, OTHER, GET, PATH, None)
    endpoint.receive(0, unhex("40001234"), PEER, T0)
    endpoint.forget_peer(0, PEER)
    assert [remote for _, remote in sent(endpoint)] == [OTHER]
    assert other.state == 1


def test_an_extended_token_is_echoed():
    endpoint = new()
    token = bytes(range(40))
    get = unhex("4d0101011b") + token  # 27 + 13 bytes
    assert endpoint.receive(0, get, PEER, T0) == REQUEST
    endpoint.respond(endpoint.accept(T0), CONTENT, [], b"v")
    ((answer, _),) = sent(endpoint)
    assert answer.token() == token


def test_an_idle_endpoint_allocates_nothing():
    endpoint = new()
    _exchange, request = asked(endpoint)
    endpoint.step(100)

    def idle():
        endpoint.step(200)
        endpoint.transmit(200)
        endpoint.wait_ms(200)

    now = T0
    endpoint.receive(0, packet(ACK, CONTENT, request.mid, request.token()), PEER, now)
    endpoint.accept(now)
    endpoint.step(100)
    no_alloc(idle)
