"""VirtualBoard: the board as a Python object."""

import hashlib
import os
import re
import threading
from pathlib import Path

import click

from msgin5g_tools.board.console import Console
from msgin5g_tools.board.errors import BoardError
from msgin5g_tools.board.image import IMAGE_SIZE, open_image
from msgin5g_tools.board.port import HostPort
from msgin5g_tools.board.supervisor import Supervisor
from msgin5g_tools.device.boards import BOARDS

_START_TIMEOUT_S = 10
_MIN_HEAP = 32 << 10
_MAX_HEAP = 256 << 20
_N_PINS = 48
# What sys, machine and the flash take here, see onboard/: on a board they are part of the
# interpreter, and not on its heap.
_OWN_HEAP = 19 << 9
_BOARD_PINS = 16  # where in the shared state the board's levels begin, and the host's
_HOST_PINS = 64
_ANALOG = 112
_MAX_ANALOG = 65535


def heap_bytes(text):
    """Bytes from text as MicroPython's own option takes it: 98304, 96K, 1M."""
    match = re.fullmatch(r"(\d{1,9})([KkMm]?)", str(text))
    if not match:
        raise BoardError(f"heap {text}: a number with K or M, as 96K")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2].lower()]
    if not _MIN_HEAP <= size <= _MAX_HEAP:
        raise BoardError(f"heap {text}: from {_MIN_HEAP >> 10}K to {_MAX_HEAP >> 20}M")
    return size


class HeapSize(click.ParamType):
    """The value of an option --heap; stays a text, as MicroPython's own option takes it."""

    name = "size"

    def convert(self, value, parameter, context):
        try:
            heap_bytes(value)
        except BoardError as error:
            self.fail(str(error), parameter, context)
        return value


class VirtualBoard:
    """A real MicroPython with a board's heap, a LittleFS image for its flash and a pty for USB.

    `with` switches it on and off. `port` is the path to give to mpremote, ampy or a terminal
    program, `output` a Console. `board`: the name of the board that it stands for. BoardError
    names the fault of the arguments or the image.
    """

    def __init__(
        self, heap="192K", image=None, link=None, image_size=IMAGE_SIZE, board="RPI_PICO_W"
    ):
        self.heap_size = heap_bytes(heap)
        if board not in BOARDS:
            raise BoardError(f"board {board}: must be one of {', '.join(sorted(BOARDS))}")
        self._board = BOARDS[board]
        self.image = None if image is None else Path(image)
        self.output = Console()
        self.port = None
        self._image_size = image_size
        self._link = link
        self._host_port = None
        self._descriptors = ()
        self._supervisor = None
        self._thread = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Switch it on; return when its file system is mounted and boot.py is about to run."""
        if self._thread is not None:
            raise BoardError("the board is on already")
        if not hasattr(os, "memfd_create"):
            raise BoardError("the virtual board needs Linux")
        image, blank = open_image(self.image, self._image_size)
        state = os.memfd_create("board")
        self._descriptors = (image, state)
        try:
            os.pwrite(state, b"\xff" * (_HOST_PINS + _N_PINS), 0)
            os.pwrite(state, self._unique_id(), 1)
            os.pwrite(state, bytes(2 * _N_PINS), _ANALOG)
            self.output = Console()
            port = self._host_port = HostPort(self._link)
            self.port = port.path
            self._supervisor = Supervisor(
                self.heap_size + _OWN_HEAP, image, blank, state, port, self.output, self._board
            )
            self._thread = threading.Thread(
                target=self._supervisor.run, name=f"board {port.path}", daemon=True
            )
            self._thread.start()
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Switch it off and leave nothing behind but the image."""
        if self._thread is not None:
            self._supervisor.request(self._supervisor.stop)
            self._thread.join()
            self._thread = None
        if self._host_port is not None:
            self._host_port.close()
            self._host_port = None
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = ()

    def wait(self):
        """Block until the board ends by itself; BoardError gives the reason."""
        self._supervisor.ended.wait()
        if self._supervisor.error:
            raise BoardError(self._supervisor.error)

    @property
    def resets(self):
        """How it came to start, each time.

        power on, soft reset, hard reset, watchdog, deep sleep, crash.
        """
        return tuple(self._supervisor.resets)

    def power_cut(self):
        """Between two instructions everything is gone but what the flash has; the port stays."""
        self._supervisor.request(self._supervisor.power_off)

    def power_on(self):
        self._supervisor.request(self._supervisor.power_on)
        self._wait_ready()

    def reset(self):
        """Press the reset button."""
        self._supervisor.request(self._supervisor.reset)
        self._wait_ready()

    def pin(self, number):
        """The level that the board has given a pin: 0, 1, or None if it has not."""
        level = os.pread(self._descriptors[1], 1, _BOARD_PINS + _checked(number))[0]
        return level if level < 2 else None

    def set_pin(self, number, level):
        """Drive a pin from outside; None lets it go."""
        value = b"\xff" if level is None else bytes((bool(level),))
        os.pwrite(self._descriptors[1], value, _HOST_PINS + _checked(number))

    def set_analog(self, number, value):
        """What machine.ADC(number).read_u16() gives: 0 to 65535."""
        if not 0 <= value <= _MAX_ANALOG:
            raise ValueError(f"analog value {value}: 0 to {_MAX_ANALOG}")
        at = _ANALOG + 2 * _checked(number)
        os.pwrite(self._descriptors[1], value.to_bytes(2, "little"), at)

    def _unique_id(self):
        """Six bytes that belong to the image, so that a board keeps its ID."""
        name = os.urandom(16) if self.image is None else os.fsencode(self.image.resolve())
        return hashlib.sha256(name).digest()[:6]

    def _wait_ready(self):
        if not self._supervisor.ready.wait(_START_TIMEOUT_S):
            said = self.output.text()[-200:]
            raise BoardError(f"the interpreter did not start; it printed {said!r}")
        if self._supervisor.error:
            raise BoardError(self._supervisor.error)


def _checked(number):
    if not 0 <= number < _N_PINS:
        raise ValueError(f"pin {number}: 0 to {_N_PINS - 1}")
    return number
