"""The processes and virtual boards of the demo; all of them are stopped however the demo ends."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from msgin5g_tools import streams
from msgin5g_tools.board import BoardError, VirtualBoard
from msgin5g_tools.device.events import parse_event
from msgin5g_tools.demo.actors import Addresses, NoAddress

MSGIN5G = (sys.executable, "-c", "from msgin5g_tools.cli import main; main()")
_POLL_S = 0.005
_HOST_TOOL_S = 60
_TAIL = 12
_COLUMNS = "140"  # of the tables that a process prints


class DemoError(Exception):
    """The demo cannot go on; the text is one line."""


class Process:
    """A child process. lines: its output so far. n_events: how many of them were events.

    on_event: called with each event that it prints; when it returns true the line is not kept.
    on_line: called with each line.
    """

    def __init__(self, name, child, on_event, on_line=None):
        self.name = name
        self.lines = []
        self._child = child
        self._on_event = on_event
        self._on_line = on_line
        self._events = []
        self._reader = asyncio.create_task(self._read())

    @property
    def n_events(self):
        return len(self._events)

    async def event(self, names, timeout_s, since=0):
        """The first event with this name, or with one of these names, from number `since` on.

        DemoError when the process ends before it, or after timeout_s.
        """
        names = (names,) if isinstance(names, str) else names

        def found():
            return next((e for e in self._events[since:] if e["event"] in names), None)

        return await self._found(found, f"event {names[0]!r}", timeout_s)

    async def line(self, part, timeout_s):
        """The first line with this in it; DemoError as for `event`."""

        def found():
            return next((line for line in self.lines if part in line), None)

        return await self._found(found, f"line with {part!r}", timeout_s)

    async def _found(self, found, what, timeout_s):
        until = time.monotonic() + timeout_s
        while True:
            ended = self._reader.done()
            result = found()
            if result is not None:
                return result
            if ended:
                raise DemoError(f"{self.name}: ended without the {what}")
            if time.monotonic() > until:
                raise DemoError(f"{self.name}: no {what} within {timeout_s} s")
            await asyncio.sleep(_POLL_S)

    async def finish(self, timeout_s):
        """Wait for its end; DemoError when its exit status is not 0."""
        try:
            await asyncio.wait_for(self._child.wait(), timeout_s)
            await asyncio.wait_for(self._reader, timeout_s)
        except asyncio.TimeoutError:
            raise DemoError(f"{self.name}: did not end within {timeout_s} s") from None
        if self._child.returncode:
            raise DemoError(f"{self.name}: exit status {self._child.returncode}")

    @property
    def succeeded(self):
        return self._child.returncode == 0

    def interrupt(self):
        """Send SIGINT, as Ctrl-C does."""
        self._signal(signal.SIGINT)

    async def kill(self):
        self._signal(signal.SIGKILL)
        await self._child.wait()
        self._reader.cancel()

    def _signal(self, number):
        if self._child.returncode is None:
            try:
                os.killpg(self._child.pid, number)
            except ProcessLookupError:
                pass  # it has just ended; asyncio does not know yet

    async def _read(self):
        async for line in self._child.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            if self._on_line:
                self._on_line(text)
            event = parse_event(text)
            if event and self._on_event and self._on_event(event):
                continue
            self.lines.append(text)
            if event:
                self._events.append(event)


class Processes:
    """`async with Processes(ues) as processes`: it has addresses and a temporary directory, too.

    ues: list of actors.Ue; each gets an address.
    """

    def __init__(self, ues):
        self.began = time.monotonic()
        self._ues = ues
        self._processes = []
        self._boards = {}
        self._marks = {}  # name of a board -> position of its last start in its output

    async def __aenter__(self):
        try:
            self.addresses = Addresses(self._ues)
        except NoAddress as error:
            raise DemoError(str(error)) from None
        self.directory = Path(tempfile.mkdtemp(prefix="msgin5g-demo-"))
        return self

    async def __aexit__(self, *_):
        for process in self._processes:
            await process.kill()
        for board in self._boards.values():
            board.stop()
        self.addresses.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def seconds(self):
        return time.monotonic() - self.began

    async def start(self, name, *command, on_event=None, on_line=None, folder=None):
        """A Process in its own session, so that Ctrl-C at the terminal reaches only the demo.

        folder: its working directory, if not that of this command.
        """
        environment = {**streams.utf8_environment(), "COLUMNS": _COLUMNS}
        child = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env=environment,
            limit=1 << 20,
        )
        process = Process(name, child, on_event, on_line)
        self._processes.append(process)
        return process

    async def mpremote(self, name, *arguments):
        """The output of the unmodified mpremote, run at a board's port."""
        port = self._boards[name].port
        command = (sys.executable, "-m", "mpremote", "connect", port, *arguments)
        process = await self.start(f"{name}: mpremote {arguments[0]}", *command)
        await process.finish(_HOST_TOOL_S)
        return process.lines

    def switch_on(self, name, heap):
        """Start a virtual board without files."""
        board = VirtualBoard(heap=heap)
        self._boards[name] = board
        try:
            board.start()
        except BoardError as error:
            raise DemoError(f"{name}: {error}") from None

    def port(self, name):
        """The serial port of a board."""
        return self._boards[name].port

    def mark(self, name):
        """What a board prints from now on counts as its output."""
        self._marks[name] = self._boards[name].output.mark()

    async def reset(self, name):
        """Reset a board with mpremote, so that its main.py runs."""
        self.mark(name)
        await self.mpremote(name, "reset")

    async def outcome(self, name, outcomes, timeout_s):
        """The first of these events that a board prints; DemoError when there is none in time."""
        until = time.monotonic() + timeout_s
        while True:
            lines = self._board_lines(name)
            for event in map(parse_event, lines[:-1]):
                if event and event["event"] in outcomes:
                    return event
            if lines[-1] == ">>> ":
                raise DemoError(f"{name}: main.py ended without an outcome")
            if time.monotonic() > until:
                raise DemoError(f"{name}: no outcome within {timeout_s} s")
            await asyncio.sleep(_POLL_S)

    def logs(self):
        """{name: last lines} of all boards, and of the processes that did not succeed."""
        logs = {name: self._board_lines(name) for name in self._boards}
        logs.update((p.name, p.lines) for p in self._processes if not p.succeeded)
        return {
            name: [line for line in lines if line.strip()][-_TAIL:]
            for name, lines in logs.items()
            if any(lines)
        }

    def printed(self):
        """{name: text} of everything that boards and processes have printed."""
        printed = {f"board {name}": board.output.text() for name, board in self._boards.items()}
        for number, process in enumerate(self._processes):
            printed[f"{number} {process.name}"] = "\n".join(process.lines)
        return printed

    def _board_lines(self, name):
        """The output of a board since its last start; mpremote caused the first line."""
        return self._boards[name].output.text(self._marks.get(name, 0)).split("\n")


async def together(*coroutines):
    """The results of all; when one fails, the others are cancelled before the error is raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
