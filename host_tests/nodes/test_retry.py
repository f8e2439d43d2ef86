"""When a UE asks again, and that it does so at the moments that its `wait_ms` names."""

from msgin5g_testkit.checks import load
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, uint_bytes
from msgin5g.coap.numbers import (
    BLOCK2,
    CONTENT,
    ECHO,
    ETAG,
    FORBIDDEN,
    MAX_AGE,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
)
from msgin5g.intermediary.numbers import BAD_GATEWAY, PROXYING_NOT_SUPPORTED
from msgin5g.coap.ticks import add
from msgin5g.coap.retransmission import QUEUED, SENT, Parameters
from builders import DATA, RELAY, UE_ID, document, drain, names, new_sim
from ue_alone import alone, answer, asked, body
from msgin5g_testkit.network_sim import chance

_INTERNAL_SERVER_ERROR = 0xA0  # no firmware sends it

load("msgin5g.relay", "msgin5g.ue", "msgin5g.scm.ue_config_doc", "msgin5g_testkit.servers")


def after_failures(ue, code, n, options=(), now=0):
    """The delays in ms that follow each of n answers with a code."""
    delays = []
    for _ in range(n):
        ue.receive(0, answer(asked(ue, now), code, options), RELAY, now)
        events = drain(ue)
        assert [e["event"] for e in events] == ["rejected", "backing_off"]
        delays.append(ue.wait_ms(now))
        assert abs(events[1]["seconds"] * 1000 - delays[-1]) <= 500
        now = add(now, delays[-1])
    return delays


def test_the_delay_doubles_within_jitter_and_bounds_and_a_success_ends_it():
    for code in (
        NOT_FOUND,
        FORBIDDEN,
        UNAUTHORIZED,
        _INTERNAL_SERVER_ERROR,
        BAD_GATEWAY,
        PROXYING_NOT_SUPPORTED,
    ):
        for percent in (0, 50, 100):
            ue = alone(retry_first_s=4, retry_max_s=300, retry_jitter_percent=percent)
            delays = after_failures(ue, code, 9)
            for i in range(9):
                middle = min(4 << i, 300) * 1000
                low, high = middle * (200 - percent) // 200, middle * (200 + percent) // 200
                assert low <= delays[i] <= min(high, 300000), (code, percent, delays)
            assert percent == 0 or delays[7] != delays[8]
    ue = alone(retry_first_s=4, retry_jitter_percent=0)
    now = sum(after_failures(ue, FORBIDDEN, 5))
    ue.receive(0, answer(asked(ue, now), CONTENT, (), body()), RELAY, now)
    assert names(ue) == ["applied"]
    now += ue.wait_ms(now)
    assert after_failures(ue, FORBIDDEN, 1, (), now) == [4000]


def test_different_boards_get_different_delays():
    delays = [after_failures(alone(seed=n), _INTERNAL_SERVER_ERROR, 1)[0] for n in range(1, 200)]
    assert len(set(delays)) > 180 and min(delays) < 3900 and max(delays) > 6100


def test_a_time_that_the_server_gave_is_kept_and_never_shortened():
    for code in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE):
        for max_age_s in (1, 7, 60, 3600, 7200, 86400):
            options = [(MAX_AGE, uint_bytes(max_age_s))]
            for delay in after_failures(alone(), code, 3, options):
                spread_ms = min(max_age_s * 250, 30000)
                assert max_age_s * 1000 <= delay <= max_age_s * 1000 + spread_ms
    # Not for ever, however.
    for delay in after_failures(alone(), SERVICE_UNAVAILABLE, 2, [(MAX_AGE, b"\xff\xff\xff\xff")]):
        assert 86400000 <= delay <= 86430000
    # Without it, and for what is no request to wait, the delay doubles.
    assert after_failures(alone(retry_jitter_percent=0), SERVICE_UNAVAILABLE, 3) == [
        5000,
        10000,
        20000,
    ]
    age = [(MAX_AGE, b"\x01")]
    assert after_failures(alone(retry_jitter_percent=0), NOT_FOUND, 3, age) == [5000, 10000, 20000]


