"""`msgin5g ports`: the serial ports of this computer where a board may be."""

import json

import click

from msgin5g_tools.device.serial_port import readers, usb_ports
from msgin5g_tools.text import printable


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each port.")
def ports(as_json):
    """List the serial ports on USB: name, USB IDs, what is connected, and who uses the port.

    It opens no port. A virtual board is at the port that `msgin5g board` prints.
    """
    found = usb_ports()
    for port in found:
        users = [f"{name} (process {pid})" for pid, name in readers(port.device)]
        row = {
            "port": port.device,
            "usb": f"{port.vid:04x}:{port.pid or 0:04x}",
            "description": port.description or "",
            "serial_number": port.serial_number or "",
            "used_by": users,
        }
        if as_json:
            click.echo(json.dumps(row))
            continue
        used = f"  in use: {', '.join(users)}" if users else ""
        text = f"{row['port']:<16} {row['usb']}  {row['description']}  {row['serial_number']}"
        click.echo(printable(text.rstrip() + used))
    if not found:
        click.echo("no board is connected to this computer", err=True)
