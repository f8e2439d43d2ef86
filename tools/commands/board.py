"""The command `msgin5g board`."""

import signal
import sys

import click

from msgin5g_tools.board.errors import BoardError
from msgin5g_tools.board.virtual import HeapSize, VirtualBoard
from msgin5g_tools.device.boards import BOARDS

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option(
    "--heap",
    type=HeapSize(),
    default="192K",
    show_default=True,
    help="The board's heap, as 96K.",
)
@click.option("--image", metavar="FILE", help="The board's flash; made when it does not exist.")
@click.option("--link", metavar="PATH", help="A fixed name for the port: a symbolic link.")
@click.option(
    "--board",
    "name",
    type=click.Choice(sorted(BOARDS)),
    default="RPI_PICO_W",
    show_default=True,
    help="The board that it stands for, by its name in MicroPython.",
)
def board(heap, image, link, name):
    """Start a virtual board: real MicroPython behind a pty.

    The first line is the port. mpremote, ampy and terminal programs take it for a board's.
    Ctrl-C switches the board off. Without --image its files are gone then.
    """
    for number in _ENDING:
        signal.signal(number, _switch_off)
    try:
        with VirtualBoard(heap, image, link, board=name) as started:
            port = link or started.port
            click.echo(
                f"{started.port}\n"
                f"Try: mpremote connect {port} repl\n"
                "Ctrl-C here switches the board off."
            )
            sys.stdout.flush()
            started.wait()
    except BoardError as error:
        raise click.ClickException(str(error)) from None


def _switch_off(number, frame):
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)  # it is being switched off: one is enough
    sys.exit(0)
