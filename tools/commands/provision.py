"""`msgin5g provision`: each board of a table gets its own settings and secrets."""

import csv
import io
import json
import sys
from pathlib import Path

import click

from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.device.settings_check import file_text
from msgin5g_tools.device.errors import (
    NOT_MICROPYTHON,
    PORT_MISSING,
    WRONG_INPUT,
    DeviceError,
)
from msgin5g_tools.device.flashing import Job, Options
from msgin5g_tools.device.gateway_keys import Node, gateway_key_sources
from msgin5g_tools.device.inventory import take_inventory
from msgin5g_tools.device.ports import all_ports, on_each
from msgin5g_tools.device.server_keys import (
    KeySource,
    has_gateway_key,
    has_seal_c_key,
    key_owner,
    open_contexts,
)
from msgin5g_tools.device.session import TOOLS, session_at
from msgin5g_tools.device.table import read_table
from msgin5g_tools.commands.db_option import db_option
from msgin5g_tools.commands.flash import print_results, run_jobs
from msgin5g_tools.number import SECONDS
from msgin5g_tools.person_file import FileError, parse_json
from msgin5g_tools.scm_server.contexts import GATEWAY

_LABEL_COLUMNS = ("label", "ue_id", "role", "unique_id", "port")


@click.command()
@click.argument("table", metavar="TABLE")
@click.option("--settings", "base_file", metavar="FILE", help="What all boards have in common.")
@db_option("The server's database, for keys of OSCORE", required=False)
@click.option("--port", "ports", multiple=True, help="Where to look for boards [all ports].")
@click.option("--board", type=click.Choice(sorted(BOARDS)), help="Refuse any other board.")
@click.option("--tool", type=click.Choice(TOOLS), default="mpremote", show_default=True)
@click.option("--partial", is_flag=True, help="Take the boards that are connected now.")
@click.option("--labels", metavar="FILE", help="Write the label list as CSV, too.")
@click.option("--dry-run", is_flag=True, help="Check table and boards; change nothing.")
@click.option("--watch/--no-watch", default=None, help="As for msgin5g flash.")
@click.option(
    "--wait", "wait_s", type=SECONDS, default=20.0, show_default=True, help="Seconds to watch."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a board, at the end.")
def provision(
    table, base_file, db, ports, board, tool, partial, labels, dry_run, watch, wait_s, as_json
):  # fmt: skip
    """Give each board of a TABLE (CSV or JSON) its settings and secrets, and the firmware.

    \b
    port,unique_id,label,ue_id,next_hop,secrets.psk
    /dev/ttyACM0,,Door 1,urn:x-msgin5g:ue:0001,192.168.4.1:65401,0a1b2c

    A row names its board by port or by unique_id (`msgin5g doctor` prints it); any other column
    is a setting, or a secret. Everything is checked, the boards' presence too, before anything
    is written. At the end there is a list for the labels of the boards that are done.

    Where security.mode is oscore, each board gets a key of its own, and the server the same one.
    UEs behind a gateway have theirs with the gateway, and a separated gateway has its own with its
    SEAL-C, so both are rows of one table. A key is never shown. A board that has a key which the
    other end knows keeps it.
    Exit status: as for msgin5g flash.
    """
    try:
        rows = _checked_rows(table, base_file, db)
        if labels and not Path(labels).absolute().parent.is_dir():
            text = f"--labels: {labels}: there is no folder {Path(labels).parent}"
            raise DeviceError(WRONG_INPUT, text)
        found, status, reasons = _find_boards(rows, ports, tool)
        rows, missing = _with_key_holders(*_present(rows, found, partial, reasons))
        for line in missing:
            click.echo(line, err=True)
        if not rows or (missing and not partial):
            sys.exit(status)
        sources = _key_sources(rows, db, tool)
    except DeviceError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.status)
    jobs = [
        Job(port, row.parsed.role, row.settings, row.secrets, sources.get(port))
        for row, port in rows
    ]
    options = Options(tool, BOARDS.get(board), dry_run, watch, wait_s)
    status, results = _run_in_order(jobs, options, as_json)
    good = {port for port, (_, error) in results.items() if error is None}
    about = {port: _about(row, found[port]) for row, port in rows}
    label_rows = [
        (*about[port].values(), port) for _, port in rows if port in good and not dry_run
    ]
    if as_json:
        print_results(results, about)
    elif label_rows:
        _print_labels(label_rows)
    for row, port in rows:
        if port not in good:
            click.echo(f"{_name(row)}: failed, no label", err=True)
    if labels:
        status = max(status, _write_labels(labels, label_rows))
    sys.exit(status)


