"""The command `msgin5g`: one command, one function, one file, imported when it is called."""

import importlib
import sys

import click

from msgin5g_tools.paths import FIRMWARE

# name -> (module of commands/, function, one line of help)
COMMANDS = {
    "bench": ("bench", "bench", "Measure speed, heap, size and bytes on the wire."),
    "board": ("board", "board", "Start a virtual board: real MicroPython behind a pty."),
    "decode": ("decode", "decode", "Explain CoAP datagrams."),
    "demo": (
        "demo",
        "demo",
        "Run UE, relay or gateway, and server on loopback, on real MicroPython.",
    ),
    "doctor": ("doctor", "doctor", "Check a board: what is on it, and whether it works."),
    "documents": ("documents", "documents", "Import, export or list the server's documents."),
    "flash": ("flash", "flash", "Build the firmware, copy it to a board, verify and reset."),
    "image": ("image", "image", "Make an image for a board: its file system, or a ROMFS."),
    "monitor": ("monitor", "monitor", "Watch a board: events, messages, its REPL."),
    "provision": ("provision", "provision", "Give each board of a table its own settings."),
    "run": ("run", "run", "Run a role on this host."),
    "scm-server": ("scm_server", "scm_server", "Run the configuration management server."),
    "simulate": ("simulate", "simulate", "Simulate very many UEs behind one relay or gateway."),
}
# These need neither the firmware nor the tests, so that an installed wheel has them too.
_WITHOUT_CHECKOUT = {"board", "documents", "scm-server"}


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
        return getattr(importlib.import_module(f"msgin5g_tools.commands.{module}"), function)

    def format_commands(self, context, formatter):
        # Help comes from the table, so that `msgin5g --help` imports nothing.
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def msgin5g():
    """MSGin5G configuration over CoAP: firmware tools."""


def main():
    try:
        msgin5g(prog_name="msgin5g")
    except KeyboardInterrupt:
        sys.exit(130)
