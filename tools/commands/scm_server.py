"""The configuration management server (SCM-S, TS 24.546): `msgin5g scm-server`.

What the server does where the specifications leave a choice (see also docs/server.md):

Recipient. Every response to a request with one `ue-uri` has the Recipient option: also errors,
2.03, blocks and notifications. A response for several UEs has none, because they have no common
address, and a gateway accepts a response without Recipient from the server. With --recipient, a
request whose Recipient is another server gets 4.00; a request without Recipient is served.

Matching. A document matches when ue-vendor, ue-uri or the IMEI matches. ue-type and ue-snr
together are one IMEI; each alone matches by itself. A document without valUeIds is for every UE.
ue-vendor is compared with `ueVendors`, an array in the document.

OSCORE. A request under a key of the database (contexts) is that of its owner: a UE reads what is
for its UE ID, with or without ue-uri, a gateway what is for its UEs, an administrator reads and
changes everything. See also security.

2.05 with an empty array: nothing matches, and the request has no ue-uri, or several.
4.00 a malformed, unknown or repeated parameter.
4.02 a critical option that is not understood; the response names it.
4.03 a UE on the deny list; a document for other UEs only; one that names a denied UE, without
     ue-uri; more documents than --max-documents; a change by a stranger; a bulk request from a
     gateway that is not entitled, or with a denied UE in it (the gateway asks again for each UE
     alone).
4.04 one ue-uri without a document; an unknown path or document.
4.06, 4.15 a format that is neither ours nor application/cbor.
4.29 a host that sends more than --max-rate requests a second; Max-Age says how long to wait.
4.12 If-Match or If-None-Match. 4.13 a body that is too long; Size1 has the limit.
4.22 a body that is CBOR, but not a UeConfigDoc.

Bulk. Several ue-uri options, or a list with commas in one (a comma splits when `scheme:` follows),
need bulkConfFlag=<bulk id>. UEs without a document are absent from the array. --gateway and the
database entitle gateways; when neither names one, every gateway is entitled.

Strict relay. --strict-relay sends 4.03 in place of 4.00 and 4.01, which a strict relay discards.
"""

import asyncio
import logging

import click

from msgin5g_tools import option_file
from msgin5g_tools.commands.db_option import db_option
from msgin5g_tools.log_lines import LEVELS, Log, LogHandler
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.server import run
from msgin5g_tools.scm_server.settings import Settings, address, bind_error, metrics_address
from msgin5g_tools.text import printable

__all__ = ["scm_server"]


def _address(context, parameter, value):
    try:
        return None if value is None else address(value, parameter.name)
    except ScmError as error:
        raise option_file.fault(*str(error).split(": ", 1)) from None


