"""One line a board: a bar in a terminal, plain lines elsewhere."""

import sys
import threading

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from msgin5g_tools.text import printable


def reporter(ports, stream=None, bars=True, ends_only=False):
    """A context manager; `lines[port]` is the Line of a board. bars: where it is a terminal.

    ends_only: print how each board ended, and nothing before.
    """
    stream = stream or sys.stdout
    console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
    return (
        _Bars(ports, console) if bars and console.is_terminal else _Plain(ports, stream, ends_only)
    )


class _Plain:
    """PORT: what happened."""

    def __init__(self, ports, stream, ends_only):
        self.ends_only = ends_only
        self._stream = stream
        # A board that failed is an error for a script, too; quiet is quiet.
        self.errors = sys.stderr if stream is sys.stdout else stream
        self._lock = threading.Lock()
        self.lines = {port: _PlainLine(port, self) for port in ports}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def print(self, text, stream=None):
        with self._lock:
            try:
                print(text, file=stream or self._stream, flush=True)
            except OSError:
                pass  # nobody reads, or the disk is full: the work at the boards goes on


class _PlainLine:
    def __init__(self, port, parent):
        self._port = port
        self._parent = parent
        self._total = self._done = 0

    def say(self, text):
        if not self._parent.ends_only:
            self.end(True, text)

    def total(self, n_files):
        self._total = n_files

    def copied(self, file):
        self._done += 1
        self.say(f"{self._done}/{self._total} {file.path}")

    def end(self, good, text):
        stream = None if good else self._parent.errors
        self._parent.print(f"{self._port}: {printable(text)}", stream)


class _Bars:
    def __init__(self, ports, console):
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
            console=console,
        )
        self.lines = {port: _Bar(self._progress, port) for port in ports}

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()
        for port, line in self.lines.items():
            if line.ended:  # in full: beside the bar it may have been cut off
                self._progress.console.print(Text(f"{port}: {printable(line.ended)}"))


class _Bar:
    def __init__(self, progress, port):
        self._progress = progress
        self._task = progress.add_task(_plain(port), total=0, status="")
        self.ended = ""

    def say(self, text):
        self._progress.update(self._task, status=_plain(text))

    def total(self, n_files):
        self._progress.update(self._task, total=n_files)

    def copied(self, file):
        self._progress.update(self._task, advance=1, status=_plain(file.path))

    def end(self, good, text):
        self.ended = text
        self._progress.update(self._task, status="[green]done" if good else "[red]failed")
        self._progress.stop_task(self._task)


def _plain(text):
    """A board's text must neither control the terminal nor be taken for markup."""
    return escape(printable(text))
