"""The machine: its clock, its random numbers, its resets."""

import os
import time

from micropython import const

_MASK = const(0x3FFFFFFF)
_N_AT_ONCE = const(16)

_random = []  # bytes that were drawn and not used yet


def ticks_ms():
    """Milliseconds that wrap at 2**30, the unit of every `now` (see coap/ticks.py)."""
    return time.ticks_ms() & _MASK  # the 64-bit Unix port would wrap later


def random_byte():
    """A byte from the hardware or the operating system: tokens and IDs must not be guessed."""
    if not _random:
        _random.extend(os.urandom(_N_AT_ONCE))
    return _random.pop()


def board_id():
    """What no other board has, as bytes; b"" on a host."""
    try:
        import machine

        return bytes(machine.unique_id())
    except (ImportError, AttributeError):
        return b""


def woke_from_deep_sleep():
    """Whether this start is a wake from deep sleep, which is not a failed boot."""
    try:
        import machine

        return machine.reset_cause() == machine.DEEPSLEEP_RESET
    except (ImportError, AttributeError):  # a host
        return False


def reset():
    """Restart the board; on a host it returns."""
    try:
        import machine

        machine.reset()
    except (ImportError, AttributeError):
        pass
