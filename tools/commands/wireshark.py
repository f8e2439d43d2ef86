"""`msgin5g wireshark`: the Lua dissector for Wireshark and tshark."""

from pathlib import Path

import click

from msgin5g_tools.text import printable
from msgin5g_tools.wireshark import NAME, dissector, plugin_folder

__all__ = ["wireshark"]


@click.command()
@click.option("--install", is_flag=True, help="Put it into your folder of Lua plugins.")
@click.option(
    "--folder",
    metavar="PATH",
    type=click.Path(file_okay=False),
    help="With --install: put it into this folder instead.",
)
@click.option("--print", "as_text", is_flag=True, help="Print the Lua file.")
def wireshark(install, folder, as_text):
    """Show MSGin5G's part of CoAP messages in Wireshark and tshark.

    Below CoAP you see where a message goes (over the link of a UE or on the server side; to the
    server or to the UE), its Recipient as text, its Content-Format by name, UeConfigDoc in CBOR or
    JSON with the configuration in it, and concise problem details. UDP port 65401 becomes a port
    of CoAP.

    \b
    Preferences, for numbers that your settings.json changes (Wireshark: Edit > Preferences >
    Protocols > MSGIN5G; tshark: -o NAME:VALUE):
      msgin5g.recipient_option   number of the Recipient option        65020
      msgin5g.content_format     Content-Format of UeConfigDoc         65001
      msgin5g.port               UDP port of the link                  65401
    A server on another port than 5683: tshark -d udp.port==PORT,coap

    \b
    Fields for filters:
      msgin5g.recipient  msgin5g.direction  msgin5g.leg  msgin5g.problem.detail
      ueconfigdoc.id  ueconfigdoc.uri  ueconfigdoc.server_address  ueconfigdoc.ue_service_id

    \b
    Examples:
      msgin5g wireshark --install
      msgin5g demo --pcap demo.pcap
      tshark -r demo.pcap -V -Y 'msgin5g.recipient == "urn:x-msgin5g:ue:0007"'
      tshark -i lo -f 'udp port 65401' -O msgin5g,ueconfigdoc
    """
    if install == as_text or (folder is not None and not install):
        raise click.UsageError("give --install [--folder PATH] or --print")
    if as_text:
        click.echo(dissector(), nl=False)
        return
    path = Path(folder) if folder is not None else plugin_folder()
    path /= NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dissector(), encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    click.echo(f"installed {printable(str(path))}; restart Wireshark, or press Ctrl-Shift-L in it")
