"""A document is edited as text, reviewed with its faults and differences, and only then saved.

Each step carries `base`, the ETag of the document that the edit began with: what somebody else
has saved since is not overwritten.
"""

import asyncio

import cbor2
from aiohttp import web
from msgin5g_tools.scm_server import json_form, ue_config
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.store import etag
from msgin5g_tools.scm_server.web import text_diff
from msgin5g_tools.scm_server.web.documents import crumbs, name_of, source_text, text_field
from msgin5g_tools.scm_server.web.elements import block, tag, url
from msgin5g_tools.scm_server.web.kept_text import form_text, kept_text
from msgin5g_tools.scm_server.web.layout import VISITOR, code, form, message, page

_NEW = """{
  "ueConfigDocId": "ue-0001",
  "service": "%s",
  "valServiceDomain": "example.com",
  "ues": ["urn:x-msgin5g:ue:0001"],
  "configData": {
    "MSGin5G-Server-address": "coap://msgin5g.example.com",
    "MSGin5G-UE-Service-id": "sensor-1@example.com"
  }
}"""
_MAX_MISTAKES = 50


class Conflict(ScmError):
    """Somebody else has saved meanwhile."""


class Editor:
    """store: a StoreThread. on_change() is called after a change. settings: of the server."""

    def __init__(self, store, settings, on_change):
        self._store = store
        self._settings = settings
        self._on_change = on_change

    def routes(self):
        return [
            web.get("/document/edit", self.edit),
            web.post("/document/edit", self.edit_again),
            web.post("/document/review", self.review),
            web.post("/document/save", self.save),
            web.post("/document/delete", self.delete),
        ]

    async def edit(self, request):
        """A new document without an ID in the query."""
        if "id" not in request.query:
            return await self._editor(request, _NEW % self._settings.service_id, "")
        service, doc_id = name_of(request)
        body = await self._store.call(_body, service, doc_id)
        if body is None:
            text = f"There is no document {doc_id} of the service {service}."
            return page(request, "Not found", message("bad", text), status=404)
        text = await asyncio.to_thread(source_text, service, cbor2.loads(body))
        return await self._editor(request, text, etag(body).hex())

    async def edit_again(self, request):
        sent = await request.post()
        return await self._editor(request, form_text(sent, "text"), form_text(sent, "base"))

    async def review(self, request):
        sent = await request.post()
        text, base = form_text(sent, "text"), form_text(sent, "base")
        read = await asyncio.to_thread(self._read, request, text)
        service, doc_id, document, mistakes, warnings = read
        if mistakes:
            return await self._editor(request, text, base, mistakes)
        old = await self._store.call(_body, service, doc_id)
        if old is not None and not base:
            return await self._editor(
                request, text, base, [f"ueConfigDocId: '{doc_id}' exists already"]
            )
        if _tag(old) != base:
            return await self._conflict(request, service, doc_id)
        if old is not None and old == ue_config.encode(document, doc_id):
            return await self._editor(
                request, text, base, [], "Nothing differs: it need not be saved."
            )
        old_text = ""
        if old is not None:
            old_text = await asyncio.to_thread(source_text, service, cbor2.loads(old))
        new_text = await asyncio.to_thread(source_text, service, document)
        content = [crumbs(doc_id, service if old is not None else None)]
        content += [_warnings(warnings), tag("h2", "What changes")]
        content.append(await text_diff.shown(old_text, new_text))
        content.append(
            form(
                request,
                _target(request, "save"),
                tag("input", type="hidden", name="base", value=base),
                await asyncio.to_thread(text_field, text),
                tag("button", "Save" if old is not None else "Create", class_="primary"),
                tag("button", "Edit further", formaction=_target(request, "edit")),
                class_="controls",
                enctype="multipart/form-data",
            )
        )
        return page(request, f"Review {doc_id}", *content)

    async def save(self, request):
        sent = await request.post()
        text, base = form_text(sent, "text"), form_text(sent, "base")
        read = await asyncio.to_thread(self._read, request, text)
        service, doc_id, document, mistakes, _ = read
        if mistakes:
            return await self._editor(request, text, base, mistakes)
        try:
            by = request[VISITOR].by
            await self._store.call(_put, service, doc_id, document, base, by)
        except Conflict:
            return await self._conflict(request, service, doc_id)
        self._on_change()
        raise web.HTTPSeeOther(url("/document", service=service, id=doc_id))

    async def delete(self, request):
        service, doc_id = name_of(request)
        base = form_text(await request.post(), "base")
        try:
            await self._store.call(_delete, service, doc_id, base, request[VISITOR].by)
        except Conflict:
            return await self._conflict(request, service, doc_id)
        self._on_change()
        raise web.HTTPSeeOther(url("/document", service=service, id=doc_id))

    def _read(self, request, text):
        """json_form.read_one, and: is it the document that is being edited, and short enough?"""
        default = request.query.get("service", self._settings.service_id)
        service, doc_id, document, mistakes, warnings = json_form.read_one(text, default)
        if not mistakes:
            mistakes = list(self._faults(request, service, doc_id, document))
        return service, doc_id, document, mistakes, warnings

    def _faults(self, request, service, doc_id, document):
        if "id" in request.query and (service, doc_id) != name_of(request):
            yield f"ueConfigDocId: this page edits '{request.query['id']}': create a new document"
        size = len(ue_config.encode(document, doc_id))
        if size > self._settings.max_body:
            yield f"document: has {size} bytes as CBOR, the limit is {self._settings.max_body}"

    async def _editor(self, request, text, base, mistakes=(), note=None):
        doc_id = request.query.get("id")
        about = [crumbs(doc_id, request.query.get("service")) if doc_id else crumbs("")]
        if mistakes:
            about.append(_mistakes(mistakes))
        if note:
            about.append(message("good", note))
        content = form(
            request,
            _target(request, "review"),
            tag("input", type="hidden", name="base", value=base),
            tag(
                "label",
                "The document as JSON, as in a file of ",
                code("documents import"),
                for_="text",
            ),
            tag(
                "textarea",
                await asyncio.to_thread(block, "\n" + text),  # HTML drops a first line break
                id="text",
                name="text",
                rows=min(40, max(16, text.count("\n") + 3)),
                spellcheck="false",
                autocomplete="off",
                autocapitalize="off",
                wrap="off",
                aria_invalid="true" if mistakes else None,
                aria_describedby="mistakes" if mistakes else None,
            ),
            tag("button", "Review the changes…", class_="primary"),
            class_="editor",
            enctype="multipart/form-data",
        )
        title = f"Edit {doc_id}" if doc_id else "New document"
        return page(request, title, *about, content, status=422 if mistakes else 200)

    @staticmethod
    async def _conflict(request, service, doc_id):
        explained = message(
            "bad",
            f"{doc_id} was changed by somebody else while you edited it; nothing was saved.",
        )
        link = url("/document", service=service, id=doc_id)
        again = tag("a", "See the present document and its history", href=link, class_="button")
        content = explained, tag("p", again), await kept_text(request)
        return page(request, "Changed meanwhile", *content, status=409)


