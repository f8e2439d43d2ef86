"""The `machine` module of the virtual board: what the Unix port's own lacks.

`control` carries words to the supervisor, which resets the board, wakes it from deep sleep and
keeps the watchdog. `state` is shared with it: the reset cause, the unique ID, for each pin the
level that the board and the level that the host has set (255: none), what each analog input reads
(two bytes), and the size and the bytes of the RTC memory.
"""

import gc
import sys

from micropython import const
from umachine import PinBase, Signal, idle, soft_reset, time_pulse_us  # noqa: F401

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_ANALOG = const(112)
_RTC_MEMORY = const(208)
_MAX_RTC_MEMORY = const(2048)  # of an ESP32

control = None
state = None


def ending(namespace):
    """What a soft reset does last: the files that a program has left open are closed."""

    def end():
        for thing in namespace.values():
            if type(thing).__name__ in ("FileIO", "TextIOWrapper"):
                try:
                    thing.close()
                except OSError:
                    pass  # the flash is full: what did not fit is lost, as on a board
        namespace.clear()
        sys.modules.clear()
        gc.collect()  # closes the others, where nothing on the stack still points to them

    return end


def reset():
    control.write(b"reset")
    while True:
        idle()


def deepsleep(time_ms=None):
    control.write(b"deepsleep" if time_ms is None else b"deepsleep %d" % max(time_ms, 0))
    while True:
        idle()


def reset_cause():
    state.seek(0)
    return state.read(1)[0]


def unique_id():
    state.seek(1)
    return state.read(6)


def freq(hz=None):
    return None if hz else 160000000


class Pin(PinBase):
    """A pin whose level the host sees and sets; an input that nobody drives follows its pull."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self._id = 25 if id == "LED" else id
        if not 0 <= self._id < 48:
            raise ValueError("invalid pin")
        self._pulled = 0
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if pull != -1:
            self._pulled = int(pull == self.PULL_UP)
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is not None:
            state.seek(16 + self._id)
            state.write(b"\1" if level else b"\0")
            return None
        for at in (64, 16):
            state.seek(at + self._id)
            level = state.read(1)[0]
            if level < 2:
                return level
        return self._pulled

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self.value())


class ADC:
    """An analog input; it reads what the host has set, 0 at first."""

    def __init__(self, id):
        self._id = Pin(id)._id if not isinstance(id, Pin) else id._id

    def read_u16(self):
        state.seek(_ANALOG + 2 * self._id)
        return int.from_bytes(state.read(2), "little")


class RTC:
    """Its memory survives deep sleep and resets, not a power cut."""

    def memory(self, data=None):
        state.seek(_RTC_MEMORY)
        if data is None:
            return state.read(int.from_bytes(state.read(2), "little"))
        if len(data) > _MAX_RTC_MEMORY:
            raise ValueError("buffer too long")
        state.write(len(data).to_bytes(2, "little") + data)
        return None


class WDT:
    """A watchdog that cannot be stopped: unfed for `timeout` milliseconds, the board resets."""

    def __init__(self, id=0, timeout=5000):
        self._word = b"watchdog %d" % timeout
        self.feed()

    def feed(self):
        control.write(self._word)
