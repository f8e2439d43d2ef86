"""Enough of MicroPython's `micropython` module, and of its `time`, for CPython.

Ticks wrap at 2**30 as on a 32-bit board, because the 64-bit Unix port does not show that wrap.
"""

import time

_PERIOD = 1 << 30


def const(value):
    return value


def heap_lock():
    return None


def heap_unlock():
    return None


def opt_level(level=0):
    return level


def kbd_intr(chr):
    return None


def _ticks_diff(end, start, /):
    return ((end - start + _PERIOD // 2) & (_PERIOD - 1)) - _PERIOD // 2


if not hasattr(time, "ticks_ms"):
    time.ticks_ms = lambda: (time.monotonic_ns() // 1_000_000) & (_PERIOD - 1)
    time.ticks_us = lambda: (time.monotonic_ns() // 1_000) & (_PERIOD - 1)
    time.ticks_add = lambda ticks, delta, /: (ticks + delta) & (_PERIOD - 1)
    time.ticks_diff = _ticks_diff
    time.sleep_ms = lambda ms, /: time.sleep(ms / 1000)