def test_a_peer_that_never_answers_gets_no_more_than_the_probing_rate():
    for rate in (1, 2, 8, 100):
        ue = alone(probing_rate=rate, retry_first_s=1, retry_max_s=2)
        sent = []
        now = 0
        while now < 4000000:
            ue.step(now)
            out = ue.transmit(now)
            if out is not None:
                sent.append((now, len(out[1])))
                continue
            drain(ue)
            now += max(ue.wait_ms(now), 1)
        rounds = len(sent) // 5
        assert rounds >= (6 if rate == 1 else 12)
        for i in range(rounds - 1):
            size = sum([n for _, n in sent[5 * i : 5 * i + 5]])
            ms = sent[5 * i + 5][0] - sent[5 * i][0]
            assert ms >= 93000 and ms >= size * 1000 // rate, (rate, i)


def test_one_request_at_a_time():
    for seed in (1, 2):
        sim = ue = server = None
        link_model = chance(seed, loss=20, duplication=10, max_delay_ms=2500)
        sim, ue, _, server = new_sim(
            link_model, None, {"observe": True, "block_size": 64}, None, {"max_age_s": 100},
            seed=seed, record=False,
        )  # fmt: skip
        n = [0]

        def look():
            drain(ue)
            waiting = [e for e in ue.endpoint.exchanges if e.state in (QUEUED, SENT)]
            assert len(waiting) <= 1
            if sim.elapsed_ms > 40000 * (n[0] + 1):
                n[0] += 1
                server.change(UE_ID, document(UE_ID, DATA.replace("7", str(n[0]))))
            return False

        sim.run(look, 900000)
        assert n[0] > 15 and ue.configuration.n_applied > 4


