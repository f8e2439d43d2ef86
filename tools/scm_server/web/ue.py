"""One UE: what it would be answered now, and what has become of it."""

import cbor2
from aiocoap.numbers.codes import FORBIDDEN
from aiohttp import web
from msgin5g_tools.scm_server import identity
from msgin5g_tools.scm_server.fleet import NEVER, Fleet
from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.scm_server.query import Selector
from msgin5g_tools.scm_server.resources import CBOR, COLLECTION, Resources, Route
from msgin5g_tools.scm_server.web.deny_list import change_form
from msgin5g_tools.scm_server.web.documents import changes_table, shown_text, source_text
from msgin5g_tools.scm_server.web.elements import join, tag, url
from msgin5g_tools.scm_server.web.fleet import state_badge
from msgin5g_tools.scm_server.web.layout import (
    VISITOR,
    badge,
    code,
    empty,
    facts,
    message,
    moment,
    page,
)

_MAX_SERVICES = 20
_MAX_DOCUMENTS = 20
_N_CHANGES = 20


class Ue:
    """store: a StoreThread. settings: of the server."""

    def __init__(self, store, settings):
        self._store = store
        self._settings = settings

    def routes(self):
        return [web.get("/ue", self.show)]

    async def show(self, request):
        uri = request.query.get("uri", "")[: identity.MAX_URI_SIZE + 1]
        fault = identity.uri_fault(uri)
        if fault:
            text = f"'{uri}' {fault}, so it is no UE."
            return page(request, "Not found", message("bad", text), status=404)
        found = await self._store.call(_found, uri, self._settings)
        known, is_denied, answers, changes = found
        content = [_state(known, is_denied)]
        if not request[VISITOR].is_read_only:
            content.append(change_form(request, uri, is_denied))
        content.append(tag("h2", "What it would be answered now"))
        content += [_answer(*each) for each in answers]
        if not answers:
            content.append(
                empty(
                    "4.04: there is no document for it.",
                    tag("a", "Create one", href="/document/edit"),
                    " that names it in ",
                    code("ues"),
                    ".",
                )
            )
        content.append(tag("h2", "Changes of its documents and of its place on the deny list"))
        content.append(changes_table(changes))
        return page(request, uri, *content)


def _state(known, is_denied):
    """What became of it so far."""
    listed = badge("on the deny list", "bad") if is_denied else badge("not on the deny list")
    if known is None or known.state == NEVER:
        hint = "It has never asked this server."
        return facts(("State", join(state_badge(NEVER), " ", listed)), ("Last asked", hint))
    rows = [
        ("State", join(state_badge(known.state), " ", listed)),
        ("Last asked", moment(known.asked_at)),
        ("From", known.peer),
        ("By", {"bulk": "a gateway, in bulk"}.get(known.how, known.how)),
        ("Key of", known.key_of or "no key"),
        ("First seen", moment(known.first_at)),
    ]
    if known.given_at is not None:
        rows += [
            ("Given", moment(known.given_at)),
            ("It holds", code(known.etag.hex()) if known.etag else "nothing"),
            ("Would be given", code(known.wanted_etag.hex()) if known.wanted_etag else "nothing"),
        ]
    if known.notified_at is not None:
        rows.append(("Notified", moment(known.notified_at)))
    if known.denied_at is not None:
        rows.append(
            (
                "Denied",
                join(moment(known.denied_at), f": {known.denied_code} {known.denied_reason}"),
            )
        )
    if known.refused_reason is not None:
        rows.append(("It refuses", tag("strong", known.refused_reason)))
        rows.append(("Refusal reported", moment(known.reported_at)))
    return facts(*rows)


def _answer(service, response, tag_text, documents):
    kind = "good" if response.startswith("2") else "warning"
    shown = [text for _, text in documents]
    links = [
        tag("a", doc_id, href=url("/document", service=service, id=doc_id))
        for doc_id, _ in documents
    ]
    return tag(
        "section",
        facts(
            ("Service", service),
            ("Response", badge(response, kind)),
            ("ETag", code(tag_text) if tag_text else "none"),
            ("Documents", join([join(link, " ") for link in links]) if links else "no document"),
        ),
        *shown,
    )


# in the thread of the Store


def _found(store, uri, settings):
    """(a fleet.Ue or None, is denied, answers, changes).

    An answer is (service, response, ETag, documents).
    """
    is_denied = store.first_denied([uri]) is not None
    resources = Resources(store, settings)
    answers, changes = [], list(store.history.of_ue(uri, _N_CHANGES))
    for service in store.services(_MAX_SERVICES):
        selector = Selector(None, None, None, (uri,), False)
        try:
            reply = resources.get(Route(COLLECTION, service, None), selector, CBOR)
        except Problem as problem:
            if problem.code == FORBIDDEN:
                answers.append((service, f"4.03 {problem.detail}", None, []))
            continue
        documents = cbor2.loads(reply.payload)[:_MAX_DOCUMENTS]
        shown = [
            (each["ueConfigDocId"], shown_text(source_text(service, each))) for each in documents
        ]
        for doc_id, _ in shown:
            changes += store.history.of_document(service, doc_id, _N_CHANGES)
        if is_denied:
            answers.append((service, "4.03: it is denied", None, shown))
        else:
            answers.append((service, "2.05", reply.etag.hex(), shown))
    changes.sort(key=lambda change: change.number, reverse=True)
    return Fleet(store).find(uri), is_denied, answers, changes[:_N_CHANGES]
