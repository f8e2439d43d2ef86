"""`msgin5g doctor`: what is on a board, and whether it works; one line for each check."""

import json
import sys

import click

from msgin5g_tools.device.errors import device_error
from msgin5g_tools.device.checks import FAIL, OK, WARN, checks, examine
from msgin5g_tools.device.flashing import Bundles
from msgin5g_tools.device.inventory import feed_watchdog, take_inventory
from msgin5g_tools.device.session import TOOLS, session_at
from msgin5g_tools.text import printable

_COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command()
@click.option("--port", required=True)
@click.option("--tool", type=click.Choice(TOOLS), default="mpremote", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each check.")
def doctor(port, tool, as_json):
    """Examine a board: MicroPython, memory, what is installed, settings, clock, network.

    The program on the board is interrupted and restarted; nothing is changed.

    Exit status: 0 no check failed   1 a check failed   3, 4, 5, 6 as for msgin5g flash
    """
    try:
        with session_at(port, tool) as session:
            inventory = take_inventory(session)
            feed_watchdog(session, inventory)
            found = list(checks(inventory, examine(session, inventory), Bundles().of))
    except Exception as exception:
        error = device_error(exception)
        click.echo(printable(f"{port}: Error: {error}"), err=True)
        sys.exit(error.status)
    for check in found:
        if as_json:
            click.echo(json.dumps(check._asdict()))
        else:
            mark = click.style(f"{check.mark:<5}", fg=_COLOURS[check.mark])
            click.echo(f"{mark} {check.subject:<12} {printable(check.words)}")
    sys.exit(int(any(check.mark == FAIL for check in found)))
