"""The command `msgin5g`: one command, one function, one file, imported when it is called."""

import difflib
import importlib
import itertools
import sys

import click

from msgin5g_tools import streams
from msgin5g_tools.paths import FIRMWARE
from msgin5g_tools.text import printable

# name -> (module of commands/, function, one line of help)
COMMANDS = {
    "bench": ("bench", "bench", "Measure speed, heap, size and bytes on the wire."),
    "board": ("board", "board", "Start a virtual board: real MicroPython behind a pty."),
    "conform": ("conform", "conform", "Check any implementation, clause by clause."),
    "decode": ("decode", "decode", "Explain CoAP datagrams."),
    "demo": (
        "demo",
        "demo",
        "Run UE, relay or gateway, and server on loopback, on real MicroPython.",
    ),
    "doctor": ("doctor", "doctor", "Check a board: what is on it, and whether it works."),
    "documents": ("documents", "documents", "Import, export or list the server's documents."),
    "fleet": ("fleet", "fleet", "Show what became of the UEs at the server."),
    "flash": ("flash", "flash", "Build the firmware, copy it to a board, verify and reset."),
    "image": ("image", "image", "Make an image for a board: its file system, or a ROMFS."),
    "keys": ("keys", "keys", "List, rotate or revoke the keys of OSCORE at the server."),
    "monitor": ("monitor", "monitor", "Watch a board: events, messages, its REPL."),
    "new": ("new", "new", "Make a project: an application, its test, settings."),
    "ports": ("ports", "ports", "List the serial ports where a board may be."),
    "provision": ("provision", "provision", "Give each board of a table its own settings."),
    "run": ("run", "run", "Run a role on this host."),
    "scm-server": ("scm_server", "scm_server", "Run the configuration management server."),
    "simulate": ("simulate", "simulate", "Simulate very many UEs behind one relay or gateway."),
    "start": ("start", "start", "Start the nodes of a folder of settings on this computer."),
    "test": ("test", "test", "Run tests of an application: CPython, MicroPython, a board."),
    "wireshark": ("wireshark", "wireshark", "Show our messages in Wireshark and tshark."),
}
# These need neither the firmware nor the tests, so that an installed wheel has them too.
_WITHOUT_CHECKOUT = {"board", "conform", "documents", "fleet", "keys", "new", "ports"}
_WITHOUT_CHECKOUT |= {"scm-server", "wireshark"}
# They have defaults in a project file: see project_file.KEYS.
_WITH_DEFAULTS = {"board", "doctor", "flash", "image", "monitor", "provision", "run"}
_WRONG = 1
_INTERRUPTED = 130
_STATUSES = """\b
Exit status, the same in every command:
  0 done                  5 no MicroPython that fits
  1 something is wrong    6 the board refused or went away
  2 command line wrong    7 no configuration
  3 no such serial port   8 the board would restart or sleep
  4 serial port in use    130 Ctrl-C
"""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, context):
        return sorted(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            return None
        if name not in _WITHOUT_CHECKOUT and not FIRMWARE.is_dir():
            raise click.ClickException(
                f"msgin5g {name} needs the source tree, and {FIRMWARE} does not exist: "
                "clone the repository and run `make setup` in it"
            )
        module, function, _ = COMMANDS[name]
        command = getattr(importlib.import_module(f"msgin5g_tools.commands.{module}"), function)
        for each in (command, *getattr(command, "commands", {}).values()):
            each.epilog = _STATUSES
        return command

    def resolve_command(self, context, arguments):
        name = arguments[0]
        if name not in COMMANDS and not name.startswith("-"):
            similar = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f" Did you mean {similar[0]!r}?" if similar else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", context)
        resolved = super().resolve_command(context, arguments)
        _refuse_empty(context, name, resolved[1], arguments)
        is_help = not {"-h", "--help"}.isdisjoint(arguments)
        if name in _WITH_DEFAULTS and not is_help and not context.resilient_parsing:
            project_file = importlib.import_module("msgin5g_tools.project_file")
            project_file.set_defaults(context, name, resolved[1])
        return resolved

    def format_commands(self, context, formatter):
        # Help comes from the table, so that `msgin5g --help` imports nothing.
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


def _refuse_empty(context, name, command, arguments):
    """UsageError for an empty argument, such as "$PORT" where PORT is not set."""
    may_be_empty = {o for p in command.params if p.default == "" for o in p.opts}
    for before, argument in itertools.pairwise(arguments):
        if argument == "" and before not in may_be_empty:
            where = f"{before}: " if before.startswith("--") else ""
            text = f"{where}an empty argument: is a variable of your shell not set?"
            raise click.UsageError(text, click.Context(command, context, name))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="msgin5g-firmware", message="msgin5g %(version)s")
def msgin5g():
    """MSGin5G configuration over CoAP: firmware tools.

    A file msgin5g.toml in this folder or above it may have a default `port`, `settings` and
    `board`, also for one command: a table of that name. An option on the command line wins.
    """


def main():
    streams.prepare()
    try:
        status = _run()
        sys.stdout.flush()
    except OSError as error:
        status = streams.failed(error)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    sys.exit(status)


def _run():
    """The exit status of the command; an error of the command line is printed."""
    try:
        status = msgin5g.main(prog_name="msgin5g", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except SystemExit as ended:
        return ended.code
    except UnicodeEncodeError as error:
        click.echo(f"Error: {error.object!a}: is not UTF-8", err=True)
        return _WRONG
    except click.Abort:
        return _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        click.echo(f"Error: {_in_one_line(error)}", err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"Error: {printable(error.format_message())}", err=True)
        return error.exit_code


def _in_one_line(error):
    """What is wrong with the command line, and where its rules are."""
    text = printable(" ".join(line.strip() for line in error.format_message().splitlines()))
    stop = "" if text.endswith((".", "?")) else "."
    command = error.ctx.command_path if error.ctx else "msgin5g"
    return f"{text}{stop} See {command} --help"
