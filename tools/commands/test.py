"""`msgin5g test`: the same file of tests on CPython, on MicroPython, and on a board."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click

from msgin5g_tools.board.virtual import HeapSize
from msgin5g_tools.build.mpy import BuildError
from msgin5g_tools.build.test_files import board_files
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.device.errors import FAILED, DeviceError, device_error
from msgin5g_tools.device.scratch_folder import FOLDER, put, remove
from msgin5g_tools.device.session import TOOLS, open_session
from msgin5g_tools.paths import FIRMWARE, TESTKIT
from msgin5g_tools.text import printable

_TIMEOUT_S = 900  # of a test that prints nothing, on the slowest board
_PROGRAM = """
import sys
sys.path[:] = {path!r} + [p for p in sys.path if p.startswith(".")]
from msgin5g_testkit.runner import run
n_failed = run({name!r}, {only!r})
"""
_EXIT = "sys.exit(1 if n_failed else 0)\n"
_COUNTS = re.compile(r"^(\d+) passed, (\d+) failed\s*$", re.MULTILINE)
_NO_TESTS = 5  # pytest's status


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--micropython", is_flag=True, help="On MicroPython's Unix port, without pytest.")
@click.option("--port", help="On the board at this serial port, as .mpy.")
@click.option(
    "--heap", type=HeapSize(), default="2M", show_default=True, help="Of MicroPython's Unix port."
)
@click.option("-k", "only", metavar="TEXT", default="", help="Only tests with TEXT in the name.")
@click.option("--tool", type=click.Choice(TOOLS), default="mpremote", show_default=True)
def test(files, micropython, port, heap, only, tool):
    """Run files of tests: plain functions test_* with bare asserts. See docs/testkit.md.

    Without --micropython and --port they run in pytest. On a board the files, what they import
    from their folder, the test kit and the firmware go to a folder of their own, which is removed
    afterwards; what is installed stays, and starts again.

    Exit status: 0 every test passed   1 a test failed   3, 4, 5, 6 as for msgin5g flash
    """
    if micropython and port:
        raise click.UsageError("--micropython and --port exclude each other")
    for file in files:
        if file.suffix != ".py" or not file.stem.isidentifier():
            raise click.BadParameter(
                f"{file}: the name must be that of a Python module, such as test_my_app.py",
                param_hint="FILE",
            )
    files = [file.resolve() for file in files]
    if port:
        sys.exit(_on_board(files, port, tool, only))
    if micropython:
        sys.exit(max([_on_micropython(file, heap, only) for file in files]))
    sys.exit(_in_pytest(files, only))


def _in_pytest(files, only):
    # The folder is no part of a package or a project here: settings of others do not count.
    command = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider"]
    command += [*(["-k", only] if only else []), *map(str, files)]
    path = [str(TESTKIT), str(FIRMWARE), *filter(None, [os.environ.get("PYTHONPATH")])]
    status = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": os.pathsep.join(path)}, check=False
    ).returncode
    if status == _NO_TESTS:
        click.echo("Error: no test was found", err=True)
    return min(status, 1)


def _on_micropython(file, heap, only):
    path = [str(file.parent), str(TESTKIT), str(FIRMWARE)]
    program = _PROGRAM.format(path=path, name=file.stem, only=only) + _EXIT
    command = [interpreter_command(), "-X", f"heapsize={heap}", "-c", program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise click.ClickException(
            f"{command[0]} is not installed: run make setup, or set MICROPYTHON"
        ) from None
    click.echo(printable_lines(done.stdout), nl=False)
    if "MemoryError" in done.stderr and not _COUNTS.search(done.stdout):
        raise click.ClickException(f"{file.name}: heap: too small: set a larger --heap")
    click.echo(printable_lines(done.stderr), nl=False, err=True)
    return _status(done.stdout)


def _on_board(files, port, tool, only):
    try:
        session = open_session(port, tool)
        try:
            statuses = [_file_on_board(session, file, only) for file in files]
            session.enter()  # the heap may be full
            remove(session)
        finally:
            session.restart()
            session.close()
    except BuildError as error:
        click.echo(f"build: Error: {error}", err=True)
        return 1
    except Exception as exception:
        error = device_error(exception)
        click.echo(printable(f"{port}: Error: {error}"), err=True)
        return error.status
    return max(statuses)


def _file_on_board(session, file, only):
    put(session, board_files(file))
    session.enter()  # on a fresh heap
    path = [f"{FOLDER}/tests", f"{FOLDER}/firmware"]
    try:
        printed = session.run(_PROGRAM.format(path=path, name=file.stem, only=only), _TIMEOUT_S)
    except DeviceError as error:
        if "MemoryError" not in str(error):
            raise
        raise DeviceError(
            FAILED, f"{file.name}: the board's heap is too small for this test: {error}"
        ) from None
    click.echo(printable_lines(printed), nl=False)
    return _status(printed)


def _status(printed):
    """0 when every test has passed, and there was one."""
    counts = _COUNTS.search(printed)
    if counts and counts[1] == counts[2] == "0":
        click.echo("Error: no test was found", err=True)
    return 0 if counts and counts[1] != "0" and counts[2] == "0" else 1


def printable_lines(text):
    """What a program prints, with its lines, and without control characters."""
    lines = text.replace("\r", "").split("\n")
    return "\n".join(printable(line) for line in lines)
