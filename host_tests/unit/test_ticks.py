"""Moments wrap at 2**30 with the functions of `time` and with ours."""

from msgin5g.coap.ticks import add, diff, shorter

MAX_MS = 0x1FFFFFFF  # the longest wait, 6.2 days

LAST = 0x3FFFFFFF


def test_a_moment_after_the_last_one_is_small_again():
    assert add(LAST, 1) == 0 and add(LAST, 1000) == 999 and add(5, 0) == 5
    assert add(LAST, MAX_MS) == MAX_MS - 1


def test_a_difference_has_the_sign_of_the_order_across_the_wrap():
    for earlier, later, ms in (
        (0, 1, 1),
        (LAST, 0, 1),
        (LAST - 700, 299, 1000),
        (100, 100 + MAX_MS, MAX_MS),
        (LAST, MAX_MS - 1, MAX_MS),
    ):
        assert diff(later, earlier) == ms and diff(earlier, later) == -ms, (earlier, later)
    assert diff(7, 7) == 0


def test_the_shorter_of_two_waits_knows_the_endless_one():
    assert shorter(None, None) is None
    assert shorter(None, 5) == shorter(5, None) == shorter(5, 6) == 5
