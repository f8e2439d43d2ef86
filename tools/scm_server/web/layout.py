"""What all pages share: the frame with its navigation, times, tables, messages, forms."""

import time
from datetime import datetime, timezone

from aiohttp import web
from msgin5g_tools.scm_server.web.elements import Html, join, tag, url
from msgin5g_tools.text import printable

PAGE_SIZE = 50
VISITOR = web.RequestKey("visitor", object)  # who sees a page: an access.Visitor or None
_PAGES = (
    ("/", "Overview"),
    ("/fleet", "Fleet"),
    ("/documents", "Documents"),
    ("/denied", "Deny list"),
    ("/changes", "Changes"),
    ("/log", "Live log"),
)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def page(request, title, *content, status=200):
    """The Response with a whole page. request[VISITOR]: who sees it, or None before a login."""
    visitor = request.get(VISITOR)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} - MSGin5G configuration server"),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/static/page.css"),
        tag("script", type="module", src="/static/page.js"),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        _header(request, visitor),
        tag("main", tag("h1", title), *content, id="content"),
    )
    made = Html("<!doctype html>") + tag("html", head, body, lang="en")
    return web.Response(text=made, content_type="text/html", status=status)


def _header(request, visitor):
    brand = tag("a", "MSGin5G ", tag("span", "configuration server"), href="/", class_="brand")
    if visitor is None:
        return tag("header", brand)
    links = [
        tag("a", name, href=path, aria_current="page" if _is_at(request.path, path) else None)
        for path, name in _PAGES
    ]
    who = []
    if visitor.is_read_only:
        who.append(tag("span", "read-only", class_="badge", title="Started with --web-read-only"))
    if visitor.name:
        who.append(form(request, "/logout", tag("button", f"Log out {visitor.name}")))
    return tag(
        "header",
        brand,
        tag("nav", *links, aria_label="Pages"),
        tag("div", *who, class_="who"),
    )


def _is_at(path, start):
    # /document and /document/edit belong to /documents, a UE to the fleet.
    if path == "/ue":
        return start == "/fleet"
    return path == start or (start != "/" and path.startswith(start.rstrip("s")))


def form(request, action, *content, **attributes):
    """A form that changes something: a POST with the token of this visitor."""
    token = tag("input", type="hidden", name="csrf", value=request[VISITOR].csrf)
    return tag("form", token, *content, method="post", action=action, **attributes)


def search(action, value, label, *more):
    """A form that looks for something in a list."""
    return tag(
        "form",
        tag("label", label, for_="q"),
        tag("input", type="search", id="q", name="q", value=printable(value), autocomplete="off"),
        *more,
        tag("button", "Search"),
        method="get",
        action=action,
        role="search",
        class_="search",
    )


def query_text(request, name="q", size=300):
    """A parameter of the query as a text of limited size."""
    return request.query.get(name, "")[:size].strip()


def query_number(request, name):
    """A number of the query, or None."""
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def table(heads, rows, caption):
    """A table whose rows are lists of cells; narrow screens show each row as a block."""
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption, class_="unseen"),
            tag("thead", tag("tr", [tag("th", head, scope="col") for head in heads])),
            tag(
                "tbody",
                [
                    tag(
                        "tr",
                        [
                            tag("td", cell, data_label=head)
                            for head, cell in zip(heads, row, strict=True)
                        ],
                    )
                    for row in rows
                ],
            ),
        ),
        class_="table",
    )


def facts(*pairs):
    """Names with their values."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs])


def empty(title, *text):
    """In place of a list without entries: what to do."""
    return tag("div", tag("p", tag("strong", title)), tag("p", *text), class_="empty")


def message(kind, *text):
    """kind: "good", "bad" or "warning"."""
    return tag("div", *text, class_=f"message {kind}", role="alert" if kind == "bad" else "status")


def badge(text, kind=None):
    return tag("span", text, class_=f"badge {kind}" if kind else "badge")


def code(text):
    return tag("code", text)


def pages(path, first, following, **query):
    """The links below a list that goes on; `following` is None on its last page."""
    links = []
    if not first:
        links.append(tag("a", "First page", href=url(path, **query), class_="button"))
    if following is not None:
        link = url(path, **query, **following)
        links.append(tag("a", "Next page", href=link, class_="button", rel="next"))
    return tag("nav", *links, class_="pages", aria_label="More of the list") if links else ""


def moment(seconds, now=None):
    """A time in UTC with its age; `seconds` since 1970, or None."""
    if seconds is None:
        return "never"
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    stamp = tag("time", f"{text} UTC", datetime=f"{text.replace(' ', 'T')}Z")
    passed = age((time.time() if now is None else now) - seconds)
    return join(stamp, " ", tag("span", passed, class_="age"))


def age(seconds):
    """A length of time in one unit."""
    if seconds < 1:
        return "now"
    for size, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s")):
        if seconds >= size:
            break
    return f"{seconds // size:.0f} {name} ago"