def _about(row, unique_id):
    """What is known of a board beside its port, in the order of _LABEL_COLUMNS."""
    parsed = row.parsed
    return {
        "label": row.label,
        "ue_id": parsed.ue_id,
        "role": parsed.role,
        "unique_id": unique_id,
    }


def _run_in_order(jobs, options, quiet):
    """As run_jobs, but a board comes after the one with which it has its key, or not at all."""
    secured = [job for job in jobs if job.key_source is not None]
    if options.dry_run or not any(job.key_source.ue_keys for job in secured):
        return run_jobs(jobs, options, quiet=quiet)
    holders = [[job for job in secured if job.role == role] for role in ("seal-c", "gateway")]
    rest = [job for job in jobs if not any(job in some for some in holders)]
    status, results = 0, {}
    for some in filter(None, (*holders, rest)):
        if status:
            break  # the next ones would get keys that the other end does not have
        status, more = run_jobs(some, options, quiet=quiet)
        results.update(more)
    return status, results


def _checked_rows(table, base_file, db):
    """The Rows; every fault is a line of its own, and one is enough to stop."""
    base = {}
    if base_file:
        try:
            base = parse_json(file_text(base_file), base_file)
        except FileError as error:
            raise DeviceError(WRONG_INPUT, str(error)) from None
        if not isinstance(base, dict):
            raise DeviceError(WRONG_INPUT, f"{base_file}: must be a JSON object")
    text = file_text(table)
    rows, faults = read_table(text, base, table)
    faults += [fault for row in rows for fault in _key_faults(row, rows, db)]
    if len(faults) == 1:
        raise DeviceError(WRONG_INPUT, f"{table}: {faults[0]}; nothing was written")
    if faults:
        for fault in sorted(faults, key=lambda line: int(line.split()[1].rstrip(":"))):
            click.echo(f"{table}: {fault}", err=True)
        raise DeviceError(WRONG_INPUT, f"{len(faults)} faults in {table}; nothing was written")
    if db:
        with open_contexts(db):  # it is there, and ours
            pass
    return rows


def _key_faults(row, rows, db):
    settings = row.parsed
    if has_gateway_key(settings):
        gateway = _gateway_of(row, rows)
        if gateway is None:
            yield f"row {row.number}: next_hop_is: no gateway in this table has a link to it"
        elif gateway.parsed.security_mode != "oscore":
            yield f"row {row.number}: security.mode: row {gateway.number}, its gateway, has none"
    elif has_seal_c_key(settings):
        seal_c = _seal_c_of(row, rows)
        if seal_c is None:
            yield f"row {row.number}: seal_c.mode: no seal-c in this table has its ue_id"
        elif seal_c.parsed.security_mode != "oscore":
            yield f"row {row.number}: security.mode: row {seal_c.number}, its SEAL-C, has none"
    elif key_owner(settings) is None:
        return
    elif not db:
        text = "oscore needs --db FILE: the key goes to the server, too"
        yield f"row {row.number}: security.mode: {text}"
    given = json.loads(row.secrets or b"{}").get("security") or ()
    for name in ("master_secret", "master_salt", "sender_id", "recipient_id", "id_context", "ues"):
        if name in given or getattr(settings, f"security_{name}", None):
            yield f"row {row.number}: security.{name}: is made with the key: leave it out"


def _gateway_of(row, rows):
    """The Row of the gateway that a UE has a link with, or None."""
    for other in rows:
        if other.parsed.role == "gateway" and row.parsed.ue_id in other.parsed.links:
            return other
    return None


