"""The tools of a person at a virtual board: mpremote, ampy, and a terminal program."""

import subprocess
import sys
import time
from pathlib import Path

import serial

COMMAND = (sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "board")


def tool(module, *arguments, status=0):
    """The output of a host tool, run as its users run it, unmodified."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    text = done.stdout.decode().replace("\r\n", "\n")
    assert done.returncode == status, (arguments, text)
    return text


def children(pid):
    """The processes that a process has started and that have not gone."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def mpremote(board, *arguments, status=0):
    return tool("mpremote", "connect", board.port, *arguments, status=status)


def ampy(board, *arguments):
    return tool("ampy.cli", "-d", "0", "-p", board.port, *arguments)


class Terminal:
    """A terminal program with a person at it."""

    def __init__(self, board):
        self.serial = serial.Serial(board.port, timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.serial.close()

    def presses(self, keys, until=b">>> "):
        """Press keys; exactly the bytes that come, up to the first `until`."""
        self.serial.write(keys)
        seen = self.serial.read_until(until)
        assert seen.endswith(until), (keys, seen)
        return seen

    def types(self, line):
        """Type a line at the prompt; what it prints, without echo and prompt."""
        echo = line.encode() + b"\r\n"
        self.presses(line.encode() + b"\r", echo)
        return self.presses(b"")[: -len(">>> ")].decode()

    def pastes(self, program):
        """Start a program in paste mode; return when it runs."""
        self.types("# pasting")
        self.presses(b"\x05", b"=== ")
        lines = "print('runs')\n" + program + "\n"
        self.presses(lines.replace("\n", "\r").encode() + b"\x04", b"=== \r\nruns\r\n")


def write(board, name, text):
    with Terminal(board) as terminal:
        terminal.types(f"f = open({name!r}, 'w'); n = f.write({text!r}); f.close()")


def wait_until(condition, timeout=20):
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
