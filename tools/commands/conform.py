"""`msgin5g conform`: what an implementation does, ours or a stranger's, clause by clause."""

import asyncio
import sys
from pathlib import Path

import click

from msgin5g_tools.conform import profile as profiles
from msgin5g_tools.conform import report
from msgin5g_tools.conform.check import FAIL, perform_all, select
from msgin5g_tools.conform.roles import ROLES
from msgin5g_tools.conform.station import AddressError
from msgin5g_tools.person_file import FileError
from msgin5g_tools.text import printable

_FAILED = 1
_MAX_PORT = 65535


class Address(click.ParamType):
    """HOST:PORT, an IPv6 address in brackets."""

    name = "HOST:PORT"

    def convert(self, value, parameter, context):
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        host = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
        if not colon or not host or not port.isdecimal() or not 1 <= int(port) <= _MAX_PORT:
            self.fail(f"{value!r}: write HOST:PORT, the port 1 to {_MAX_PORT}", parameter, context)
        return host, int(port)


def _read_profile(context, parameter, path):
    """Make what a file says the defaults of the command."""
    if path is None:
        return
    try:
        values = profiles.read_profile(path)
    except FileError as error:
        raise click.UsageError(str(error), context) from None
    known = {
        name.removeprefix("--").replace("-", "_"): each
        for each in context.command.params
        for name in each.opts
        if each.expose_value
    }
    context.default_map = {}
    for key, value in values.items():
        if key not in known:
            raise click.UsageError(f"{path}: unknown key {key!r}: see --help", context)
        is_single = known[key].multiple and not isinstance(value, list)
        context.default_map[known[key].name] = [value] if is_single else value


