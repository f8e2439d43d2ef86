"""Documents: the list, one of them with its history, and one of its former versions."""

import asyncio

import cbor2
from aiohttp import web
from msgin5g_tools.scm_server import history, json_write, listing
from msgin5g_tools.scm_server.store import etag
from msgin5g_tools.scm_server.web import text_diff
from msgin5g_tools.scm_server.web.elements import block, join, tag, url
from msgin5g_tools.scm_server.web.layout import (
    PAGE_SIZE,
    VISITOR,
    badge,
    code,
    empty,
    facts,
    form,
    message,
    moment,
    page,
    pages,
    query_number,
    query_text,
    search,
    table,
)

_KINDS = {history.CREATED: "good", history.DELETED: "bad", history.DENIED: "bad"}
_MAX_SHOWN = 3
_MAX_SHOWN_SIZE = 256 * 1024  # characters of a text on a page


class Documents:
    """store: a StoreThread."""

    def __init__(self, store):
        self._store = store

    def routes(self):
        return [
            web.get("/documents", self.list),
            web.get("/document", self.show),
            web.get("/document/version", self.show_version),
            web.get("/changes", self.changes),
        ]

    async def list(self, request):
        text, service = query_text(request), query_text(request, "service") or None
        after = None
        if "after_service" in request.query:
            after = request.query["after_service"], request.query.get("after_id", "")
        found, services = await self._store.call(_found, text, service, after)
        visitor = request[VISITOR]
        new = tag("a", "New document", href="/document/edit", class_="button primary")
        content = [
            tag(
                "div",
                search("/documents", text, "Document or UE", _service_choice(services, service)),
                "" if visitor.is_read_only else new,
                class_="controls",
            )
        ]
        if found.entries:
            content.append(
                table(
                    ("Document", "Service", "For", "Bytes", "ETag"),
                    map(_row, found.entries),
                    "Documents",
                )
            )
        elif found.after is not None:
            content.append(not_found_so_far("documents"))
        elif text or service or after:
            content.append(
                empty(
                    "No document matches.", tag("a", "Show all documents", href="/documents"), "."
                )
            )
        else:
            content.append(
                empty(
                    "There is no document yet.",
                    "Create one here, or import a file: ",
                    code("msgin5g documents import FILE --db DATABASE"),
                )
            )
        following = None
        if found.after is not None:
            following = dict(zip(("after_service", "after_id"), found.after, strict=True))
        query = {"q": text or None, "service": service}
        content.append(pages("/documents", after is None, following, **query))
        return page(request, "Documents", *content)

    async def show(self, request):
        service, doc_id = name_of(request)
        before = query_number(request, "before")
        body, changes = await self._store.call(_with_history, service, doc_id, before)
        visitor = request[VISITOR]
        if body is None and not changes:
            text = f"There is no document {doc_id} of the service {service}, and was none."
            return page(request, "Not found", message("bad", text), status=404)
        content = [crumbs(doc_id)]
        if body is None:
            content.append(message("warning", "This document is deleted: UEs get 4.04."))
        else:
            document = cbor2.loads(body)
            content += [
                facts(
                    ("Service", service),
                    ("For", ues(document)),
                    ("ETag", code(etag(body).hex())),
                    ("Size", f"{len(body)} bytes"),
                ),
                "" if visitor.is_read_only else _actions(request, service, doc_id, body),
                await source(service, document),
            ]
        content.append(tag("h2", "History"))
        content.append(changes_table(changes[:PAGE_SIZE], of_one=True, is_shown=body is not None))
        following = {"before": changes[PAGE_SIZE - 1].number} if len(changes) > PAGE_SIZE else None
        content.append(pages("/document", before is None, following, service=service, id=doc_id))
        return page(request, doc_id, *content)

    async def show_version(self, request):
        number = query_number(request, "number") or 0
        change, body = await self._store.call(_version, number)
        if change is None or change.body is None or change.service is None:
            text = "This version is no longer kept: of each document the last 20 are."
            return page(request, "Not found", message("bad", text), status=404)
        service, doc_id = change.service, change.name
        content = [
            crumbs(doc_id, service),
            facts(
                ("ETag", code(change.old_etag.hex())),
                ("Replaced", moment(change.changed_at)),
                ("By", change.changed_by or "unknown"),
            ),
        ]
        text = await asyncio.to_thread(source_text, service, cbor2.loads(change.body))
        now_text = ""
        if body is not None:
            now_text = await asyncio.to_thread(source_text, service, cbor2.loads(body))
        if not request[VISITOR].is_read_only:
            content.append(
                form(
                    request,
                    url("/document/review", service=service, id=doc_id),
                    tag("input", type="hidden", name="base", value=_hex(body)),
                    await asyncio.to_thread(text_field, text),
                    tag("button", "Restore this version…", class_="primary"),
                    enctype="multipart/form-data",
                )
            )
        content.append(tag("h2", "From the present document to this one"))
        content.append(await text_diff.shown(now_text, text))
        content.append(await source(service, cbor2.loads(change.body), "The whole version"))
        return page(request, f"{doc_id}, an older version", *content)

    async def changes(self, request):
        before = query_number(request, "before")
        found = await self._store.call(_changes, before)
        rows = found[:PAGE_SIZE]
        about = tag("p", "Every change of a document and of the deny list, whoever made it.")
        if not rows:
            about = empty("There is no change yet.", "Each one will be here, with who made it.")
            return page(request, "Changes", about)
        following = {"before": rows[-1].number} if len(found) > PAGE_SIZE else None
        below = pages("/changes", before is None, following)
        return page(request, "Changes", about, changes_table(rows), below)


