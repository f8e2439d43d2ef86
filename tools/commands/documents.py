"""`msgin5g documents`: import, export and list the server's documents, also while it runs."""

import codecs
import getpass
import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cbor2
import click

from msgin5g_tools.commands.db_option import db_option
from msgin5g_tools.person_file import FileError, read_text
from msgin5g_tools.scm_server import config_data, identity, json_form, json_write
from msgin5g_tools.scm_server.contexts import Contexts
from msgin5g_tools.scm_server.database import exists, shown
from msgin5g_tools.scm_server.problem import DatabaseError, ScmError
from msgin5g_tools.scm_server.store import Store, etag
from msgin5g_tools.text import json_ascii, printable

_database = db_option("The database of msgin5g scm-server")
_MAX_SHOWN = 3
_PIECE = 500  # documents of an import in one transaction, which takes about 0.1 s
_PAUSE_S = 0.02
_REPORTED = 5000


@click.group()
def documents():
    """Import, export or list the server's documents; deny UEs; entitle gateways.

    A running server notices every change at once and notifies its observers.

    \b
    Examples:
      msgin5g documents import examples/documents.json --db scm.db
      msgin5g documents export all.json --db scm.db
      msgin5g documents deny urn:x-msgin5g:ue:0009 --db scm.db
    """


@documents.command("import")
@click.argument("file")
@_database
@click.option(
    "--service-id", default="msgin5g", show_default=True, help="Of documents that have none."
)
@click.option("--replace", is_flag=True, help="Delete everything that is not in the file.")
def import_(file, db, service_id, replace):
    """Import the documents of a JSON FILE (- is stdin): all of them, or none after a mistake.

    They are written in pieces of 500. After an import that broke off, import the file again.
    """
    contents, mistakes, warnings = json_form.read(_read(file), service_id)
    for line in warnings:
        click.echo(f"warning: {file}: {line}", err=True)
    if mistakes:
        for line in mistakes:
            click.echo(f"Error: {file}: {line}", err=True)
        sys.exit(1)
    if len(contents.documents) >= _REPORTED:
        click.echo(f"{len(contents.documents)} documents read", err=True)
    with _open(db, create=True) as store:
        counts = _import(store, contents, replace)
    text = f"{counts['created']} created, {counts['changed']} changed"
    text += f", {counts['unchanged']} unchanged"
    if replace:
        text += f", {counts['deleted']} deleted"
    click.echo(text)


def _import(store, contents, replace):
    """Import in pieces, each a transaction: a server that runs is kept from writing for short."""
    counts = {"created": 0, "changed": 0, "unchanged": 0, "deleted": 0}

    by = _by("import")

    def put(*document):
        counts[store.put(*document, by)] += 1

    def delete(*name):
        counts["deleted"] += store.delete(*name, by)

    steps = [(store.deny, uri, by) for uri in contents.deny]
    steps += [(store.entitle, host) for host in contents.gateways]
    if replace:
        denied = set(map(identity.normal_uri, contents.deny))
        steps += [
            (store.allow, uri, by)
            for uri in store.denied()
            if identity.normal_uri(uri) not in denied
        ]
        entitled = set(map(identity.normal_host, contents.gateways))
        steps += [(store.withdraw, host) for host in store.gateways() if host not in entitled]
    steps += [(put, *document) for document in contents.documents]
    if replace:
        named = {(service, doc_id) for service, doc_id, _ in contents.documents}
        steps += [(delete, *name) for name in store.names() if name not in named]
    for start in range(0, len(steps), _PIECE):
        if start:
            time.sleep(_PAUSE_S)  # the turn of others who want to write
        if start and start % _REPORTED == 0:
            click.echo(f"{start} of {len(steps)} imported", err=True)
        with store.transaction():
            for step, *arguments in steps[start : start + _PIECE]:
                step(*arguments)
    return counts


@documents.command("export")
@click.argument("file", required=False)
@_database
def export(file, db):
    """Export everything to a JSON FILE, without one to stdout."""
    with _open(db) as store:
        rows = [(row.service, row.doc_id, cbor2.loads(row.body)) for row in store.documents()]
        text = json_write.write(store.denied(), store.gateways(), rows)
    if file in (None, "-"):
        is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        click.echo(text if is_utf8 else json_ascii(text), nl=False)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    click.echo(f"{len(rows)} documents in {file}")


