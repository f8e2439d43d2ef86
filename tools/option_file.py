"""The options of a command in a TOML file: `--config FILE`, and `--print-config` that writes one.

    @click.command()
    @option_file.options
    @click.option("--max-age", type=int, default=60)

Each option of the command is a key: its long name without the dashes. What stands on the command
line wins. A path is relative to the file, as in msgin5g.toml.
"""

import textwrap
from pathlib import Path

import click
from click.core import ParameterSource

from msgin5g_tools.person_file import FileError
from msgin5g_tools.scm_server.settings import address_text
from msgin5g_tools.toml_file import TomlFile

_OWN = ("config", "print-config")
_PATHS = ("FILE", "DIRECTORY")  # in the metavar of an option whose value is a path
_FILE = "msgin5g_tools.option_file"  # key of Context.meta: the TomlFile
_WIDTH = 98


def options(function):
    """The decorator that adds both options to a command; `print_config` is an argument of it."""
    show = click.option(
        "--print-config", is_flag=True, help="Print the options as a file for --config, and end."
    )
    load = click.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="TOML file with any of these options, as `max-age = 60`. The command line wins.",
    )
    return load(show(function))


def fault(name, text):
    """The exception for the wrong value of an option of the running command: it says where it is.

    name: of the option, with dashes, underscores or blanks.
    """
    context = click.get_current_context()
    name = name.replace("_", "-").replace(" ", "-")
    key = _keys(context.command).get(name)
    if key and context.get_parameter_source(key.parameter.name) is ParameterSource.DEFAULT_MAP:
        error = context.meta[_FILE].fault(None, name, f"{name}: {text}")
        return click.ClickException(str(error))
    return click.UsageError(f"--{name}: {text}")


def text_of(context):
    """A TOML file with every option: those that were given, and the others as comments."""
    parts = [f"# Options of `{context.command_path}`, for --config.\n"]
    for name, key in _keys(context.command).items():
        value = context.params[key.parameter.name]
        is_default = context.get_parameter_source(key.parameter.name) is ParameterSource.DEFAULT
        about = textwrap.wrap(key.help_text(), _WIDTH - 2)
        line = f"{name} = {key.example() if value is None or value == () else key.text(value)}"
        parts.append("\n".join(f"# {each}" for each in about))
        parts.append(f"# {line}\n" if is_default else f"{line}\n")
    return "\n".join(parts)


def _load(context, parameter, path):
    """Make what the file has the defaults of the command."""
    if path is None:
        return
    try:
        file = TomlFile(Path(path))
        keys = _keys(context.command)
        for name, value in file.values.items():
            if name not in keys:
                place, what = (None, name), f"unknown key {name!r}"
                if isinstance(value, dict):
                    place, what = (name, None), f"unknown table [{name}]"
                raise file.fault(*place, what, name, list(keys))
            if not keys[name].takes(value):
                raise file.fault(None, name, f"{name} must be {keys[name].allowed()}")
    except FileError as error:
        raise click.ClickException(str(error)) from None
    context.meta[_FILE] = file
    context.default_map = {
        keys[name].parameter.name: keys[name].resolved(value, file.path)
        for name, value in file.values.items()
    }


def _keys(command):
    """{name: _Key} of the options that a file may have."""
    found = {}
    for parameter in command.params:
        name = max(parameter.opts, key=len).removeprefix("--")
        if name not in _OWN:
            found[name] = _Key(parameter)
    return found


class _Key:
    """One option of click, as a key of a file."""

    def __init__(self, parameter):
        self.parameter = parameter
        self._may_be_empty = parameter.default == ""
        if isinstance(parameter.type, click.Choice):
            self._types, self._kind, self._example = (str,), _choices(parameter.type), ""
        else:
            self._types, self._kind, self._example = _KINDS.get(type(parameter.type), _TEXT)

    def takes(self, value):
        """Whether a value of the file has the right type."""
        if self.parameter.multiple:
            return isinstance(value, list) and all(map(self._takes_one, value))
        return self._takes_one(value)

    def allowed(self):
        kind = self._kind
        if self._kind == _TEXT[1] and self._may_be_empty:
            kind = _TEXT_OR_NONE
        return f"an array; each is {kind}" if self.parameter.multiple else kind

    def resolved(self, value, path):
        """The value; a relative path is one from the folder of the file."""
        is_path = any(word in (self.parameter.metavar or "") for word in _PATHS)
        return str(path.parent / value) if is_path and "://" not in value else value

    def text(self, value):
        """A value of the command as TOML."""
        if self.parameter.multiple:
            return f"[{', '.join(map(_toml, value))}]"
        return _toml(value)

    def example(self):
        """What stands in a comment for an option without a value."""
        one = self._example or f'"{self.parameter.metavar}"'
        return f"[{one}]" if self.parameter.multiple else one

    def help_text(self):
        shown = self.parameter.show_default
        return self.parameter.help + (f" [default: {shown}]" if isinstance(shown, str) else "")

    def _takes_one(self, value):
        if type(value) not in self._types:
            return False
        if isinstance(self.parameter.type, click.Choice):
            return value in self.parameter.type.choices
        if isinstance(value, str):
            return value.isprintable() and (bool(value) or self._may_be_empty)
        return True


# type of a click.ParamType -> (types of TOML, what they are called, an example)
_TEXT = (str,), "a text in quotation marks that is not empty", ""
_TEXT_OR_NONE = "a text in quotation marks"
_KINDS = {
    type(click.BOOL): ((bool,), "true or false", "true"),
    type(click.INT): ((int,), "a whole number", "0"),
    type(click.FLOAT): ((int, float), "a number", "0"),
}


def _choices(kind):
    return "one of " + ", ".join(f'"{each}"' for each in kind.choices)


def _toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):  # an address, as the option's callback gives it
        value = address_text(*value)
    if isinstance(value, str):
        return '"' + "".join(map(_toml_character, value)) + '"'
    return str(value)


def _toml_character(character):
    if character in '"\\':
        return f"\\{character}"
    if " " <= character < "\x7f":
        return character
    return f"\\u{ord(character):04x}" if character < "\U00010000" else f"\\U{ord(character):08x}"
