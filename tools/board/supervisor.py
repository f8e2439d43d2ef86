"""Supervise the interpreter: its port, resets, watchdog and end.

One thread, one loop, woken by events: bytes at the port, writes of the board, the board's end, a
timer that has run out, or a request of the thread that owns the board.
"""

import errno
import os
import queue
import select
import threading
import time

from msgin5g_tools.board.errors import BoardError
from msgin5g_tools.board.interpreter import CONSOLE, RAW, Interpreter
from msgin5g_tools.board.terminal import Keyboard, Screen, exception_text

POWER_ON = ("power on", 1)  # what the owner reads, what machine.reset_cause() gives
HARD_RESET = ("hard reset", 2)
CRASH = ("crash", 2)
WATCHDOG = ("watchdog", 3)
DEEP_SLEEP = ("deep sleep", 4)
SOFT_RESET = ("soft reset", 5)

RTC_MEMORY = 208  # where in the shared state it is: see onboard/machine.py

_MAX_EARLY_ENDS = 3
_NUDGES_S = (0.01, 0.1, 1)  # after a Ctrl-C: see launch.py
_BATCH = 64  # writes of the board for each look at the host: a flood must not hide a Ctrl-C


class Supervisor:
    """Keeps one board running until `stop`; `run` is the body of its thread."""

    def __init__(self, heap_size, image, blank, state, port, console, board):
        self._board = board
        self._heap_size = heap_size
        self._image = image
        self._blank = blank
        self._state = state
        self._port = port
        self._console = console
        self._keyboard = Keyboard()
        self._screen = Screen()
        self._child = None
        self._running = False  # the file system is mounted, stdin is open to the host
        self._in_raw_repl = False
        self._shown = bytearray()
        self._exception = None  # the pieces of a traceback that is being written
        self._starve_at = None
        self._wake_at = None  # from deep sleep
        self._nudge_at = []
        self._boot_mark = 0
        self._n_early_ends = 0
        self._requests = queue.SimpleQueue()
        self._wake_end, self._wake = os.pipe()
        self._stopping = False
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.ready = threading.Event()  # mounted, or given up
        self.resets = []
        self.error = None

    def request(self, action):
        """Have `action` done by the loop; return when it is done, or when nothing loops."""
        done = threading.Event()
        with self._lock:
            if self.ended.is_set():
                return
            self._requests.put((action, done))
            os.write(self._wake, b".")
        done.wait()

    def run(self):
        try:
            self.power_on()
            while not self._stopping:
                self._turn()
        except BoardError as error:
            self.error = str(error)
            self._shown += f"\r\nboard: {error}\r\n".encode()
        except Exception as error:
            self.error = f"a bug in tools/board: {error!r}"
            raise
        finally:
            self.power_off()
            self._flush()
            self._console.close()
            self._keyboard.close()
            with self._lock:
                self.ended.set()
                while not self._requests.empty():
                    self._requests.get()[1].set()
                os.close(self._wake_end)
                os.close(self._wake)
            self.ready.set()

    # What `request` may ask for.

    def power_on(self):
        if self._child is None:
            self._boot(POWER_ON)

    def power_off(self):
        """The interpreter is gone from one instruction to the next, and what was typed with it."""
        self._end_child()
        self._starve_at = self._wake_at = None
        self._keyboard.clear()
        self._in_raw_repl = False

    def reset(self, cause=HARD_RESET):
        self.power_off()
        self._boot(cause)

    def stop(self):
        self._stopping = True

    # The loop.

    def _turn(self):
        child = self._child
        self._handle(self._wait(), child)
        self._check_timers()
        self._flush()

    def _wait(self):
        """{descriptor: events} once one is ready or a timer ends."""
        poller = select.poll()
        poller.register(self._wake_end, select.POLLIN)
        port_events = 0 if self._keyboard.full else select.POLLIN
        poller.register(
            self._port.master, port_events | (select.POLLOUT if self._port.unsent else 0)
        )
        child = self._child
        if child is not None:
            poller.register(child.lifeline, select.POLLIN)
            if not self._port.full:
                poller.register(child.inbox, select.POLLIN)
            if self._running and self._keyboard.waiting:
                poller.register(self._keyboard.stdin_end, select.POLLOUT)
        timers = [*self._nudge_at]
        ends = (self._starve_at, self._wake_at, self._port.drop_at())
        timers += [at for at in ends if at is not None]
        timeout_ms = max(0, min(timers) - time.monotonic()) * 1000 + 1 if timers else None
        return dict(poller.poll(timeout_ms))

    def _handle(self, events, child):
        """child: the one whose descriptors were polled; a request may have ended it."""
        if self._wake_end in events:
            os.read(self._wake_end, 1)
            action, done = self._requests.get()
            try:
                action()
            finally:
                done.set()
        if events.get(self._port.master, 0) & ~select.POLLOUT:
            self._keyboard.type(self._port.read())
        if child is not None and child is self._child:
            if child.lifeline.fileno() in events:
                self._listen(child, None)
                if child is self._child:
                    self._ended()
            elif child.inbox.fileno() in events:
                self._listen(child, _BATCH)

    def _check_timers(self):
        now = time.monotonic()
        if self._running and self._keyboard.waiting and self._keyboard.pump(self._child):
            self._nudge_at = [now + delay for delay in _NUDGES_S]
        if self._nudge_at and now >= self._nudge_at[0]:
            del self._nudge_at[0]
            self._child.nudge()
        if self._starve_at is not None and now >= self._starve_at:
            self.reset(WATCHDOG)
        if self._wake_at is not None and now >= self._wake_at:
            self._boot(DEEP_SLEEP)

    def _flush(self):
        now = time.monotonic()
        if self._shown:
            self._console.append(self._shown)
            self._port.write(self._shown, now)
            self._shown.clear()
        elif self._port.unsent:
            self._port.flush(now)

    def _listen(self, child, limit):
        """Take in what the board has written: up to `limit` writes, or all."""
        while limit is None or limit > 0:
            message = child.receive()
            if message is None:
                return
            kind, written = message
            if kind == CONSOLE:
                self._shown += self._screen.text(written)
            elif kind == RAW:
                self._shown += written
            else:
                self._obey(written)
                if child is not self._child:
                    return
            if limit is not None:
                limit -= 1

    def _obey(self, word):
        """One control word of onboard/start.py or onboard/machine.py."""
        if self._exception is not None:
            if word == b"\0end":
                self._shown += exception_text(self._exception)
                self._exception = None
            else:
                self._exception.append(word)
        elif word == b"exception":
            self._exception = []
        elif word == b"ready":
            self._running = True
            self._blank = False
            self._n_early_ends = 0
            self.ready.set()
        elif word == b"repl":
            if self._in_raw_repl:
                self._screen.mute_until_raw_repl()
        elif word == b"soft":
            self._soft_reset()
        elif word == b"reset":
            self.reset()
        elif word.startswith(b"deepsleep"):
            self.power_off()
            if len(word) > len(b"deepsleep"):
                self._wake_at = time.monotonic() + int(word[10:]) / 1000
        elif word.startswith(b"watchdog "):
            self._starve_at = time.monotonic() + int(word[9:]) / 1000
        elif word.startswith(b"failed "):
            name = errno.errorcode.get(int(word[7:]), word[7:].decode())
            raise BoardError(f"the image does not mount: LittleFS gives {name}")

    # Beginnings and ends.

    def _boot(self, cause):
        self._wake_at = None
        self.resets.append(cause[0])
        os.pwrite(self._state, bytes((cause[1],)), 0)
        if cause is not SOFT_RESET:
            os.pwrite(self._state, b"\xff" * 48, 16)  # no pin is driven by the board
        if cause is POWER_ON:
            os.pwrite(self._state, bytes(2), RTC_MEMORY)
        self._boot_mark = self._console.mark()
        self._screen.restart()
        self._exception = None
        self._child = Interpreter(
            self._heap_size,
            self._keyboard.stdin,
            self._image,
            self._state,
            self._blank,
            ("boot.py",) if self._in_raw_repl else ("boot.py", "main.py"),
            self._board,
        )

    def _end_child(self):
        self._running = False
        self._nudge_at = []
        self.ready.clear()
        child, self._child = self._child, None
        if child is None:
            return 0
        child.kill()
        return child.end()

    def _soft_reset(self):
        self._end_child()
        self._shown += b"MPY: soft reboot\r\n"
        self._keyboard.restart(self._in_raw_repl)
        self._boot(SOFT_RESET)

    def _ended(self):
        """The interpreter has ended by itself: Ctrl-D, sys.exit() at the prompt, or a crash."""
        was_running = self._running
        status = self._end_child()
        if not was_running:
            self._n_early_ends += 1
            if self._n_early_ends == _MAX_EARLY_ENDS:
                self._flush()
                said = self._console.text(self._boot_mark).split("\n")
                last = next((line for line in reversed(said) if line), f"status {status}")
                raise BoardError(f"the interpreter does not start: {last.strip()}")
            self._boot(POWER_ON)
        elif status < 0:
            self._shown += b"\r\nboard: the interpreter ended by signal %d\r\n" % -status
            self.reset(CRASH)
        else:
            self._in_raw_repl = self._screen.left_raw_repl()
            self._soft_reset()
