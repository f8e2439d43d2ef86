"""The table of linked UEs (TS 24.538 6.2.2.1), and the limit of requests in a second."""

from msgin5g.coap.ticks import add
from msgin5g.intermediary.link_table import LinkTable
from msgin5g.intermediary.rate_limiter import RateLimiter

START = 0x3FFFFFFF - 300  # the clock wraps in between


def test_a_ue_is_found_by_its_id_and_by_its_address():
    links = LinkTable(2)
    assert links.up(b"urn:a", 0, "a") and links.up(b"urn:b", 1, "b")
    assert not links.up(b"urn:c", 0, "c") and len(links) == 2  # full
    assert sorted(ue.ue_id for ue in links) == [b"urn:a", b"urn:b"]
    assert links.from_address(0, "a") is links.of_ue(b"urn:a")
    assert links.from_address(1, "a") is None and links.from_address(0, "c") is None
    assert links.down(b"urn:a").remote == "a" and links.down(b"urn:a") is None
    assert [ue.ue_id for ue in links] == [b"urn:b"] and links.from_address(0, "a") is None


def test_a_ue_that_is_reported_again_keeps_its_link_and_one_that_has_moved_gets_another():
    links = LinkTable(2)
    links.up(b"urn:a", 0, "a")
    first = links.of_ue(b"urn:a")
    assert not links.has_moved(b"urn:a", 0, "a") and links.up(b"urn:a", 0, "a")
    assert links.of_ue(b"urn:a") is first
    assert links.has_moved(b"urn:a", 0, "x") and not links.has_moved(b"urn:b", 0, "x")
    assert links.up(b"urn:a", 0, "x") and links.from_address(0, "a") is None
    assert not links.up(b"urn:b", 0, "x")  # the address of another UE


def test_remotes_with_the_same_key_are_one_address():
    links = LinkTable(2, lambda remote: remote[0])
    links.up(b"urn:a", 0, ("host", 1))
    assert links.from_address(0, ("host", 2)) is links.of_ue(b"urn:a")


def test_a_ue_that_has_moved_is_at_its_former_address_no_longer_whatever_the_port():
    links = LinkTable(2, lambda remote: remote[0])
    links.up(b"urn:a", 0, ("host", 1))
    assert links.has_moved(b"urn:a", 0, ("host", 2)) and links.has_moved(b"urn:a", 1, ("host", 1))
    assert links.up(b"urn:a", 0, ("other", 1)) and len(links) == 1
    assert links.from_address(0, ("host", 1)) is None
    assert links.up(b"urn:b", 0, ("host", 3)) and not links.up(b"urn:b", 0, ("other", 5))
    assert links.up(b"urn:b", 1, ("host", 3))  # over another transport
    assert links.from_address(0, ("host", 3)) is None
    assert links.from_address(1, ("host", 4)) is links.of_ue(b"urn:b")
    assert links.down(b"urn:a").remote == ("other", 1)
    assert links.from_address(0, ("other", 1)) is None and len(links) == 1


def test_no_more_requests_than_the_rate_go_in_any_second():
    limiter = RateLimiter(3)
    assert [limiter.take(add(START, ms)) for ms in (0, 100, 200, 900)] == [True] * 3 + [False]
    assert limiter.wait_ms(add(START, 900)) == 100
    assert limiter.wait_ms(add(START, 1000)) == limiter.wait_ms(add(START, 1700)) == 0
    assert limiter.take(add(START, 1000)) and not limiter.take(add(START, 1050))
    assert limiter.take(add(START, 1100))
    # After a pause all of them are there again.
    assert [limiter.take(add(START, 5000)) for _ in range(4)] == [True] * 3 + [False]
    # After a very long one, too, when the clock has wrapped and the old moments seem to come.
    late = add(add(START, 0x17FFFFFF), 0x18000000)  # a board adds less than half its period
    assert limiter.wait_ms(late) == 0
    assert [limiter.take(late) for _ in range(4)] == [True] * 3 + [False]
    # So it is when they seem to come in a millisecond.
    earlier = add(late, -1)
    assert limiter.wait_ms(earlier) == 0 and limiter.take(earlier)


def test_a_table_for_which_nothing_else_is_said_has_room_for_32_links():
    links = LinkTable()
    linked = [links.up(b"urn:%d" % n, 0, n) for n in range(33)]
    assert linked == 32 * [True] + [False] and len(links) == 32
