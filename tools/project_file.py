"""The project file msgin5g.toml: a default port, settings and board for the commands of a folder.

    port = "/dev/ttyACM0"
    settings = "ue.json"        # relative to the project file
    board = "RPI_PICO_W"

    [run]                       # for one command only
    settings = "relay.json"

It is looked for in the current folder and in those above it. An option on the command line wins.
"""

import difflib
import re
from pathlib import Path

import click
from click.core import ParameterSource

from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.person_file import FileError, read_text
from msgin5g_tools.text import printable

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

NAME = "msgin5g.toml"

# key -> the commands whose option of that name it is the default of
KEYS = {
    "port": ("doctor", "flash", "monitor"),
    "settings": ("flash", "image", "provision", "run"),
    "board": ("board", "flash", "image", "provision"),
}
COMMANDS = sorted({command for commands in KEYS.values() for command in commands})
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def find(folder):
    """The path of the project file of a folder, or None."""
    folder = Path(folder).absolute()
    for each in (folder, *folder.parents):
        path = each / NAME
        if path.is_file():
            return path
    return None


def set_defaults(context, name, command):
    """Give a command of this click.Context the defaults of the project file, if there is one."""
    path = find(".")
    if path is None:
        return
    try:
        values = ProjectFile(path).defaults_for(name)
    except FileError as error:
        raise click.ClickException(str(error)) from None
    if values:
        click.echo(f"defaults of {printable(str(path))}: {', '.join(values)}", err=True)
    context.default_map = {name: _parameters(command, values)}


def _parameters(command, values):
    """{name of the parameter: value} for {key: value}."""
    return {
        parameter.name: [values[key]] if parameter.multiple else values[key]
        for parameter in command.params
        for key in values
        if f"--{key}" in parameter.opts
    }


def is_default(parameter):
    """Whether a parameter of the running command has its value from the project file."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is ParameterSource.DEFAULT_MAP


class ProjectFile:
    """A project file that was read and checked; FileError with line and column."""

    def __init__(self, path):
        self.path = path
        self._text = read_text(path).replace("\r\n", "\n")
        try:
            self._values = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(str(error)) from None
        except RecursionError:
            raise FileError(f"{path}: not TOML: nested too deep") from None
        self._check()

    def defaults_for(self, command):
        """{key: value} of a command."""
        mine = self._values.get(command)
        values = {**self._values, **(mine if isinstance(mine, dict) else {})}
        return {
            key: self._resolved(key, values[key])
            for key, commands in KEYS.items()
            if key in values and command in commands
        }

    def _resolved(self, key, value):
        """A path is relative to the project file; a port is a path, or COM3, or has a scheme."""
        is_path = key == "settings" or (key == "port" and "/" in value and "://" not in value)
        return str(self.path.parent / value) if is_path else value

    def _check(self):
        for name, value in self._values.items():
            if name in KEYS:
                self._check_value(None, name, value)
            elif name in COMMANDS and isinstance(value, dict):
                for key, inner in value.items():
                    keys = [each for each in KEYS if name in KEYS[each]]
                    if key not in keys:
                        raise self._fault(name, key, f"unknown key {key!r}", key, keys)
                    self._check_value(name, key, inner)
            elif isinstance(value, dict):
                raise self._fault(name, None, f"unknown table [{name}]", name, COMMANDS)
            else:
                raise self._fault(None, name, f"unknown key {name!r}", name, list(KEYS))

    def _check_value(self, table, key, value):
        if not isinstance(value, str) or not value:
            raise self._fault(table, key, f"{key} must be a text in quotation marks")
        if key == "board" and value not in BOARDS:
            raise self._fault(table, key, f"unknown board {value!r}", value, list(BOARDS))

    def _fault(self, table, key, what, word=None, known=()):
        if known:
            similar = difflib.get_close_matches(word, known, 1)
            what += (
                f"; did you mean {similar[0]!r}?" if similar else f"; known: {', '.join(known)}"
            )
        return FileError(f"{self.path}: {self._place(table, key)}: {what}")

    def _syntax(self, text):
        place = _PLACE.search(text)
        if place:
            where = f"line {place[1]}, column {place[2]}"
        else:  # "... (at end of document)"
            lines = self._text.split("\n")
            where = f"line {len(lines)}, column {len(lines[-1]) + 1}"
        return FileError(f"{self.path}: {where}: not TOML: {text.partition(' (at ')[0]}")

    def _place(self, table, key):
        """`line 3, column 1` of a key in a table, or of the table for the key None."""
        inside = None
        wanted = [name for name in (table, key) if name is not None]
        for number, line in enumerate(self._text.split("\n"), 1):
            header = _TABLE.match(line)
            if header:
                inside = _names(header[1])
                found = key is None and inside == [table]
            else:
                names = _names(line.partition("=")[0])
                found = bool(names) and [*(inside or ()), *names][: len(wanted)] == wanted
            if found:
                return f"line {number}, column {len(line) - len(line.lstrip()) + 1}"
        # In a form that is read here as something else, such as a table within one line.
        return f"line {1 + self._text.count(chr(10), 0, max(self._text.find(wanted[-1]), 0))}"


def _names(dotted):
    """The parts of a key: `run.settings`, "run" . 'settings'."""
    parts = [part.strip().strip("\"'") for part in dotted.strip().split(".")]
    return parts if all(_BARE.fullmatch(part) for part in parts) else []
