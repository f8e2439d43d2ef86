"""`msgin5g keys`: the keys of OSCORE that the server has, and what becomes of them."""

import json
import re
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import click

from msgin5g_tools.commands.db_option import db_option
from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError, device_error
from msgin5g_tools.device.server_contexts import open_contexts
from msgin5g_tools.device.session import TOOLS
from msgin5g_tools.number import SECONDS
from msgin5g_tools.paths import FIRMWARE
from msgin5g_tools.scm_server.contexts import (
    ACTIVE,
    ADMINISTRATOR,
    GATEWAY,
    OVERLAP_DAYS,
    RETIRING,
    UE,
    normal_owner,
)
from msgin5g_tools.text import printable

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_OVERLAP_S = 366 * 86_400

_database = db_option("The database of msgin5g scm-server")


def _seconds(context, parameter, text):
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    seconds = match and int(match[1]) * _UNITS[match[2]]
    if seconds is None or seconds > _MAX_OVERLAP_S:
        raise click.BadParameter("a time such as 14d, 36h or 30m, 366d at most")
    return seconds


@click.group()
def keys():
    """List, rotate or revoke the keys of OSCORE at the server. No key is ever shown.

    msgin5g provision makes the keys and puts them on boards. A running server follows every
    change at once.

    \b
    Examples:
      msgin5g keys list --db scm.db
      msgin5g keys rotate urn:x-msgin5g:ue:0007 --db scm.db --port /dev/ttyACM0
      msgin5g keys revoke urn:x-msgin5g:ue:0007 --db scm.db
    """


@keys.command("list")
@click.argument("owner", metavar="[UE-ID]", required=False)
@_database
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(owner, db, as_json):
    """List keys by their identifiers: whose, state, since when, when it was last used."""
    with _faults_in_one_line(), open_contexts(db) as contexts:
        found = _of_owner(contexts, owner) if owner else contexts.list()
    now = time.time()
    if as_json:
        for context in found:
            click.echo(json.dumps(_shown(context, now)))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("Whose", "kid", "State", "Made", "Last used"):
        table.add_column(title, overflow="fold")
    for context in found:
        row = _shown(context, now)
        owner, state = row["owner"], row["state"]
        if row["kind"] != UE:
            owner += f"\n{row['kind']}"
        if state == RETIRING:
            state += f"\nto {row['ends_at'][:10]}"
        days = [(row[name] or "-")[:10] for name in ("created_at", "used_at")]
        cells = ["\n".join(map(printable, cell.split("\n"))) for cell in (owner, state)]
        table.add_row(*map(escape, (cells[0], row["kid"], cells[1], *days)))
    console = Console(emoji=False)
    console.print(table)
    console.print(f"{len(found)} keys", highlight=False)


def _shown(context, now):
    state = context.state
    if state == RETIRING and not context.works_at(now):
        state = "ended"
    return {
        "owner": context.spelling,
        "kind": context.kind,
        "kid": context.kid.hex(),
        "state": state,
        "ends_at": _time(context.ends_at),
        "created_at": _time(context.created_at),
        "used_at": _time(context.used_at),
    }


def _time(seconds):
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))


