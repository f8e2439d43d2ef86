"""MicroPython's `machine` with pins that a test drives; see msgin5g_testkit.board.

A board of a Network has a module of its own. This one is for code that is imported outside of a
Network: all its pins are those of one board, at which nothing is connected. It has no `unique_id`:
a host is no board, and the numbers of a key of OSCORE are bound to the board that they are on.
"""

import time

from msgin5g_testkit import board as _board


class _Clock:
    elapsed_ms = 0


_made = _board.Board(_Clock, lambda ms: time.sleep(ms / 1000), lambda function, pin: function(pin))

PWRON_RESET = _board.PWRON_RESET
HARD_RESET = _board.HARD_RESET
WDT_RESET = _board.WDT_RESET
DEEPSLEEP_RESET = _board.DEEPSLEEP_RESET
SOFT_RESET = _board.SOFT_RESET
Pin = _made.machine.Pin
ADC = _made.machine.ADC
RTC = _made.machine.RTC
WDT = _made.machine.WDT
reset_cause = _made.machine.reset_cause
lightsleep = _made.machine.lightsleep
idle = _made.machine.idle
freq = _made.machine.freq
disable_irq = _made.machine.disable_irq
enable_irq = _made.machine.enable_irq


def reset():
    """It returns: there is nothing to restart."""