def test_boards_that_one_switch_powers_on_do_not_ask_in_the_same_second():
    for spread_s in (3, 60, 3600):
        at = [alone(0, 7919 * n + 1, start_delay_s=spread_s).wait_ms(0) for n in range(1000)]
        tenths = [0] * 11
        for ms in at:
            tenths[ms // (spread_s * 100)] += 1
        assert tenths[10] == 0 and all(60 <= n <= 140 for n in tenths[:10]), tenths
    assert alone().wait_ms(0) == 0


# The moments


def script(n, request):
    """What becomes of the n-th datagram of the UE: an answer or None, and its delay."""
    if n < 5 or n in (7, 12):
        return None, 0
    if n == 5:
        return answer(request, SERVICE_UNAVAILABLE, [(MAX_AGE, b"\x03")]), 40
    if n in (6, 10):
        return answer(request, NOT_FOUND), 700
    if n == 9:
        return bytes((0x70, 0, request.mid >> 8, request.mid & 255)), 30
    if request.find(OBSERVE) >= 0:
        document_body = dumps(document(UE_ID, DATA))
        return answer(request, CONTENT, [(OBSERVE, bytes((n,)))], document_body), 55
    return answer(request, CONTENT, [(ETAG, b"e"), (MAX_AGE, b"\x32")], body()), 120


def life(start, by_wait, limit_ms):
    """(ms, datagram) of all that a UE sends, looked at each ms or when it wants to be."""
    parameters = Parameters(200, 150, 4)
    ue = alone(start, start_delay_s=2, observe=True, parameters=parameters, refresh_min_s=20)
    sent = []
    coming = []
    ms = 0
    while ms < limit_ms:
        now = add(start, ms)
        for item in [c for c in coming if c[0] == ms]:
            coming.remove(item)
            ue.receive(0, item[1], RELAY, now)
        drain(ue)
        ue.step(now)
        while True:
            out = ue.transmit(now)
            if out is None:
                break
            datagram = bytes(out[1])
            reply, delay_ms = None, 0
            if datagram[1]:
                reply, delay_ms = script(len(sent), Message(32).decode(datagram))
            if reply:
                coming.append((ms + delay_ms, reply))
            sent.append((ms, datagram))
        drain(ue)
        if by_wait:
            wait_ms = ue.wait_ms(now)
            assert wait_ms != 0, (ms, sent)
            at = [c[0] for c in coming] + [limit_ms if wait_ms is None else ms + wait_ms]
            ms = min(at)
        else:
            ms += 1
    return sent


def test_looked_at_only_when_it_wants_to_be_it_sends_the_same_at_the_same_moments():
    for start in (0, 0x3FFFFFFF - 30000):
        each = life(start, False, 250000)
        assert len(each) > 15
        assert life(start, True, 250000) == each


# Echo, Reset


def test_an_echo_is_given_back_with_the_same_request():
    ue = alone()
    request = asked(ue, 0)
    ue.receive(0, answer(request, UNAUTHORIZED, [(ECHO, b"fresh")]), RELAY, 0)
    again = asked(ue, 0)
    assert again.option(ECHO) == b"fresh" and again.mid != request.mid and ue.poll() is None
    assert again.token() != request.token()
    ue.receive(0, answer(again, CONTENT, [(ETAG, b"e")], body()), RELAY, 0)
    assert names(ue) == ["applied"]
    # With its ETag, and for a block of a transfer.
    request = asked(ue, 54000)
    ue.receive(0, answer(request, UNAUTHORIZED, [(ECHO, 40 * b"x")]), RELAY, 54000)
    again = asked(ue, 54000)
    assert again.option(ECHO) == 40 * b"x" and again.option(ETAG) == b"e"
    block = [(BLOCK2, b"\x0a")]
    ue.receive(0, answer(again, CONTENT, block, body()[:64]), RELAY, 54000)
    request = asked(ue, 54000)
    assert request.uint(BLOCK2) == 0x12 and request.find(ECHO) < 0
    ue.receive(0, answer(request, UNAUTHORIZED, [(ECHO, b"more")]), RELAY, 54000)
    again = asked(ue, 54000)
    assert again.uint(BLOCK2) == 0x12 and again.option(ECHO) == b"more"


def test_echoes_are_bounded_in_number_and_size():
    ue = alone()
    for n in range(3):
        ue.receive(0, answer(asked(ue, 0), UNAUTHORIZED, [(ECHO, bytes((n,)))]), RELAY, 0)
        assert ue.poll() is None
    ue.receive(0, answer(asked(ue, 0), UNAUTHORIZED, [(ECHO, b"x")]), RELAY, 0)
    assert names(ue) == ["rejected", "backing_off"]
    for echo in (b"", 41 * b"x"):
        ue = alone()
        ue.receive(0, answer(asked(ue, 0), UNAUTHORIZED, [(ECHO, echo)]), RELAY, 0)
        assert names(ue) == ["rejected", "backing_off"]
    ue = alone()
    ue.receive(0, answer(asked(ue, 0), FORBIDDEN, [(ECHO, b"x")]), RELAY, 0)
    assert names(ue) == ["rejected", "backing_off"]


def test_a_reset_ends_a_registration_which_is_tried_again_later():
    ue = alone(observe=True)
    ue.client.document_id = b"doc-1"
    for now in (0, 20000, 60000):
        request = asked(ue, now)
        assert request.uint(OBSERVE) == 0
        ue.receive(0, bytes((0x70, 0, request.mid >> 8, request.mid & 255)), RELAY, now)
        assert names(ue) == ["rejected", "backing_off"]
        assert not ue.client.busy and not ue.client.observing
        assert ue.endpoint.wait_ms(now) is None


def test_who_was_given_an_appointment_has_not_failed():
    ue = alone(retry_first_s=5, retry_max_s=3600, retry_jitter_percent=0)
    given = after_failures(ue, SERVICE_UNAVAILABLE, 10, [(MAX_AGE, b"\x03")])
    assert all(3000 <= delay <= 3750 for delay in given), given
    # A relay that was busy for long and is silent once is no reason to wait for an hour.
    now = sum(given)
    assert after_failures(ue, NOT_FOUND, 3, (), now) == [5000, 10000, 20000]
    now += 35000
    (given,) = after_failures(ue, SERVICE_UNAVAILABLE, 1, [(MAX_AGE, b"\x07")], now)
    assert 7000 <= given <= 8750
    assert after_failures(ue, NOT_FOUND, 1, (), now + given) == [40000]