def not_found_so_far(things):
    """In place of a part of a list in which a search has found nothing."""
    return empty("Not found so far.", f"{listing.MAX_READ:,} {things} were searched: go on below.")


def name_of(request):
    """(service, ID) of the document that a request is about; exact, not stripped."""
    return request.query.get("service", "msgin5g"), request.query.get("id", "")


def crumbs(doc_id, service=None):
    """The way back to the list, or to a document."""
    links = [tag("a", "Documents", href="/documents")]
    if service is not None:
        links += [" / ", tag("a", doc_id, href=url("/document", service=service, id=doc_id))]
    return tag("p", *links, class_="crumbs")


def source_text(service, document):
    """A document as people write it: JSON, as in a file of `documents import`."""
    return json_write.entry_text(service, document)


async def source(service, document, title="Document"):
    """A section with the text of a document; made in a thread, because it can be long."""
    return await asyncio.to_thread(_source, service, document, title)


def _source(service, document, title):
    shown = shown_text(source_text(service, document))
    return tag("section", tag("h2", title), shown)


def shown_text(text):
    """The text of a document as an element, up to a limit."""
    more = ""
    if len(text) > _MAX_SHOWN_SIZE:
        text, more = text[:_MAX_SHOWN_SIZE], message("warning", "The rest is not shown.")
    return join(tag("pre", block(text), tabindex="0"), more)


def text_field(text):
    """The text of a document as a field of a form that nobody sees; in a thread, see source."""
    # HTML drops a first line break.
    field = {"name": "text", "hidden": True, "aria_label": "Text"}
    return tag("textarea", block("\n" + text), **field)


def ues(document):
    """The UEs that a document is for, in a few words, with links to them."""
    ids = document.get("valUeIds")
    names = [tag("a", uri, href=url("/ue", uri=uri)) for uri in (ids or {}).get("uris", ())]
    names += [f"IMEIs with TAC {imei['tac']}" for imei in (ids or {}).get("imeiRanges", ())]
    names += [f"vendor {vendor}" for vendor in document.get("ueVendors", ())]
    if not names:
        return "every UE" if ids is None else "no UE"
    n_more = len(names) - _MAX_SHOWN
    shown = names[:_MAX_SHOWN] + ([f"and {n_more} more"] if n_more > 0 else [])
    return join([tag("div", name) for name in shown])


def changes_table(changes, of_one=False, is_shown=True):
    """Changes as a table. of_one: all of one document. is_shown: it exists."""
    rows = []
    for change in changes:
        row = [moment(change.changed_at), badge(change.what, _KINDS.get(change.what))]
        if not of_one:
            row.append(_link_of(change))
        row += [change.changed_by or "unknown", _etags(change)]
        link = url("/document/version", number=change.number)
        row.append(tag("a", "before this", href=link) if change.body else "")
        rows.append(row)
    heads = (
        ("When", "What", "By", "ETag", "Version")
        if of_one
        else ("When", "What", "Document or UE", "By", "ETag", "Version")
    )
    return (
        table(heads, rows, "Changes, the newest first")
        if rows
        else empty("No change is known.", "The history began with this release of the server.")
    )


def _link_of(change):
    if change.service is None:
        return tag("a", change.name, href=url("/ue", uri=change.name))
    return tag("a", change.name, href=url("/document", service=change.service, id=change.name))


def _etags(change):
    old, new = (tag and tag.hex() for tag in (change.old_etag, change.new_etag))
    if old and new:
        return join(code(old), " → ", code(new))
    return code(old or new) if old or new else ""


def _row(entry):
    link = tag("a", entry.doc_id, href=url("/document", service=entry.service, id=entry.doc_id))
    who = "many" if entry.body is None else ues(cbor2.loads(entry.body))
    return link, entry.service, who, f"{entry.size}", code(entry.etag.hex())


def _service_choice(services, chosen):
    if len(services) < 2:
        return ""
    options = [tag("option", "every service", value="")]
    options += [tag("option", name, value=name, selected=name == chosen) for name in services]
    return tag("select", options, name="service", aria_label="Service")


def _actions(request, service, doc_id, body):
    edit = url("/document/edit", service=service, id=doc_id)
    delete = form(
        request,
        url("/document/delete", service=service, id=doc_id),
        tag("input", type="hidden", name="base", value=_hex(body)),
        tag("p", "UEs that have only this document get 4.04 from then on. It can be restored."),
        tag("button", "Delete it", class_="danger"),
    )
    return tag(
        "div",
        tag("a", "Edit", href=edit, class_="button primary"),
        tag("details", tag("summary", "Delete…", class_="button"), delete),
        class_="controls",
    )


def _hex(body):
    return "" if body is None else etag(body).hex()


# in the thread of the Store


def _found(store, text, service, after):
    return listing.documents(store, text, service, PAGE_SIZE, after), store.services(100)


def _with_history(store, service, doc_id, before):
    changes = store.history.of_document(service, doc_id, PAGE_SIZE + 1, before)
    return store.body(service, doc_id), changes


def _version(store, number):
    change = store.history.version(number)
    if change is None:
        return None, None
    return change, store.body(change.service, change.name)


def _changes(store, before):
    return store.history.all(PAGE_SIZE + 1, before)