@keys.command()
@click.argument("owner", metavar="UE-ID")
@_database
@click.option(
    "--overlap",
    "overlap_s",
    metavar="TIME",
    default=f"{OVERLAP_DAYS}d",
    show_default=True,
    callback=_seconds,
    help="How long the former key works.",
)
@click.option("--port", help="The board: put the new key on it now, with firmware and numbers.")
@click.option("--tool", type=click.Choice(TOOLS), default="mpremote", show_default=True)
@click.option(
    "--wait", "wait_s", type=SECONDS, default=20.0, show_default=True, help="Seconds to watch."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rotate(owner, db, overlap_s, port, tool, wait_s, as_json):
    """Replace the key of a UE.

    The former key works for the overlap, so that a board that sleeps comes back. Without --port,
    run msgin5g provision for its board in that time. With --port, or then, the former key ends
    as soon as the board has the new one.
    Exit status: as for msgin5g flash.
    """
    with _faults_in_one_line():
        with open_contexts(db) as contexts:
            kind, name = _only_owner(contexts, owner)
            if not port:
                made = contexts.rotate(kind, name, overlap_s)
                former = [c for c in contexts.list(kind, name) if c.state == RETIRING]
        if port and kind == GATEWAY:
            text = "the keys of its UEs go with it: msgin5g provision for all of them"
            raise DeviceError(WRONG_INPUT, f"{printable(owner)}: {text}")
        if port:
            _require_board(port, tool, kind, name)
    if port:
        sys.exit(_put_on_board(db, kind, name, port, overlap_s, (tool, wait_s, as_json)))
    until = _time(max(context.ends_at for context in former))
    if as_json:
        shown = {"owner": made.spelling, "kid": made.kid.hex(), "former_until": until}
        click.echo(json.dumps(shown))
        return
    text = f"{printable(made.spelling)}: the former key works until {until}; before that: "
    click.echo(text + "msgin5g provision for its board, or this command with --port")


def _put_on_board(db, kind, name, port, overlap_s, options):
    """Give a board a new key; the exit status."""
    from msgin5g_tools.commands.flash import print_results, run_jobs
    from msgin5g_tools.device.flashing import Job, Options
    from msgin5g_tools.device.server_keys import KeySource

    tool, wait_s, as_json = options
    source = KeySource(db, kind, name, keeps=False, overlap_s=overlap_s)
    job = Job(port, None, None, None, source)
    status, results = run_jobs([job], Options(tool, None, False, None, wait_s), quiet=as_json)
    if as_json:
        print_results(results, {port: {"owner": name}})
    return status


def _require_board(port, tool, kind, name):
    """DeviceError when the board is another one than that of the key."""
    if not FIRMWARE.is_dir():
        raise DeviceError(WRONG_INPUT, "--port needs the source tree, with the firmware")
    # An installed wheel has no firmware, which these need.
    from msgin5g_tools.device.inventory import take_inventory
    from msgin5g_tools.device.server_keys import has_gateway_key, has_seal_c_key, key_owner
    from msgin5g_tools.device.session import session_at
    from msgin5g_tools.device.settings_check import checked_settings

    with session_at(port, tool) as session:
        inventory = take_inventory(session)
    if inventory.settings is None:
        raise DeviceError(WRONG_INPUT, f"{port}: no settings.json: use msgin5g provision")
    settings = checked_settings(inventory.settings)[1]
    found = key_owner(settings)
    for has_key, whose in ((has_gateway_key, "gateway"), (has_seal_c_key, "SEAL-C")):
        if has_key(settings):
            text = f"{port}: its key is with its {whose}: msgin5g provision"
            raise DeviceError(WRONG_INPUT, text)
    if found is None:
        text = (
            f"{port}: security.mode of its settings is {settings.security_mode}: it needs no key"
        )
        raise DeviceError(WRONG_INPUT, text)
    if normal_owner(kind, found[1]) != normal_owner(kind, name) or found[0] != kind:
        raise DeviceError(WRONG_INPUT, f"{port}: is {found[1]}, not {name}")


@keys.command()
@click.argument("owner", metavar="UE-ID")
@_database
@click.option("--kid", help="Only the key with this identifier, in hex.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def revoke(owner, db, kid, as_json):
    """End the keys of a UE at once, as for a board that was stolen: the server refuses it.

    What is left of a key is its identifier, so that none gets it again.
    """
    with _faults_in_one_line(), open_contexts(db) as contexts:
        found = [c for c in _of_owner(contexts, owner) if c.state in (ACTIVE, RETIRING)]
        if kid is not None:
            found = [c for c in found if c.kid.hex() == kid.lower()]
        for context in found:
            contexts.revoke_number(context.number)
    if as_json:
        shown = {"owner": owner, "revoked": [context.kid.hex() for context in found]}
        click.echo(json.dumps(shown))
    elif found:
        kids = ", ".join(context.kid.hex() for context in found)
        click.echo(f"{printable(owner)}: revoked {kids}")
    else:
        click.echo(f"{printable(owner)}: no such key works; nothing was changed")


@keys.command()
@click.argument("name")
@click.argument("directory")
@_database
def administrator(name, directory, db):
    """Make the key of an administrator, who may change documents from other machines.

    DIRECTORY is made for it, as a security context of aiocoap's programs. Move it to the machine
    of the administrator; never use a copy of it. Any number of servers take the key.

    \b
    Example:
      msgin5g keys administrator Anna anna --db scm.db
    """
    with _faults_in_one_line():
        folder = Path(directory)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            text = f"{directory}: exists already: name a new directory"
            raise DeviceError(WRONG_INPUT, text) from None
        except OSError as error:
            raise DeviceError(WRONG_INPUT, f"{directory}: {error.strerror}") from None
        try:
            with open_contexts(db) as contexts:
                made = contexts.add(ADMINISTRATOR, name)
                settings = folder / "settings.json"
                settings.touch(mode=0o600)
                settings.write_text(json.dumps(_aiocoap_settings(made)))
        except Exception:
            shutil.rmtree(folder)
            raise
    click.echo(f"{printable(name)}: key {made.kid.hex()} in {printable(directory)}")


def _aiocoap_settings(context):
    return {
        "secret_hex": context.secret.hex(),
        "sender-id_hex": context.kid.hex(),
        "recipient-id_hex": context.server_id.hex(),
    }


def _of_owner(contexts, owner):
    """Every Context of this owner; DeviceError when there is none."""
    found = [c for c in contexts.list() if c.owner == normal_owner(c.kind, owner)]
    if not found:
        raise DeviceError(WRONG_INPUT, f"{printable(owner)}: has no key: msgin5g keys list")
    return found


def _only_owner(contexts, owner):
    """(kind, name) of the one who has an active key by this name."""
    found = {(c.kind, c.spelling) for c in _of_owner(contexts, owner) if c.state == ACTIVE}
    if len({kind for kind, _ in found}) != 1:
        text = "has no active key: msgin5g provision makes one"
        if found:
            text = "has keys of several kinds: revoke one of them first"
        raise DeviceError(WRONG_INPUT, f"{printable(owner)}: {text}")
    return found.pop()


@contextmanager
def _faults_in_one_line():
    """Every fault ends the command with one line and its status."""
    try:
        yield
    except click.ClickException:
        raise
    except Exception as exception:
        error = device_error(exception)
        click.echo(printable(f"Error: {error}"), err=True)
        sys.exit(error.status)