_ADDRESS = Address()
_URI = {"metavar": "URI"}
_COMMON = (
    click.option(
        "--profile",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read_profile,
        help="Options in a file, TOML or JSON: no_document is --no-document.",
    ),
    click.option("--recipient", **_URI, help="The Recipient that names the server."),
    click.option("--recipient-option", type=int, default=65020, help="Number of that option."),
    click.option("--content-format", type=int, default=65001, help="Number for UeConfigDoc."),
    click.option("--service", default="msgin5g", help="The valServiceId in the path."),
    click.option("--path-prefix", default="", help="What stands before su-uc in the path."),
    click.option("--only", metavar="CLAUSE", multiple=True, help="Or a check; repeatable."),
    click.option("--list", "as_list", is_flag=True, help="List the checks, and check nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    click.option("--junit", metavar="FILE", help="Also write JUnit's XML."),
    click.option("--verbose", "-v", is_flag=True, help="Show every message of each check."),
)
_ADDRESSED = click.option("--address", type=_ADDRESS, help="The implementation under test.")
_UE = click.option("--ue", "ues", multiple=True, **_URI, help="A UE ID; repeatable.")
_BULK_ID = click.option("--bulk-id", default="msgin5g-bulk", help="Value of bulkConfFlag.")
_ACK_TIMEOUT = click.option(
    "--ack-timeout", "ack_timeout_s", type=float, default=2.0, help="Its ACK_TIMEOUT, in seconds."
)
# Of what stands between UEs and the server.
_BETWEEN = (
    _ADDRESSED,
    _UE,
    click.option(
        "--ue-bind", "ue_binds", type=_ADDRESS, multiple=True, help="Address of that UE: the kit."
    ),
    click.option("--server-bind", type=_ADDRESS, help="Address of its server: the kit."),
    click.option("--stranger-bind", type=_ADDRESS, help="One without a link: the kit."),
    _ACK_TIMEOUT,
)


def _options(*options):
    """The options of a command, and those of every command."""

    def decorate(function):
        for option in reversed((*options, *_COMMON)):
            function = option(function)
        return function

    return decorate


@click.group()
def conform():
    """Check an implementation, clause by clause: the kit plays the other side.

    It ends with status 0 if no check has failed. See docs/conformance.md.

    \b
    Examples:
      msgin5g conform server --address 192.0.2.1:5683 --ue urn:x:ue:7 --no-document urn:x:ue:9
      msgin5g conform server --list
    """


@conform.command(context_settings={"show_default": True})
@_options(
    _ADDRESSED,
    _UE,
    click.option("--no-document", **_URI, help="A UE that has no document."),
    click.option("--denied", **_URI, help="A UE that is not allowed."),
    click.option("--host", metavar="NAME", help="Sent as Uri-Host."),
    _BULK_ID,
    click.option("--comma", is_flag=True, help="It takes several UEs in one ue-uri, with commas."),
    click.option(
        "--no-document-code",
        type=click.Choice([profiles.ANY, "4.04", "2.05"]),
        default=profiles.ANY,
        help="What a UE without a document is to get.",
    ),
    click.option("--may-write", is_flag=True, help="The kit may put and delete documents."),
)
def server(**values):
    """Check a configuration management server: the kit is a client of it."""
    _conform("server", **values)


@conform.command(context_settings={"show_default": True})
@_options(
    *_BETWEEN,
    click.option("--strict-codes", is_flag=True, help="Only 2.05, 4.03 and 4.04 are to pass."),
)
def relay(**values):
    """Check a relay: the kit is its UEs and its server.

    The relay has a link for each --ue at its --ue-bind, and --server-bind is its server.
    """
    _conform("relay", **values)


@conform.command(context_settings={"show_default": True})
@_options(
    *_BETWEEN,
    _BULK_ID,
    click.option(
        "--window", "window_s", type=float, default=2.0, help="How long it collects, in seconds."
    ),
)
def gateway(**values):
    """Check a gateway: the kit is its UEs and its server.

    The gateway has a link for each --ue at its --ue-bind, and --server-bind is its server.
    """
    _conform("gateway", **values)


@conform.command(context_settings={"show_default": True})
@_options(
    _ADDRESSED,
    click.option("--bind", type=_ADDRESS, help="Address of its next hop: the kit."),
    _UE,
    click.option(
        "--next-hop-is",
        type=click.Choice(["relay", "server"]),
        default="relay",
        help="From a server it may take a response without a Recipient.",
    ),
    click.option(
        "--source-port", type=int, default=65401, help="The port it asks from; 0: any port."
    ),
    _ACK_TIMEOUT,
    click.option("--max-retransmit", type=int, default=4, help="Its MAX_RETRANSMIT."),
    click.option(
        "--wait", "wait_s", type=float, default=60.0, help="For its next request, in seconds."
    ),
    click.option(
        "--events",
        metavar="FILE",
        help="What `msgin5g run --json` prints, - for stdin: shows what a UE of ours applied.",
    ),
)
def ue(**values):
    """Check a constrained UE: the kit is its next hop, a relay, and the server behind that.

    The UE asks when it wants to. It must ask again soon: after Max-Age (1 s), and after a failure.
    """
    _conform("ue", **values)


def _conform(role, as_list, as_json, only, junit, verbose, **values):
    chosen = select(ROLES[role].checks, only)
    if not chosen:
        names = ", ".join(map(repr, only))
        raise click.UsageError(f"--only: {names} is no clause and no check: see --list")
    if as_list:
        click.echo(report.as_list(chosen))
        return
    made = _profile(role, **values)
    table = None if as_json else report.Table(chosen, verbose, click.echo)
    try:
        rows = asyncio.run(_perform(role, made, chosen, table))
    except AddressError as error:
        raise click.ClickException(printable(str(error))) from None
    click.echo(report.as_json(role, rows) if as_json else report.summary(rows))
    if junit:
        try:
            Path(junit).write_text(report.as_junit(role, rows), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"--junit: {junit}: {error.strerror}") from None
    sys.exit(_FAILED if any(row.verdict == FAIL for row in rows) else 0)


def _profile(role, ues, ue_binds=None, **values):
    if ue_binds is None:
        ue_binds = [None] * len(ues)
    if len(ue_binds) != len(ues):
        raise click.UsageError(f"{len(ues)} --ue and {len(ue_binds)} --ue-bind: each UE has one")
    made = profiles.Profile(ues=list(zip(ues, ue_binds, strict=True)), **values)
    for name in ("address", *ROLES[role].required):
        if not getattr(made, name):
            option = profiles.BRINGS.get(name, "--" + name.replace("_", "-"))
            raise click.UsageError(f"Missing option '{option}'.")
    return made


async def _perform(role, made, chosen, table):
    async with ROLES[role].bench(made) as bench:
        if table:
            table.head()
        return await perform_all(
            chosen,
            bench.new_case,
            lambda check: profiles.missing(check, made),
            made.parallel or ROLES[role].parallel,
            table.row if table else lambda row: None,
        )
