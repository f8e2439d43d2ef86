"""The clock and the chance of the machine that we run on."""

import os
import time

from micropython import const

_MASK = const(0x3FFFFFFF)
_AT_ONCE = const(16)

_random = []  # bytes that were drawn and not given yet


def ticks_ms():
    """Milliseconds that wrap at 2**30, the unit of every `now` (see coap/ticks.py)."""
    return time.ticks_ms() & _MASK  # the 64-bit Unix port would wrap later


def random_byte():
    """A byte from the hardware, or the operating system: tokens and IDs must not be guessed."""
    if not _random:
        _random.extend(os.urandom(_AT_ONCE))
    return _random.pop()
