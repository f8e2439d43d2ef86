"""Milliseconds that wrap at 2**30, as MicroPython's ticks do on a 32-bit board.

Moments (`..._at`, `now`) are 0 to 2**30 - 1; two of them compare correctly while they are
less than 2**29 ms (6.2 days) apart. All values are small integers on a board of 32 bits.

    add(moment, ms)         the moment `ms` milliseconds after `moment`; `ms` is below 2**29
    diff(later, earlier)    milliseconds from `earlier` to `later`, negative in the other order

On a board they are the functions of `time`: no call into Python code.
"""

import time

from micropython import const

_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)

if hasattr(time, "ticks_add") and time.ticks_add(_MASK, 1) == 0:
    add = time.ticks_add
    diff = time.ticks_diff
else:
    # The period of a 64-bit port is longer, and CPython has no ticks.

    def add(moment, ms):
        return (moment + ms) & _MASK

    def diff(later, earlier):
        return ((later - earlier) & _MASK ^ _HALF) - _HALF


def shorter(a, b):
    """The shorter of two waits in ms, None is endless."""
    if a is None:
        return b
    if b is None:
        return a
    return min(a, b)