def _seal_c_of(row, rows):
    """The Row of the configuration client of a separated gateway, or None."""
    for other in rows:
        if other.parsed.role == "seal-c" and row.parsed.ue_id == other.parsed.ue_id:
            return other
    return None


def _key_holder(row, rows):
    """The Row of the board with which another one has its key, or None: a SEAL-C, a gateway."""
    if has_gateway_key(row.parsed):
        return _gateway_of(row, rows)
    return _seal_c_of(row, rows) if has_seal_c_key(row.parsed) else None


def _key_sources(rows, db, tool):
    """{port: key source} of those that need a key."""
    sources = {}
    names = {port: _name(row) for row, port in rows}

    def node(row, port):
        members = [node(*pair) for pair in rows if _key_holder(pair[0], [row]) is row]
        return Node(row.parsed, port, members)

    for row, port in rows:
        owner = key_owner(row.parsed)
        if owner is None:
            continue
        if owner[0] != GATEWAY:
            sources[port] = KeySource(db, *owner)
            continue
        more, lost = gateway_key_sources(db, node(row, port), tool)
        sources.update(more)
        for holder, ue_id in lost:
            text = f"{names[holder.port]}: {ue_id} needs another key: provision it, too"
            click.echo(text, err=True)
    return sources


def _find_boards(rows, ports, tool):
    """What is at every port that a row may mean.

    ({port: unique_id}, exit status if one is missing, {port: why, of those that rows name}).
    """
    wanted = {row.port for row in rows if row.port}
    if any(row.unique_id and not row.port for row in rows):
        wanted |= set(ports or all_ports())

    def identify(port):
        with session_at(port, tool) as session:
            return take_inventory(session).facts["id"]

    found, statuses, reasons = {}, set(), {}
    for port, (identity, error) in on_each(sorted(wanted), identify).items():
        if error is None:
            found[port] = identity
        elif any(row.port == port for row in rows):
            reasons[port] = str(error)
            statuses.add(error.status)
        elif error.status != NOT_MICROPYTHON:
            click.echo(f"{port}: Error: {error}", err=True)
            statuses.add(error.status)
    return found, max(statuses, default=PORT_MISSING), reasons


def _present(rows, found, partial, reasons):
    """([(Row, port)], lines about those that are not there, or are not what they should be)."""
    by_id = {identity: port for port, identity in found.items()}
    present, lines = [], []
    for row in rows:
        name = _name(row)
        port = row.port or by_id.get(row.unique_id)
        if port is None or port not in found:
            why = f"{port}: {reasons[port]}" if port in reasons else "not connected"
            lines.append(f"{name}: {why}" + ("; left out" if partial else ""))
        elif row.unique_id and found[port] != row.unique_id:
            lines.append(f"{name}: at {port} is {found[port]}, not {row.unique_id}")
        elif any(port == other for _, other in present):
            lines.append(f"{name}: {port} is the board of another row, too")
        else:
            present.append((row, port))
    return present, lines


def _with_key_holders(present, lines):
    """The same without boards whose key is with one that is not there."""
    # Without its SEAL-C a gateway is left out, and without the gateway its UEs are.
    for has_key, whose in ((has_seal_c_key, "SEAL-C"), (has_gateway_key, "gateway")):
        rows = [row for row, _ in present]
        kept = []
        for row, port in present:
            if has_key(row.parsed) and not _key_holder(row, rows):
                lines.append(f"{_name(row)}: its {whose} is not connected")
            else:
                kept.append((row, port))
        present = kept
    return present, lines


def _name(row):
    return f"row {row.number} ({row.label or row.parsed.ue_id})"


def _print_labels(labels):
    rows = [_LABEL_COLUMNS, *labels]
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(_LABEL_COLUMNS))]
    click.echo()
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _write_labels(path, labels):
    """The exit status."""
    text = io.StringIO()
    csv.writer(text).writerows([_LABEL_COLUMNS, *labels])
    try:
        Path(path).write_text(text.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        click.echo(f"Error: --labels: {path}: {error.strerror}", err=True)
        return WRONG_INPUT
    return 0
