"""`msgin5g doctor`: what is on a board, and whether it is well; one line a finding."""

import json
import sys

import click

from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.device.findings import FAIL, OK, WARN, examine, findings
from msgin5g_tools.device.flashing import Bundles
from msgin5g_tools.device.inventory import feed_watchdog, take_inventory
from msgin5g_tools.device.session import TOOLS, open_session

_COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command()
@click.option("--port", required=True)
@click.option("--tool", type=click.Choice(TOOLS), default="mpremote", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding.")
def doctor(port, tool, as_json):
    """Examine a board: MicroPython, memory, what is installed, settings, clock, network.

    What runs on the board is interrupted and started again; nothing is changed.

    Exit status: 0 nothing has failed   1 something has   3, 4, 5, 6 as for msgin5g flash
    """
    try:
        session = open_session(port, tool)
        try:
            inventory = take_inventory(session)
            feed_watchdog(session, inventory)
            found = list(findings(inventory, examine(session, inventory), Bundles().of))
        finally:
            session.restart()
            session.close()
    except DeviceError as error:
        click.echo(f"{port}: Error: {error}", err=True)
        sys.exit(error.status)
    for finding in found:
        if as_json:
            click.echo(json.dumps(finding._asdict()))
        else:
            mark = click.style(f"{finding.mark:<5}", fg=_COLOURS[finding.mark])
            click.echo(f"{mark} {finding.subject:<12} {finding.words}")
    sys.exit(int(any(finding.mark == FAIL for finding in found)))
