"""`msgin5g fleet`: what became of the UEs, as the server recorded it, also while it runs."""

import csv
import json
import sys
import time
from contextlib import contextmanager

import click

from msgin5g_tools.commands.db_option import db_option
from msgin5g_tools.scm_server.database import exists, shown
from msgin5g_tools.scm_server.fleet import DENIED, REFUSED, STATES, Fleet
from msgin5g_tools.scm_server.problem import DatabaseError, ScmError
from msgin5g_tools.scm_server.store import Store
from msgin5g_tools.text import printable

_SHOWN = 50
_UNFOLDED = 10_000  # columns, more than the longest names of a UE fill
_FIELDS = (
    "uri",
    "state",
    "reason",
    "asked_at",
    "how",
    "peer",
    "key_of",
    "service",
    "document",
    "etag",
    "wanted_etag",
    "given_at",
    "notified_at",
    "notified_etag",
    "acknowledged_at",
    "denied_at",
    "denied_code",
    "denied_reason",
    "reported_at",
    "refused_etag",
    "refused_reason",
    "first_at",
)
_HOW = {"alone": "alone", "bulk": "in bulk", "observe": "to observe"}


@click.command()
@click.argument("uri", metavar="[UE-URI]", required=False)
@db_option("The database of msgin5g scm-server")
@click.option("--state", type=click.Choice(STATES), help="Only the UEs of this state.")
@click.option("--search", metavar="TEXT", default="", help="Only UEs with this text in the URI.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=_SHOWN,
    show_default=True,
    help="UEs in the table; 0 is all. --json and --csv show all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="A table for other programs.")
def fleet(uri, db, state, search, limit, as_json, as_csv):
    """Show what became of the UEs: how many of each state, and then which; or one UE.

    \b
    newest   was given what the server has for it now
    older    was given something else before
    denied   its last request got an error
    refused  has reported that it refuses what it was given (its setting report_refused)
    never    a document or a key names it, and it has never asked

    \b
    Examples:
      msgin5g fleet --db scm.db
      msgin5g fleet --db scm.db --state refused
      msgin5g fleet urn:x-msgin5g:ue:0007 --db scm.db
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv are two forms: choose one")
    if uri is not None and (state or search):
        raise click.UsageError("one UE-URI needs neither --state nor --search")
    with _open(db) as opened:
        if uri is not None:
            found = opened.find(uri)
            if found is None:
                raise click.ClickException(f"{printable(uri)}: no such UE")
            ues = [found]
        else:
            ues = opened.each(state, search)
        if as_json or as_csv:
            _machine(ues, as_csv)
        elif uri is not None:
            _details(ues[0])
        else:
            _table(opened, state, search, limit)


def _machine(ues, as_csv):
    if not as_csv:
        for ue in ues:
            click.echo(json.dumps(_row(ue)))
        return
    writer = csv.DictWriter(sys.stdout, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for ue in ues:
        writer.writerow({name: _cell(value) for name, value in _row(ue).items()})


def _row(ue):
    """A Ue as a dict of what people look for; times are in UTC, ISO 8601."""
    row = {
        "uri": ue.spelling,
        "reason": _reason(ue),
        "document": ue.doc_id,
        **{name: getattr(ue, name) for name in _FIELDS if hasattr(ue, name) and name != "uri"},
    }
    for name, value in row.items():
        if isinstance(value, bytes):
            row[name] = value.hex()
        elif name.endswith("_at") and value is not None:
            row[name] = _time(value)
    return {name: row[name] for name in _FIELDS}


def _cell(value):
    """A value in a table that a spreadsheet opens: no text is taken for a formula."""
    text = "" if value is None else printable(str(value))
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def _reason(ue):
    if ue.state == DENIED:
        return f"{ue.denied_code} {ue.denied_reason or ''}".strip()
    return ue.refused_reason if ue.state == REFUSED else None


def _time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _table(opened, state, search, limit):
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    ues = opened.each(state, search)
    counts, shown = dict.fromkeys(STATES, 0), []
    for ue in ues:
        counts[ue.state] += 1
        if not limit or len(shown) < limit:
            shown.append(ue)
    console = Console(emoji=False)
    if not console.is_terminal:  # in a pipe or a file a UE is one line
        console.width = _UNFOLDED
    listed = [name for name in STATES if state in (None, name)]
    text = ", ".join(f"{counts[name]} {name}" for name in listed)
    console.print(f"{sum(counts.values())} UEs: {text}", highlight=False)
    table = Table()
    for title in ("UE", "State", "Last asked (UTC)", "How", "ETag"):
        table.add_column(title, overflow="fold")
    for ue in shown:
        reason = _reason(ue)
        cells = (
            ue.spelling,
            f"{ue.state}: {reason}" if reason else ue.state,
            "-" if ue.asked_at is None else _time(ue.asked_at),
            _how(ue),
            ue.etag.hex() if ue.etag else "-",
        )
        table.add_row(*(escape(printable(cell)) for cell in cells))
    if shown:
        console.print(table)
    n_more = sum(counts.values()) - len(shown)
    if n_more:
        console.print(f"and {n_more} more: --limit 0 shows all", highlight=False)


def _how(ue):
    if ue.how is None:
        return "-"
    return f"{_HOW.get(ue.how, ue.how)} from {ue.peer}{' with a key' if ue.key_of else ''}"


def _details(ue):
    """One UE, a line for each thing that is known."""
    reason = _reason(ue)
    lines = [("state", f"{ue.state}: {reason}" if reason else ue.state)]
    if ue.asked_at is not None:
        lines.append(("last asked", f"{_time(ue.asked_at)}, {_how(ue)}"))
        lines.append(("key", f"of {ue.key_of}" if ue.key_of else "none"))
        lines.append(("first seen", _time(ue.first_at)))
    if ue.given_at is not None:
        what = f"document {ue.doc_id}" if ue.doc_id else "its documents"
        lines.append(("given", f"{_time(ue.given_at)}, {what} of {ue.service}"))
        lines.append(("ETag given", _hex(ue.etag)))
        lines.append(("ETag now", _hex(ue.wanted_etag)))
    if ue.denied_at is not None:
        text = f"{_time(ue.denied_at)}, {ue.denied_code} {ue.denied_reason or ''}"
        lines.append(("denied", text.strip()))
    if ue.notified_at is not None:
        acknowledged = "not acknowledged"
        if ue.acknowledged_at is not None:
            acknowledged = f"acknowledged {_time(ue.acknowledged_at)}"
        text = f"{_time(ue.notified_at)}, ETag {_hex(ue.notified_etag)}, {acknowledged}"
        lines.append(("notified", text))
    if ue.refused_reason is not None:
        text = f"{_time(ue.reported_at)}, ETag {_hex(ue.refused_etag)}: {ue.refused_reason}"
        lines.append(("refuses", text))
    elif ue.reported_at is not None:
        lines.append(("refuses", f"nothing, as of {_time(ue.reported_at)}"))
    click.echo(printable(ue.spelling))
    for name, text in lines:
        click.echo(f"  {name:<11} {printable(text)}")


def _hex(tag):
    return tag.hex() if tag else "none"


@contextmanager
def _open(db):
    """The Fleet; every error of the database is one line."""
    if not exists(db):
        raise click.ClickException(f"{shown(db)}: no such database")
    try:
        with Store(db, create=False) as store:
            yield Fleet(store)
    except ScmError as error:
        raise click.ClickException(str(error)) from None
    except DatabaseError as error:
        raise click.ClickException(f"{shown(db)}: {error.line}") from None
