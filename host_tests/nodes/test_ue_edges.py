"""When a UE asks again, at the edges: of chance, of a full endpoint, of want of memory."""

from builders import DATA, RELAY, UE_ID, FakeConfiguration, document, drain, ue_settings
from msgin5g_testkit.checks import xorshift
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import CONTENT, GATEWAY_TIMEOUT, GET, MAX_AGE, NOT_FOUND
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.ticks import add
from msgin5g.ue import Backoff, ConstrainedUe
from ue_alone import alone, answer, asked, body

START = 0x3FFFFFFF - 5000  # the clock wraps meanwhile


def backoff(byte, **settings):
    return Backoff(ue_settings(**settings), lambda: byte)


def test_a_delay_lies_between_its_bounds_of_chance():
    # (first, longest, jitter, byte of chance, delays in ms)
    for first_s, max_s, percent, byte, delays in (
        (4, 300, 0, 0, [4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000]),
        (4, 300, 50, 0, [3000, 6000, 12000, 24000, 48000, 96000, 192000, 225000, 225000]),
        (4, 300, 50, 255, [4999, 9999, 19998, 39996, 79992, 159984, 280032, 225037, 225037]),
        (5, 5, 100, 0, [2500, 2500]),
        (5, 5, 100, 255, [2502, 2502]),
        (600, 1200, 100, 255, [897870, 604260]),
    ):
        made = backoff(
            byte, retry_first_s=first_s, retry_max_s=max_s, retry_jitter_percent=percent
        )
        got = [made.delay_ms() for _ in delays]
        assert got == delays, (first_s, byte)
        made.reset()
        assert made.delay_ms() == got[0]


def test_the_time_that_a_server_gives_is_a_second_to_a_day_and_a_quarter_more_at_most():
    for age_s, low_ms, high_ms in (
        (0, 1000, 1250),
        (1, 1000, 1250),
        (10, 10000, 12500),
        (119, 119000, 148750),
        (120, 120000, 150000),
        (121, 121000, 151000),
        (86400, 86400000, 86430000),
        (86401, 86400000, 86430000),
        (0xFFFFFFFF, 86400000, 86430000),
    ):
        assert backoff(0).delay_ms(age_s) == low_ms
        high = backoff(255).delay_ms(age_s)
        assert high_ms - (high_ms - low_ms) // 4000 - 1 <= high < high_ms, (age_s, high)
    # It is no failure.
    made = backoff(0, retry_first_s=4, retry_jitter_percent=0)
    assert [made.delay_ms(n) for n in (5, None, 5, None)] == [5000, 4000, 5000, 8000]


def new_shared(max_exchanges, now=START, **settings):
    """(UE, endpoint) where the UE shares an endpoint with somebody else."""
    endpoint = ServerEndpoint(xorshift(4), {}, None, None, max_exchanges)
    settings = ue_settings(**settings)
    ue = ConstrainedUe(settings, xorshift(3), FakeConfiguration(), RELAY, now, 0, endpoint)
    return ue, endpoint


def test_on_an_endpoint_without_room_it_tries_again_each_second():
    ue, endpoint = new_shared(1)
    other = endpoint.request(0, RELAY, GET, [], None)
    for n in range(1, 4):
        ue.step(add(START, 1000 * (n - 1)))
        assert endpoint.counters == {"exchanges_full": n} and not ue.client.busy
        assert ue.own_wait_ms(add(START, 1000 * (n - 1))) == 1000
        ue.step(add(START, 1000 * n - 1))
        assert endpoint.counters == {"exchanges_full": n}
    endpoint.cancel(other)
    ue.step(add(START, 3000))
    assert ue.client.busy and len(endpoint.exchanges) == 1 and ue.own_wait_ms(START) is None


def test_after_want_of_memory_it_asks_again_in_a_minute_unless_it_is_stopped():
    ue = alone(START)

    def out_of_memory(*_):
        raise MemoryError

    fetch = ue.client.fetch
    ue.client.fetch = out_of_memory
    ue.step(START)
    ue.client.fetch = fetch
    assert ue.counters == {"no_memory": 1} and ue.wait_ms(START) == 60000
    ue.step(add(START, 59999))
    assert not ue.client.busy
    ue.stop()
    assert ue.wait_ms(add(START, 60000)) is None
    ue.step(add(START, 60000))
    assert not ue.client.busy
    ue.lose(add(START, 65000))
    assert ue.wait_ms(add(START, 65000)) is None and ue.counters == {"no_memory": 2}
    ue.fetch(add(START, 70000))
    ue.step(add(START, 70000))
    assert ue.client.busy


