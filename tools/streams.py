"""Standard output and standard error, whatever stands behind them."""

import os
import sys

import click

_WRONG = 1


# subprocess.run and Popen of a program of Python, as mpremote and micropython are: it takes and
# prints UTF-8 in any locale.
UTF8 = {"encoding": "utf-8", "errors": "replace"}


def utf8_environment():
    """The environment that goes with it."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    environment.pop("PYTHONIOENCODING", None)
    return environment


def prepare():
    """Any text can be printed: a character that the console's set lacks is shown as its escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed: >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def failed(error):
    """The exit status for an OSError of the output, after one line where there is a reader."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2) if isinstance(error, BrokenPipeError) else (1,):
        os.dup2(devnull, number)  # what is still in a buffer goes nowhere, in silence
    if isinstance(error, BrokenPipeError):
        return _WRONG
    where = f"{error.filename}: " if error.filename else "the output: "
    click.echo(f"Error: {where}{error.strerror or error}", err=True)
    return _WRONG
