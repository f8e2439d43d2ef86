"""The configuration management server (SCM-S, TS 24.546): `msgin5g scm-server`.

What it answers where the specifications leave a choice (see also docs/operation.md):

Recipient. Every answer to a request with one `ue-uri` carries it, errors, 2.03, blocks and
notifications included. Several UEs have no one address, and a gateway talks to the server
directly: their answer has no Recipient. With --recipient, a request
whose Recipient names another server gets 4.00; a request without Recipient is served.

Matching. A document matches when any of ue-vendor, ue-uri and the IMEI matches; ue-type and
ue-snr together are one IMEI, each alone matches by itself. Documents without valUeIds are for
every UE. `ueVendors`, an array in the document, is what ue-vendor is matched with.

4.04 a single ue-uri without a document, an unknown path or document. 2.05 with an empty array:
everything else that matches nothing. 4.03 a UE on the deny list, whatever it asks; a document
that names other UEs only; a bulk request by a gateway that is not entitled, or one that names
a denied UE (all of it: the gateway asks again singly). 4.00 a malformed, unknown or repeated
parameter. 4.06, 4.15 a format that is neither ours nor application/cbor; 4.22 a body that is
CBOR and no UeConfigDoc; 4.12 If-Match, If-None-Match; 4.13 with Size1; 4.02 with the option.

Bulk. Several ue-uri options, or commas in one (a comma splits when `scheme:` follows), need
bulkConfFlag=<bulk id>. UEs without a document are absent from the array. Gateways are entitled
by --gateway and by the database; when neither names one, every gateway is.

Strict relay. --strict-relay answers 4.03 in place of 4.00 and 4.01, which it would discard.
"""

import asyncio
import json
import logging
import os
import sys

import click

from msgin5g_tools.scm_server.problem import ScmError, printable
from msgin5g_tools.scm_server.server import run
from msgin5g_tools.scm_server.settings import Settings, address

__all__ = ["scm_server"]


def _address(context, parameter, value):
    try:
        return None if value is None else address(value, parameter.name)
    except ScmError as error:
        raise click.ClickException(str(error)) from None


@click.command("scm-server", context_settings={"show_default": True})
@click.option("--bind", metavar="HOST:PORT", default="127.0.0.1:5683", callback=_address)
@click.option("--db", metavar="FILE", required=True, help="SQLite file; made when missing.")
@click.option("--recipient", metavar="URI", help="Our own address; others get 4.00.")
@click.option("--tcp", metavar="HOST:PORT", callback=_address, help="CoAP over TCP too.")
@click.option("--ws", metavar="HOST:PORT", callback=_address, help="CoAP over WebSockets too.")
@click.option("--content-format", type=int, default=65001)
@click.option("--recipient-option", type=int, default=65020)
@click.option("--service-id", default="msgin5g", help="Advertised in /.well-known/core.")
@click.option("--bulk-id", default="msgin5g-bulk", help="What bulkConfFlag has to be.")
@click.option("--gateway", "gateways", metavar="HOST", multiple=True, help="Entitled to bulk.")
@click.option("--max-age", type=int, default=60, help="Seconds a document stays fresh.")
@click.option("--max-body", type=int, default=65536, help="Bytes of a document sent to us.")
@click.option("--strict-relay", is_flag=True, help="4.03 in place of 4.00 and 4.01.")
@click.option("--read-only", is_flag=True, help="No POST, PUT and DELETE.")
@click.option("--echo", is_flag=True, help="Unverified sources get 4.01 with Echo (RFC 9175).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--verbose", "-v", is_flag=True, help="aiocoap's own log on stderr.")
def scm_server(as_json, verbose, **settings):
    """Run the configuration management server until SIGTERM or Ctrl-C."""
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(name)s: %(message)s")
    if not verbose:
        # What a peer does wrong is answered; it is not the operator's business.
        for name in ("coap-server", "websockets", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.stdout.reconfigure(errors="backslashreplace")  # whatever the terminal can show
    show = _json_line if as_json else _line

    def on_event(event):
        _print(show(event))

    def on_fault(text):
        click.echo(f"fault: {printable(text)}", err=True)

    try:
        asyncio.run(run(Settings(**settings), on_event, on_fault))
    except ScmError as error:
        raise click.ClickException(str(error)) from None


def _print(text):
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Nobody reads any more; serving goes on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _json_line(event):
    return json.dumps(event)


def _line(event):
    """An event as a person reads it."""
    if event["event"] == "started":
        also = "".join(f", {name} {event[name]}" for name in ("tcp", "ws") if name in event)
        return f"listening on {event['bind']}{also}; documents in {event['db']}"
    if event["event"] == "stopped":
        return "stopped"
    text = f"{event['code']} {event['method']} {event['uri']} from {event['remote']}"
    text += f", {event['size']} bytes"
    if event["event"] == "notified":
        text = "notified: " + text
    if event["recipient"]:
        text += f" for {event['recipient']}"
    if "detail" in event:
        text += f": {event['detail']}"
    return printable(text)
