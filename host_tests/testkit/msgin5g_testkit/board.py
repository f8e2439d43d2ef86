"""The hardware of a virtual board: pins, analog inputs, watchdog, RTC, resets, deep sleep.

`Board.machine` is what `import machine` gives to the firmware and to the application of this
board. It has Pin, ADC, RTC, WDT, the resets and the sleeps. For what else an application uses a
test gives a substitute, by its name: `ue.board.parts["I2C"] = MyI2C`.
"""

_MAX_LEVELS = 256

# What `machine.reset_cause()` gives; the numbers are those of the ESP32.
PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


class Restart(BaseException):
    """The board restarts: it unwinds what runs, past each `except Exception`."""


class PinState:
    """One pin, in the hands of a test.

    level: 0 or 1, what it has now. levels: list of (ms since the start, level), what the
    application has written, the last 256.
    """

    def __init__(self, board, number):
        self._board = board
        self._number = number
        self._outside = None  # what drives it, None when nothing does
        self._written = 0
        self.mode = None
        self.pull = None
        self.levels: list = []
        self.handler = None
        self.trigger = 0

    @property
    def level(self) -> int:
        if self.mode == 1 or self._outside is None:
            return self._written if self.mode == 1 else int(self.pull == 1)
        return self._outside

    def drive(self, level: "int | None") -> None:
        """Connect the pin to 0 or 1 from outside, None: to nothing. It calls the pin's `irq`."""
        before = self.level
        self._outside = level
        edge = 1 if self.level > before else 2 if self.level < before else 0
        if self.handler and edge & self.trigger:
            self._board.call(self.handler, self._board.machine.Pin(self._number))

    def press(self) -> None:
        """Press a button that connects the pin to ground."""
        self.drive(0)

    def release(self) -> None:
        """Release that button."""
        self.drive(None)

    def write(self, level: int) -> None:
        """The application writes."""
        self._written = level
        self.levels.append((self._board.clock.elapsed_ms, level))
        del self.levels[:-_MAX_LEVELS]


class Board:
    """The hardware of one UE. It keeps its flash, its RTC memory and its clock through resets.

    clock: has elapsed_ms. sleep: a function of ms for which the board does nothing. call: a
    function that calls an interrupt handler as the board does. analog: {pin: 0 to 65535}. parts:
    {name: what `machine` has by that name} beside its own, from the next start on.
    off_ms: set when the board has ended: how long it stays off; None while it runs.
    """

    def __init__(self, clock, sleep, call, unique_id: bytes = b"\x00\x01\x02\x03\x04\x05"):
        self.clock = clock
        self.sleep = sleep
        self.call = call
        self.unique_id = unique_id
        self.analog: dict = {}
        self.parts: dict = {}
        self.rtc_memory = b""
        self.cause = PWRON_RESET
        self._pins: dict = {}
        self.start()

    def start(self) -> None:
        """Power is there, or the reset is over: the pins are as after a reset."""
        self.off_ms: "int | None" = None
        self._watchdog_ms = None
        self._fed_at = 0
        for pin in self._pins.values():
            pin.mode = pin.pull = pin.handler = None
        self.machine = _machine_of(self)

    def pin(self, number) -> PinState:
        """A pin by its number or name."""
        if number not in self._pins:
            self._pins[number] = PinState(self, number)
        return self._pins[number]

    def end(self, cause: int, off_ms: int) -> None:
        """The board ends now, and starts again after off_ms with this reset cause."""
        if self.off_ms is None:
            self.cause, self.off_ms = cause, off_ms
        if cause == PWRON_RESET:
            self.rtc_memory = b""

    def start_watchdog(self, timeout_ms: int) -> None:
        """From now on the board resets unless `feed` comes within timeout_ms."""
        self._watchdog_ms = timeout_ms
        self.feed()

    def feed(self) -> None:
        """Begin the time of the watchdog anew."""
        self._fed_at = self.clock.elapsed_ms

    def watchdog_left_ms(self) -> "int | None":
        """Until the watchdog resets the board; None when it does not run."""
        if self._watchdog_ms is None:
            return None
        return self._fed_at + self._watchdog_ms - self.clock.elapsed_ms


class _Machine:
    """What `import machine` gives."""

    PWRON_RESET = PWRON_RESET
    HARD_RESET = HARD_RESET
    WDT_RESET = WDT_RESET
    DEEPSLEEP_RESET = DEEPSLEEP_RESET
    SOFT_RESET = SOFT_RESET

    def __init__(self, board):
        self._board = board

    def __repr__(self):
        return "<machine of the test kit>"

    def reset(self):
        self._board.end(HARD_RESET, 500)
        raise Restart()

    def soft_reset(self):
        self._board.end(SOFT_RESET, 100)
        raise Restart()

    def reset_cause(self):
        return self._board.cause

    def deepsleep(self, time_ms=None):
        if time_ms is None:
            raise ValueError("it would sleep for ever")
        self._board.end(DEEPSLEEP_RESET, time_ms)
        raise Restart()

    def lightsleep(self, time_ms=0):
        self._board.sleep(time_ms)

    def idle(self):
        self._board.sleep(1)

    def unique_id(self):
        return self._board.unique_id

    def freq(self, hz=None):
        return 125000000

    def disable_irq(self):
        return 0

    def enable_irq(self, state):
        return None


def _machine_of(board):
    """A new module `machine`, with classes that know their board."""
    made = _Machine(board)

    class Pin(_Pin):
        def __init__(self, id, mode=None, pull=None, value=None):
            self._state = board.pin(id)
            self.init(mode, pull, value)

    class ADC:
        def __init__(self, id):
            self._pin = id

        def read_u16(self):
            return board.analog.get(self._pin, 0)

    class RTC:
        def memory(self, data=None):
            if data is None:
                return board.rtc_memory
            board.rtc_memory = bytes(data)

    class WDT:
        def __init__(self, id=0, timeout=5000):
            board.start_watchdog(timeout)

        def feed(self):
            board.feed()

    made.Pin, made.ADC, made.RTC, made.WDT = Pin, ADC, RTC, WDT
    for name in board.parts:
        setattr(made, name, board.parts[name])
    return made


class _Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def init(self, mode=None, pull=None, value=None):
        if mode is not None:
            self._state.mode = mode
        if pull is not None:
            self._state.pull = pull
        if value is not None:
            self._state.write(int(bool(value)))

    def value(self, level=None):
        if level is None:
            return self._state.level
        self._state.write(int(bool(level)))

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self._state.level)

    def irq(self, handler=None, trigger=3):
        self._state.handler = handler
        self._state.trigger = trigger
