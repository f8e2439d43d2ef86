"""The deny list: searched, added to, removed from."""

from aiohttp import web
from msgin5g_tools.scm_server import identity, listing
from msgin5g_tools.scm_server.web.documents import not_found_so_far
from msgin5g_tools.scm_server.web.elements import join, tag, url
from msgin5g_tools.scm_server.web.layout import (
    PAGE_SIZE,
    VISITOR,
    empty,
    form,
    message,
    page,
    pages,
    query_text,
    search,
    table,
)


class DenyList:
    """store: a StoreThread. on_change() is called after a change."""

    def __init__(self, store, on_change):
        self._store = store
        self._on_change = on_change

    def routes(self):
        return [
            web.get("/denied", self.list),
            web.post("/denied/add", self.add),
            web.post("/denied/remove", self.remove),
        ]

    async def list(self, request, fault=None, uri="", status=200):
        text, after = query_text(request), request.query.get("after")
        found = await self._store.call(listing.denied, text, PAGE_SIZE, after)
        is_read_only = request[VISITOR].is_read_only
        content = [
            tag("p", "The requests of these UEs get 4.03, whatever they ask for."),
            message("bad", fault) if fault else "",
            "" if is_read_only else _add_form(request, uri),
        ]
        if found.entries or text or after:
            content.append(search("/denied", text, "UE on the list"))
        if found.entries:
            heads = ("UE",) if is_read_only else ("UE", "Change")
            rows = [_row(request, each)[: len(heads)] for each in found.entries]
            content.append(table(heads, rows, "Denied UEs"))
        elif found.after is not None:
            content.append(not_found_so_far("denied UEs"))
        elif text or after:
            link = tag("a", "Show the whole list", href="/denied")
            content.append(empty("No denied UE matches.", link, "."))
        else:
            content.append(empty("No UE is denied.", "Add one above to refuse its requests."))
        following = {"after": found.after} if found.after is not None else None
        content.append(pages("/denied", after is None, following, q=text or None))
        return page(request, "Deny list", *content, status=status)

    async def add(self, request):
        uri = await _uri(request)
        fault = identity.uri_fault(uri)
        if fault:
            text = f"'{uri[:300]}' {fault}: the ID of a UE is a URI such as urn:x-msgin5g:ue:0007."
            return await self.list(request, text, uri[:300], 422)
        await self._store.call(_deny, uri, request[VISITOR].by)
        self._on_change()
        raise web.HTTPSeeOther(_back(request, uri))

    async def remove(self, request):
        uri = await _uri(request)
        await self._store.call(_allow, uri, request[VISITOR].by)
        self._on_change()
        raise web.HTTPSeeOther(_back(request, uri))


def change_form(request, uri, is_denied):
    """A button that denies or allows this UE, and comes back to its page."""
    action = url("/denied/remove" if is_denied else "/denied/add", back="ue")
    text, kind = ("Allow it again", "primary") if is_denied else ("Deny this UE", "danger")
    return form(request, action, _field(uri), tag("button", text, class_=kind))


def _back(request, uri):
    """The list, or the page of the UE if the change began there."""
    return url("/ue", uri=uri) if request.query.get("back") == "ue" else "/denied"


async def _uri(request):
    value = (await request.post()).get("uri", "")
    return value.strip() if isinstance(value, str) else ""


def _field(uri):
    return tag("input", type="hidden", name="uri", value=uri)


def _add_form(request, uri):
    field = tag(
        "input",
        id="uri",
        name="uri",
        value=uri,
        required=True,
        maxlength=identity.MAX_URI_SIZE,
        placeholder="urn:x-msgin5g:ue:0007",
        autocomplete="off",
    )
    label = tag("label", "Deny a UE", for_="uri")
    button = tag("button", "Deny", class_="danger")
    return form(request, "/denied/add", label, field, button, class_="search")


def _row(request, uri):
    button = tag("button", "Allow", aria_label=f"Allow {uri}")
    link = tag("a", uri, href=url("/ue", uri=uri))
    return join(link), form(request, "/denied/remove", _field(uri), button)


# in the thread of the Store


def _deny(store, uri, by):
    store.deny(uri, by)


def _allow(store, uri, by):
    store.allow(uri, by)
