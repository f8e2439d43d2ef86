"""The fleet: how many UEs are in which state, and a list that is searched and filtered."""

from aiohttp import web
from msgin5g_tools.scm_server.fleet import DENIED, NEVER, NEWEST, OLDER, REFUSED, STATES, Fleet
from msgin5g_tools.scm_server.web.elements import join, tag, url
from msgin5g_tools.scm_server.web.layout import (
    PAGE_SIZE,
    code,
    empty,
    moment,
    page,
    pages,
    query_text,
    search,
    table,
)

_MAX_READ = 20_000  # UEs that one page looks through
_KINDS = {NEWEST: "good", OLDER: "warning", DENIED: "bad", REFUSED: "bad", NEVER: None}
_NAMES = {NEVER: "never asked"}
_MEANINGS = {
    NEWEST: "has what the server would give it now",
    OLDER: "has something else than it would be given now",
    DENIED: "its last request got an error",
    REFUSED: "has reported that it refuses what it was given",
    NEVER: "a document or a key names it, and it never asked",
}


class FleetList:
    """server: the ScmServer, which counts. store: a StoreThread."""

    def __init__(self, server, store):
        self._server = server
        self._store = store

    def routes(self):
        return [web.get("/fleet", self.list)]

    async def list(self, request):
        text, state = query_text(request), request.query.get("state")
        state = state if state in STATES else None
        after = request.query.get("after", "")
        found = await self._store.call(_page, state, text, after)
        content = [
            state_counts(self._server.fleet.counts, state),
            search("/fleet", text, "UE", _state_choice(state)),
        ]
        is_filtered = text or state or after
        if found.ues:
            heads = ("UE", "State", "Last asked", "Holds", "What is wrong")
            content.append(table(heads, [_row(ue) for ue in found.ues], "UEs"))
        elif found.after is not None:
            content.append(
                empty("Not found so far.", f"{_MAX_READ:,} UEs were looked through; go on below.")
            )
        elif is_filtered:
            content.append(empty("No UE matches.", tag("a", "Show all UEs", href="/fleet"), "."))
        else:
            content.append(
                empty(
                    "No UE is known yet.",
                    "One is listed as soon as it asks, or a document or a key names it: ",
                    tag("a", "create a document", href="/document/edit"),
                    ".",
                )
            )
        following = {"after": found.after} if found.after is not None else None
        content.append(pages("/fleet", not after, following, q=text or None, state=state))
        return page(request, "Fleet", *content)


def state_counts(counts, chosen=None):
    """A link for each state with the number of its UEs; counts is None until all are counted."""
    if counts is None:
        return tag("p", "The UEs are being counted: reload in a moment.")
    links = [
        tag(
            "a",
            join(tag("strong", f"{counts[state]:,}"), " ", tag("span", _NAMES.get(state, state))),
            href=url("/fleet", state=state),
            class_=_KINDS[state],
            title=_MEANINGS[state],
            aria_current="true" if state == chosen else None,
        )
        for state in STATES
    ]
    return tag("nav", links, class_="figures", aria_label="UEs by state")


def state_badge(state):
    return tag(
        "span",
        _NAMES.get(state, state),
        class_=f"badge {_KINDS[state] or ''}".strip(),
        title=_MEANINGS[state],
    )


def _state_choice(chosen):
    options = [tag("option", "every state", value="")]
    options += [
        tag("option", _NAMES.get(state, state), value=state, selected=state == chosen)
        for state in STATES
    ]
    return tag("select", options, name="state", aria_label="State")


def _row(ue):
    wrong = ""
    if ue.state == DENIED:
        wrong = f"{ue.denied_code} {ue.denied_reason}"
    elif ue.state == REFUSED:
        wrong = f"refused: {ue.refused_reason}"
    elif ue.state == OLDER and ue.wanted_etag is None and ue.given_at is not None:
        wrong = "its document is gone"
    return (
        tag("a", ue.spelling, href=url("/ue", uri=ue.uri)),
        state_badge(ue.state),
        moment(ue.asked_at),
        code(ue.etag.hex()) if ue.etag else "",
        wrong,
    )


def _page(store, state, text, after):
    """In the thread of the Store."""
    return Fleet(store).page(state, text, after, PAGE_SIZE, _MAX_READ)