@click.command("scm-server", context_settings={"show_default": True})
@option_file.options
@click.option(
    "--bind",
    metavar="HOST:PORT",
    default="127.0.0.1:5683",
    callback=_address,
    help="UDP address of the server.",
)
@db_option("The documents, the deny list and the keys; created when they do not exist")
@click.option(
    "--recipient",
    metavar="URI",
    help="URI of this server; a request for another Recipient gets 4.00.",
)
@click.option("--tcp", metavar="HOST:PORT", callback=_address, help="Also CoAP over TCP.")
@click.option("--ws", metavar="HOST:PORT", callback=_address, help="Also CoAP over WebSockets.")
@click.option("--content-format", type=int, default=65001, help="Content-Format of UeConfigDoc.")
@click.option(
    "--recipient-option", type=int, default=65020, help="Number of the Recipient option."
)
@click.option("--path-prefix", metavar="PATH", default="", help="Serve below this path: root/scm.")
@click.option("--service-id", default="msgin5g", help="Listed in /.well-known/core.")
@click.option("--bulk-id", default="msgin5g-bulk", help="The value that bulkConfFlag must have.")
@click.option(
    "--gateway",
    "gateways",
    metavar="HOST",
    multiple=True,
    help="IP address of a gateway that may send bulk requests; repeatable.",
)
@click.option("--max-age", type=int, default=60, help="Max-Age of documents, in seconds.")
@click.option(
    "--max-body",
    type=int,
    default=65536,
    help="Size limit of a document in a POST or PUT, in bytes.",
)
@click.option(
    "--max-observers",
    type=int,
    default=10000,
    help="Limit of observations; each takes about 3 KB of memory.",
)
@click.option(
    "--max-ues",
    type=int,
    default=1_000_000,
    help="Limit of the UEs whose requests are recorded, see msgin5g fleet; 200 to 400 bytes each.",
)
@click.option(
    "--max-rate",
    type=float,
    default=None,
    show_default="200, no limit if bound to loopback",
    help="Requests a second of one host; beyond them 4.29. 0: no limit.",
)
@click.option(
    "--max-connections",
    type=int,
    default=500,
    help="Limit of connections of TCP and WebSockets; a host may have 50.",
)
@click.option(
    "--max-documents", type=int, default=1000, help="Limit of documents in one response."
)
@click.option("--strict-relay", is_flag=True, help="Send 4.03 in place of 4.00 and 4.01.")
@click.option("--read-only", is_flag=True, help="Reject POST, PUT and DELETE.")
@click.option(
    "--echo/--no-echo",
    default=None,
    show_default="on unless bound to loopback",
    help="Verify source addresses with the Echo option (RFC 9175).",
)
@click.option(
    "--administrator",
    metavar="DIRECTORY",
    help="OSCORE security context of who may change documents from other machines.",
)
@click.option(
    "--require-security", is_flag=True, help="Refuse every request that OSCORE does not protect."
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Serve /metrics (Prometheus) and /health over HTTP; on 127.0.0.1 unless HOST is given.",
)
@click.option(
    "--web",
    metavar="HOST:PORT",
    callback=_address,
    help="Serve a page for the operator over HTTP.",
)
@click.option(
    "--web-token-file",
    metavar="FILE",
    help="A line NAME TOKEN for each person who may log in; needed unless --web is on loopback.",
)
@click.option(
    "--web-host",
    "web_hosts",
    metavar="NAME",
    multiple=True,
    help="A name that browsers use for the page, as that of a proxy in front; repeatable.",
)
@click.option("--web-read-only", is_flag=True, help="The page shows everything, changes nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print events as one JSON object a line.")
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    default="info",
    help="Print what is at least this important: 4.xx is a warning, 5.xx an error.",
)
@click.option(
    "--verbose", "-v", is_flag=True, help="--log-level debug, with aiocoap's own log on stderr."
)
def scm_server(
    print_config, as_json, log_level, verbose, metrics, web, web_token_file, web_hosts,
    web_read_only, **settings
):  # fmt: skip
    """Run the configuration management server (TS 24.546) until SIGTERM or Ctrl-C.

    It serves the documents of a database: fill it with `msgin5g documents`, also while the
    server runs, or with POST, PUT and DELETE. It prints one line for each request,
    with time (UTC) and level.

    \b
    Example:
      msgin5g documents import examples/documents.json --db scm.db
      msgin5g scm-server --bind 127.0.0.1:5683 --db scm.db
      msgin5g scm-server --db scm.db --print-config > scm-server.toml
      msgin5g scm-server --config scm-server.toml
    """
    try:
        checked = Settings(**settings)
    except ScmError as error:
        raise option_file.fault(*str(error).split(": ", 1)) from None
    if print_config:
        click.echo(option_file.text_of(click.get_current_context()), nl=False)
        return
    page = _web(web, web_token_file, web_read_only, web_hosts) if web else None
    verbose = verbose or log_level == "debug"
    log = Log(as_json, "debug" if verbose else log_level)
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[LogHandler(log)])
    if not verbose:
        # Errors of a peer get a response; they are no messages for the operator.
        for name in ("coap-server", "websockets", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    # Its lines of debugging have nonces, and keys when AIOCOAP_REVEAL_KEYS is set.
    logging.getLogger("aiocoap.cryptography").setLevel(logging.WARNING)

    def on_event(event):
        log.event(_level(event), event, _line)
        if metrics:
            metrics.on_event(event)
        if page:
            page.on_event(event)

    def on_fault(text):
        log.message("error", printable(f"fault: {text}"))

    try:
        metrics = _metrics(metrics, log) if metrics else None
        if page:
            page.listen_to(log)
        asyncio.run(run(checked, on_event, on_fault, metrics, page))
    except ScmError as error:
        raise click.ClickException(str(error)) from None
    finally:
        log.close()


def _metrics(text, log):
    from msgin5g_tools.scm_server.metrics import Metrics  # not everybody needs the library

    try:
        bind = metrics_address(text)
    except ScmError as error:
        raise option_file.fault(*str(error).split(": ", 1)) from None
    try:
        return Metrics(bind, lambda: log.n_dropped)
    except (OSError, OverflowError, UnicodeError) as error:
        raise bind_error(*bind, error) from None


def _web(bind, token_file, read_only, hosts):
    try:
        # Not everybody needs the library.
        from msgin5g_tools.scm_server.web.app import WebServer
        from msgin5g_tools.scm_server.web.settings import WebSettings
    except ImportError as error:
        if error.name != "aiohttp":
            raise
        text = "--web needs aiohttp: pip install 'msgin5g-firmware[web]'"
        raise click.ClickException(text) from None
    try:
        return WebServer(WebSettings(bind, token_file, read_only, hosts))
    except ScmError as error:
        raise option_file.fault(*str(error).split(": ", 1)) from None


def _level(event):
    """An event about a message has the level of its response."""
    if event["event"] == "replayed":
        return "warning"
    return {"4": "warning", "5": "error"}.get(event.get("code", "")[:1], "info")


def _line(event):
    """An event as one line of text."""
    if event["event"] == "started":
        also = "".join(f", {name} {event[name]}" for name in ("tcp", "ws") if name in event)
        return f"listening on {event['bind']}{also}; documents in {event['db']}"
    if event["event"] == "web":
        return f"page for the operator at {event['url']}"
    if event["event"] == "stopped":
        return "stopped"
    text = f"{event['code']} {event['method']} {event['uri']} from {event['remote']}"
    text += f", {event['size']} bytes"
    if event["event"] in ("notified", "replayed"):
        text = f"{event['event']}: {text}"
    if event["recipient"]:
        text += f" for {event['recipient']}"
    if "key_of" in event:
        text += f", key of {event['key_of']}"
    if "detail" in event:
        text += f": {event['detail']}"
    return printable(text)