def test_who_was_stopped_asks_for_nothing_whatever_comes():
    for code in (CONTENT, NOT_FOUND):
        ue = alone(START)
        request = asked(ue, START)
        ue.stop()
        ue.receive(0, answer(request, code, (), body()), RELAY, START)
        assert drain(ue) == [] and ue.own_wait_ms(START) is None, code
        ue.set_next_hop(("192.168.4.9", 65401), START)
        assert ue.own_wait_ms(START) is None


def test_an_answer_that_the_next_hop_gives_up_on_is_a_time_out_but_no_silence():
    ue = alone(START)
    ue.receive(0, answer(asked(ue, START), GATEWAY_TIMEOUT), RELAY, START)
    assert [event["event"] for event in drain(ue)] == ["timeout", "backing_off"]
    assert ue.n_timeouts == 0
    ue = alone(START)
    asked(ue, START)
    now = START
    while not ue.events:
        now = add(now, max(ue.wait_ms(now), 1))
        ue.step(now)
        while ue.transmit(now):
            pass
    assert [event["event"] for event in drain(ue)] == ["timeout", "backing_off"]
    assert ue.n_timeouts == 1


def test_the_seconds_of_backing_off_are_rounded():
    # Max-Age 1 and a quarter of chance more.
    for age_s in (1, 2, 7, 100):
        ue = alone(START)
        request = asked(ue, START)
        ue.receive(0, answer(request, 0xA3, [(MAX_AGE, uint_bytes(age_s))]), RELAY, START)
        event = drain(ue)[1]
        wait_ms = ue.wait_ms(START)
        assert event["event"] == "backing_off", age_s
        assert event["seconds"] == (wait_ms + 500) // 1000 and wait_ms >= 1000 * age_s


def test_a_next_hop_that_moves_is_asked_at_once_and_one_that_was_not_known_when_it_is_time():
    ue = alone(START)
    ue.receive(0, answer(asked(ue, START), CONTENT, (), body()), RELAY, START)
    drain(ue)
    assert ue.wait_ms(START) == 54000  # 60 s, less a tenth
    other = ("192.168.4.9", 65401)
    ue.set_next_hop(other, add(START, 1000))
    assert ue.wait_ms(add(START, 1000)) == 0
    ue.step(add(START, 1000))
    assert ue.transmit(add(START, 1000))[2] == other
    ue = alone(START, start_delay_s=3600)
    wait_ms = ue.wait_ms(START)
    ue.client.remote = None
    assert ue.wait_ms(START) is None
    ue.step(add(START, wait_ms))
    assert not ue.client.busy
    ue.set_next_hop(other, START)
    assert ue.wait_ms(START) == wait_ms > 0


def test_a_fetch_that_is_overdue_is_due_now():
    ue = alone(START)
    for ms in (0, 1, 5000):
        assert ue.wait_ms(add(START, ms)) == ue.own_wait_ms(add(START, ms)) == 0, ms


def test_what_is_applied_now_is_a_success_though_it_was_refused_for_want_of_memory_before():
    ue = alone(START)
    ue.configuration.try_again = True
    ue.receive(0, answer(asked(ue, START), CONTENT, (), body()), RELAY, START)
    (event,) = drain(ue)
    assert event["event"] == "applied" and event["configuration"] == {"data": DATA.encode()}
    assert ue.wait_ms(START) == 54000
    ue.configuration.step = lambda now: ("confirmed", ())
    ue.step(START)
    assert [event["event"] for event in drain(ue)] == ["confirmed"]
    assert ue.wait_ms(START) == 54000


def test_who_observes_waits_for_max_age_where_the_document_cannot_be_asked_for():
    for size, wait_ms in ((255, 0), (256, 54000)):
        ue = alone(START, observe=True)
        found = dumps([document(UE_ID, DATA, "d" * size)])
        ue.receive(0, answer(asked(ue, START), CONTENT, (), found), RELAY, START)
        assert [event["event"] for event in drain(ue)] == ["applied"]
        assert ue.wait_ms(START) == wait_ms, size
