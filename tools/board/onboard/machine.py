"""The `machine` module of the virtual board: what the Unix port's own lacks.

`control` carries words to the supervisor, which resets the board and keeps the watchdog. `state`
is shared with it: the reset cause, the unique ID, and for each pin the level that the board and
the level that the host has set (255: none).
"""

import gc
import sys

from umachine import PinBase, Signal, idle, soft_reset, time_pulse_us  # noqa: F401

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

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


class WDT:
    """A watchdog that cannot be stopped: unfed for `timeout` milliseconds, the board resets."""

    def __init__(self, id=0, timeout=5000):
        self._word = b"watchdog %d" % timeout
        self.feed()

    def feed(self):
        control.write(self._word)
