"""The virtual board: real MicroPython with a board's heap, flash and USB port.

    from msgin5g_tools.board import BoardError, VirtualBoard

    with VirtualBoard(heap="96K", image="ue.img") as board:
        subprocess.run(["mpremote", "connect", board.port, "cp", "main.py", ":"], check=True)
        mark = board.output.mark()
        board.reset()                                    # or: mpremote connect PORT reset
        for line in board.output.lines(timeout=20, since=mark):
            ...                                          # as main.py prints, port open or not

VirtualBoard(heap="192K", image=None, link=None, image_size=1 << 20, board="RPI_PICO_W")
    start() stop()              or `with`; the image is a temporary one unless it is named
    port                        the path of the pty
    output                      a Console: all that the board has printed, beside the port
    resets                      ("power on", "soft reset", "hard reset", "watchdog", "deep sleep",
                                "crash", ...)
    reset()                     the reset button
    power_cut() power_on()      the flash keeps what was written, nothing else
    pin(n) set_pin(n, level)    what machine.Pin(n) drives, and what it reads
    set_analog(n, value)        what machine.ADC(n).read_u16() gives
    wait()                      until the board ends by itself, which is an error

Console
    text(since=0) raw(since=0)  so far; positions count bytes
    mark()                      the position of what comes next
    wait_for(pattern, timeout=10.0, since=0)   the match of a regular expression
    lines(timeout=10.0, since=0)               complete lines as they come

BoardError is the only exception for what a person can put right; TimeoutError is what waiting
raises. The watchdog of machine.WDT, once started, goes on in the REPL and through a soft reset,
as an RP2040's does. machine.deepsleep ends the interpreter and starts it again after its time,
with the RTC memory and the reset cause of an ESP32.
"""

from msgin5g_tools.board.console import Console
from msgin5g_tools.board.errors import BoardError
from msgin5g_tools.board.virtual import VirtualBoard

__all__ = ["BoardError", "Console", "VirtualBoard"]
