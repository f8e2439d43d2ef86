"""The project file msgin5g.toml: a default port, settings and board for the commands of a folder.

    port = "/dev/ttyACM0"
    settings = "ue.json"        # relative to the project file
    board = "RPI_PICO_W"

    [run]                       # for one command only
    settings = "relay.json"

It is looked for in the current folder and in those above it. An option on the command line wins.
"""

from pathlib import Path

import click
from click.core import ParameterSource

from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.person_file import FileError
from msgin5g_tools.text import printable
from msgin5g_tools.toml_file import TomlFile

NAME = "msgin5g.toml"

# key -> the commands whose option of that name it is the default of
KEYS = {
    "port": ("doctor", "flash", "monitor"),
    "settings": ("flash", "image", "provision", "run"),
    "board": ("board", "flash", "image", "provision"),
}
COMMANDS = sorted({command for commands in KEYS.values() for command in commands})


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
        self._file = TomlFile(path)
        self._values = self._file.values
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
                        raise self._file.fault(name, key, f"unknown key {key!r}", key, keys)
                    self._check_value(name, key, inner)
            elif isinstance(value, dict):
                raise self._file.fault(name, None, f"unknown table [{name}]", name, COMMANDS)
            else:
                raise self._file.fault(None, name, f"unknown key {name!r}", name, list(KEYS))

    def _check_value(self, table, key, value):
        if not isinstance(value, str) or not value:
            raise self._file.fault(table, key, f"{key} must be a text in quotation marks")
        if key == "board" and value not in BOARDS:
            raise self._file.fault(table, key, f"unknown board {value!r}", value, list(BOARDS))
