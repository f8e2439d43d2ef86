"""The programs of the bench on real MicroPython, with the .mpy files that a board gets."""

import json
import subprocess
from pathlib import Path

from msgin5g_tools import streams
from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.commands.run import interpreter_command

PROGRAMS = Path(__file__).resolve().parent / "programs"
_TIMEOUT_S = 120


class Interpreter:
    """firmware: the directory of the .mpy files."""

    def __init__(self, firmware):
        self.firmware = Path(firmware)
        self.name = interpreter_command()

    def command(self, program, heap, *arguments):
        """The command line of a program; heap: bytes, or a text as -X heapsize takes it."""
        script = PROGRAMS / f"{program}.py"
        return [self.name, "-X", f"heapsize={heap}", str(script), str(self.firmware),
                *map(str, arguments)]  # fmt: skip

    def run(self, program, heap, *arguments):
        """The JSON object that a program prints at its end."""
        command = self.command(program, heap, *arguments)
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
                env=streams.utf8_environment(),
                **streams.UTF8,
            )
        except OSError as error:
            raise BenchError(f"{self.name}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise BenchError(f"{program}: timed out after {_TIMEOUT_S} s") from None
        if done.returncode:
            said = (done.stdout + done.stderr).strip().split("\n")[-1]
            raise BenchError(f"{program}: ended with {done.returncode}: {said}")
        return json.loads(done.stdout.strip().split("\n")[-1])

    def version(self):
        """`MicroPython 1.29.0, linux [GCC 14.2.1] version`, for example."""
        code = "import sys; v = sys.implementation; print('%d.%d.%d, ' % v[1][:3] + v[2])"
        try:
            done = subprocess.run(
                [self.name, "-c", code],
                capture_output=True,
                timeout=10,
                check=False,
                env=streams.utf8_environment(),
                **streams.UTF8,
            )
        except OSError as error:
            raise BenchError(f"{self.name}: {error.strerror}") from None
        return "MicroPython " + done.stdout.strip()