def _target(request, step):
    query = {key: request.query[key] for key in ("service", "id") if key in request.query}
    return url(f"/document/{step}", **query)


def _mistakes(mistakes):
    n = len(mistakes)
    shown = [tag("li", line) for line in mistakes[:_MAX_MISTAKES]]
    if n > _MAX_MISTAKES:
        shown.append(tag("li", f"and {n - _MAX_MISTAKES} more"))
    title = "Not saved: there is a mistake." if n == 1 else f"Not saved: there are {n} mistakes."
    return tag("div", message("bad", tag("strong", title), tag("ul", shown)), id="mistakes")


def _warnings(warnings):
    if not warnings:
        return message("good", "No mistake was found.")
    lines = tag("ul", [tag("li", line) for line in warnings])
    return message("warning", tag("strong", "It can be saved, but look at this first."), lines)


def _tag(body):
    return "" if body is None else etag(body).hex()


# in the thread of the Store


def _body(store, service, doc_id):
    return store.body(service, doc_id)


def _put(store, service, doc_id, document, base, by):
    with store.transaction():
        if _tag(store.body(service, doc_id)) != base:
            raise Conflict(doc_id)
        store.put(service, doc_id, document, by)


def _delete(store, service, doc_id, base, by):
    with store.transaction():
        if _tag(store.body(service, doc_id)) != base:
            raise Conflict(doc_id)
        store.delete(service, doc_id, by)