@documents.command("list")
@_database
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(db, as_json):
    """List documents, denied UEs and entitled gateways."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    with _open(db) as store:
        rows, denied, gateways = store.documents(), store.denied(), store.gateways()
        ues = Contexts(store).gateway_ues()
    if as_json:
        for row in rows:
            document = cbor2.loads(row.body)
            shown = {
                "document": row.doc_id,
                "service": row.service,
                "for": _ues(document).split("\n"),
                "server_address": _server(document),
                "bytes": len(row.body),
                "etag": etag(row.body).hex(),
            }
            click.echo(json.dumps(shown))
        for key, items in (("denied", denied), ("gateway", gateways)):
            for item in items:
                click.echo(json.dumps({key: item}))
        for gateway, uri in ues:
            click.echo(json.dumps({"gateway": gateway, "ue": uri}))
        return
    table = Table()
    for title in ("Document", "Service", "For", "Server address"):
        table.add_column(title, overflow="fold")
    table.add_column("Bytes", justify="right")
    table.add_column("ETag", no_wrap=True)
    for row in rows:
        document = cbor2.loads(row.body)
        cells = (row.doc_id, row.service, _ues(document), _server(document))
        cells = ["\n".join(map(printable, cell.split("\n"))) for cell in cells]
        table.add_row(*map(escape, cells), str(len(row.body)), etag(row.body).hex())
    console = Console(emoji=False)
    console.print(table)
    console.print(f"{len(rows)} documents", highlight=False)
    titled = [("Denied", denied), ("Entitled gateways", gateways)]
    for gateway in dict.fromkeys(gateway for gateway, _ in ues):
        titled.append((f"UEs of {gateway}", [uri for name, uri in ues if name == gateway]))
    for title, items in titled:
        if items:
            names = ", ".join(map(printable, items))
            console.print(escape(f"{printable(title)}: {names}"), highlight=False)


def _ues(document):
    """The UEs that a document is for, in a few words."""
    ids = document.get("valUeIds")
    names = list((ids or {}).get("uris", ()))
    names += [f"TAC {imei['tac']}" for imei in (ids or {}).get("imeiRanges", ())]
    names += [f"vendor {vendor}" for vendor in document.get("ueVendors", ())]
    if not names:
        return "every UE" if ids is None else "no UE"
    more = len(names) - _MAX_SHOWN
    return "\n".join(names[:_MAX_SHOWN]) + (f"\nand {more} more" if more > 0 else "")


def _server(document):
    configs = document.get("ueConfigs", ())
    # As at a UE the ON_NETWORK part goes before the others, wherever it stands.
    for config in sorted(configs, key=lambda part: part["configType"] != "ON_NETWORK"):
        data = config_data.parse_object(config["configData"])
        if data and config_data.SERVER_ADDRESS in data:
            return str(data[config_data.SERVER_ADDRESS])
    return "-"


@documents.command()
@click.argument("uri", metavar="UE-URI")
@_database
def deny(uri, db):
    """Put a UE on the deny list: its requests get 4.03."""
    texts = "is denied", "was denied already"
    _change(db, uri, identity.uri_fault, Store.deny, texts, _by("deny"))


@documents.command()
@click.argument("uri", metavar="UE-URI")
@_database
def allow(uri, db):
    """Remove a UE from the deny list."""
    texts = "is allowed again", "was not denied"
    _change(db, uri, identity.uri_fault, Store.allow, texts, _by("allow"))


_ue = click.option(
    "--ue", "ues", metavar="UE-URI", multiple=True, help="A UE of the gateway; repeatable."
)


@documents.command()
@click.argument("gateway")
@_database
@_ue
def entitle(gateway, db, ues):
    """Entitle the GATEWAY at an IP address to bulk requests, or list its UEs.

    As long as no gateway is on the list, every gateway is entitled. With --ue, GATEWAY is also its
    own URI: under its OSCORE key it may ask for these UEs.
    """
    if ues:
        texts = "may ask for", "might ask already for"
        _change_ues(db, gateway, ues, Contexts.add_ue, texts)
        return
    texts = "may ask in bulk", "was entitled already"
    _change(db, gateway, identity.host_fault, Store.entitle, texts)


@documents.command()
@click.argument("gateway")
@_database
@_ue
def withdraw(gateway, db, ues):
    """Remove a GATEWAY from the list of entitled ones, or UEs from the list of its UEs."""
    if ues:
        texts = "may ask no more for", "might not ask for"
        _change_ues(db, gateway, ues, Contexts.remove_ue, texts)
        return
    texts = "is off the list", "was not on the list"
    _change(db, gateway, identity.host_fault, Store.withdraw, texts)


def _change_ues(db, gateway, ues, change, texts):
    with _open(db, create=change is Contexts.add_ue) as store, store.transaction():
        changed = [change(Contexts(store), gateway, uri) for uri in ues]
    for uri, is_changed in zip(ues, changed, strict=True):
        click.echo(f"{printable(gateway)} {texts[0] if is_changed else texts[1]} {printable(uri)}")


def _by(command):
    """Who makes a change, for the history."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for this user
        user = f"user {os.getuid()}"
    return f"documents {command}, {user}"


def _change(db, item, rule, change, texts, *by):
    fault = rule(item)
    if fault:
        raise click.UsageError(f"'{item}' {fault}")
    with _open(db, create=change in (Store.deny, Store.entitle)) as store:
        changed = change(store, item, *by)
    click.echo(f"{item} {texts[0] if changed else texts[1]}")


def _read(file):
    try:
        return read_text(file)
    except FileError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _open(db, create=False):
    """The Store; every error of the file is one line."""
    if not create and not exists(db):
        raise click.ClickException(f"{db}: no such database")
    try:
        with Store(db, create=create) as store:
            yield store
    except ScmError as error:
        raise click.ClickException(str(error)) from None
    except DatabaseError as error:
        raise click.ClickException(f"{shown(db)}: {error.line}") from None
