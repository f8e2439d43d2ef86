"""A command in a terminal, recorded: an asciinema file, and its last picture as SVG.

NAME.cast is played by `asciinema play NAME.cast`; NAME-terminal.svg is for a page.
"""

import codecs
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

from rich.console import Console
from rich.text import Text

_COLUMNS, _ROWS = 112, 40
CODE = "from msgin5g_tools.cli import main; main()"
# The spinner goes back to its line and erases it.
_ERASED = re.compile(r"[^\n]*\n(?:\x1b\[\?25h)?\r?\x1b\[1A\x1b\[2K")
# Control sequences other than colours.
_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]")
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.S)


def record(name, arguments):
    """Run `msgin5g` with these arguments; write the files. name: a Path without a suffix."""
    header, events = _run(arguments)
    lines = [json.dumps(header), *(json.dumps(event) for event in events)]
    name.with_name(name.name + ".cast").write_text("\n".join(lines) + "\n", encoding="utf-8")
    output = "".join(text for _, _, text in events)
    shown = f"$ msgin5g {' '.join(arguments[:1])}\n" + last_picture(output)
    name.with_name(name.name + "-terminal.svg").write_text(picture(shown), encoding="utf-8")


def last_picture(output):
    """What stays in the terminal: without the spinner, which overwrites its own line."""
    lines = _MOVES.sub("", _ERASED.sub("", output.replace("\r\n", "\n"))).split("\n")
    return "\n".join(line.rpartition("\r")[2] for line in lines).strip("\n")


def picture(text):
    """Text with colours of a terminal as SVG; it needs no fonts of others."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(text), soft_wrap=False)
        made = console.export_svg(title="msgin5g demo", unique_id="demo")
    about = "<title>msgin5g demo in a terminal</title><desc>What the page says in words.</desc>"
    return re.sub(r"(<svg [^>]*>)", rf"\1{about}", _FONTS.sub("", made), count=1)


def _run(arguments):
    main, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        stdin=child, stdout=child, stderr=child, env=environment,
    )  # fmt: skip
    os.close(child)
    events, decoder = [], codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:  # the process has closed its end
            break
        if not data:
            break
        seconds = round(time.monotonic() - started, 3)
        events.append([seconds, "o", decoder.decode(data)])
    os.close(main)
    if process.wait() != 0:
        raise SystemExit(f"msgin5g {' '.join(arguments)} failed with {process.returncode}")
    return {"version": 2, "width": _COLUMNS, "height": _ROWS, "title": "msgin5g demo"}, events
