"""The hardware watchdog, which resets a board whose loop hangs.

No port lets a program stop a watchdog once it runs; that of the RP2040 even survives a soft
reset. So it is started only when the settings say so, and the loop feeds it, which never waits
longer than a third of its time. During start-up, while a name is being looked up and while a
person works at the REPL a timer feeds it instead (`hold`): interrupts are served then, but the
loop does not run.
"""

import sys

import machine
from micropython import const

_RP2_LONGEST_MS = const(8388)  # a counter of 24 bits, in half microseconds
_NO_TIMER_MS = const(3600000)


class Watchdog:
    """A service of a node: resets the board unless `step` is called within `timeout_ms`."""

    def __init__(self, timeout_ms):
        if sys.platform == "rp2":
            timeout_ms = min(timeout_ms, _RP2_LONGEST_MS)
        self.timeout_ms = timeout_ms
        self._timer = None
        self._n_feeds = None  # of the timer, still to come; None: for ever
        self._wdt = machine.WDT(timeout=timeout_ms)

    def step(self, now):
        """The loop runs: feed the watchdog."""
        self._wdt.feed()

    def wait_ms(self, now):
        """The longest time in milliseconds that the loop may wait."""
        return self.timeout_ms // 3

    @property
    def held(self):
        """Whether a timer feeds it."""
        return self._timer is not None

    def hold(self, limit_ms=None):
        """Let a timer feed it until `release`, or for `limit_ms`: what takes longer has hung."""
        self._wdt.feed()
        period_ms = self.timeout_ms // 3
        self._n_feeds = None if limit_ms is None else limit_ms // period_ms
        if hasattr(machine, "Timer"):
            if self._timer is not None:
                return
            # The ESP32 has numbered timers only, the RP2 only one without a number.
            self._timer = machine.Timer(0 if sys.platform == "esp32" else -1)
            self._timer.init(
                period=period_ms,
                mode=machine.Timer.PERIODIC,
                callback=self._feed,
            )
        else:  # the virtual board has no timer, but its watchdog accepts a new timeout
            self._timer = machine.WDT(timeout=limit_ms or _NO_TIMER_MS)

    def _feed(self, timer):
        if self._n_feeds is None:
            self._wdt.feed()
        elif self._n_feeds > 0:
            self._n_feeds -= 1
            self._wdt.feed()

    def release(self):
        """The loop feeds it again."""
        timer = self._timer
        self._timer = None
        if timer is not None:
            if hasattr(timer, "deinit"):
                timer.deinit()
            else:
                self._wdt = machine.WDT(timeout=self.timeout_ms)
        self._wdt.feed()
