"""The overview: what there is, what happened since the start, and whether all is well."""

import time
from collections import Counter

from aiohttp import web
from msgin5g_tools.scm_server import listing
from msgin5g_tools.scm_server.settings import address_text
from msgin5g_tools.scm_server.web.documents import changes_table
from msgin5g_tools.scm_server.web.elements import join, tag
from msgin5g_tools.scm_server.web.fleet import state_counts
from msgin5g_tools.scm_server.web.layout import age, badge, code, empty, facts, page, table

_CHANGES = 5
_MEANINGS = {
    "2.01": "created",
    "2.02": "deleted",
    "2.03": "the UE has the newest",
    "2.04": "changed",
    "2.05": "content",
    "4.00": "bad request",
    "4.01": "unauthorized, or asked for an Echo",
    "4.02": "bad option",
    "4.03": "forbidden",
    "4.04": "no document",
    "4.05": "method not allowed",
    "4.06": "format not acceptable",
    "4.12": "precondition failed",
    "4.13": "too large",
    "4.15": "format not supported",
    "4.22": "not a UeConfigDoc",
    "4.29": "too many requests",
    "5.00": "error of the server",
    "5.03": "database not available",
}


class Overview:
    """server: the ScmServer. dropped(): {cause: how many} beside those of the server."""

    def __init__(self, server, store, dropped):
        self._server = server
        self._store = store
        self._dropped = dropped
        self._began_at = time.time()
        self._codes = Counter()

    def routes(self):
        return [web.get("/", self.show)]

    def on_event(self, event):
        if event["event"] in ("served", "notified"):
            self._codes[event["event"], event["code"]] += 1

    async def show(self, request):
        n_documents, n_denied, changes = await self._store.call(_state)
        server = self._server
        figures = (
            ("/documents", "documents", n_documents),
            ("/denied", "denied UEs", n_denied),
            (None, "observers", server.n_observers),
            (None, "TCP, WebSockets", server.n_connections),
        )
        content = [
            state_counts(server.fleet.counts),
            tag("div", [_figure(*each) for each in figures], class_="figures"),
            tag("h2", "Server"),
            self._facts(),
            tag("h2", "Responses since the start"),
            self._responses(),
            tag("h2", "Last changes"),
            changes_table(changes),
        ]
        return page(request, "Overview", *content)

    def _facts(self):
        server, settings = self._server, self._server.settings
        others = (("TCP", server.tcp_address), ("WebSockets", server.ws_address))
        listens = [f"UDP {address_text(*server.address)}"]
        listens += [f"{name} {address_text(*address)}" for name, address in others if address]
        switches = (("read-only over CoAP", settings.read_only), ("Echo", settings.echo))
        switches += (("OSCORE required", settings.require_security),)
        drops = {**server.drops, **self._dropped()}
        dropped = [f"{n} {cause.replace('_', ' ')}" for cause, n in sorted(drops.items()) if n]
        return facts(
            ("State", badge("the database answers", "good")),
            ("Running", age(time.time() - self._began_at).removesuffix(" ago")),
            ("Listens on", ", ".join(listens)),
            ("Database", code(server.store.name)),
            ("Switches", ", ".join(name for name, is_on in switches if is_on) or "none"),
            ("Dropped", ", ".join(dropped) or "nothing"),
        )

    def _responses(self):
        if not self._codes:
            return empty("No request yet.", "Each response and notification is counted here.")
        rows = []
        for code_text in sorted({text for _, text in self._codes}):
            kind = {"2": "good", "4": "warning", "5": "bad"}[code_text[0]]
            meaning = _MEANINGS.get(code_text, "")
            served = self._codes["served", code_text]
            notified = self._codes["notified", code_text]
            rows.append((badge(code_text, kind), meaning, f"{served:,}", f"{notified:,}"))
        return table(("Code", "Meaning", "Responses", "Notifications"), rows, "Responses by code")


def _figure(path, name, n):
    shown = f"{n:,}" if n <= listing.MAX_COUNT else f"{listing.MAX_COUNT:,}+"
    text = join(tag("strong", shown), " ", tag("span", name))
    return tag("a", text, href=path) if path else tag("div", text)


def _state(store):
    """In the thread of the Store."""
    return (*listing.counts(store), store.history.all(_CHANGES))
