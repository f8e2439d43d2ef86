"""Who may see and change what: hosts, logins, sessions, and the origin of every change.

Each request goes through `Access.guard`:

1. Host names this server: an address, or a name of the settings. A page of somebody else whose
   name was made to resolve to this address (DNS rebinding) is refused.
2. Origin, of everything but GET, is this server. Browsers always send it.
3. A session, if there are tokens: a cookie that scripts cannot read and other sites cannot use.
4. `csrf`, in the form of every change, is that of this visitor.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgin5g_tools.scm_server.rate_limiter import RateLimiter
from msgin5g_tools.scm_server.web.elements import tag, url
from msgin5g_tools.scm_server.web.kept_text import kept_text
from msgin5g_tools.scm_server.web.layout import VISITOR, message, page

_SESSION_S = 12 * 3600  # since the last request
_MAX_SESSIONS = 1000
_FORM_S = 30.0
_LOGINS_PER_S = 2  # of one host; four at once
_OPEN = ("/login", "/static/")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends no Origin of forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "msgin5g",
}


@dataclass(frozen=True)
class Visitor:
    """Who sees a page. name: of the token, empty without tokens. csrf: for the forms."""

    name: str
    csrf: str
    is_read_only: bool

    @property
    def by(self):
        """For the history."""
        return f"page, {self.name}" if self.name else "page"


class Sessions:
    """The last 1,000 logins; each ends 12 hours after its last request."""

    def __init__(self, now):
        self._now = now
        self._sessions = OrderedDict()  # digest of the cookie -> (name, last request)

    def begin(self, name):
        """The value of the cookie."""
        value = secrets.token_urlsafe(32)
        if len(self._sessions) >= _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        self._sessions[_digest(value)] = name, self._now()
        return value

    def name(self, value):
        """Whose session this is, or None."""
        key = _digest(value)
        name, at = self._sessions.pop(key, (None, 0))
        if name is None or self._now() - at > _SESSION_S:
            return None
        self._sessions[key] = name, self._now()
        return name

    def end(self, value):
        self._sessions.pop(_digest(value), None)


def _digest(value):
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()


class Access:
    """Its guard is a middleware; login, log_in and log_out are handlers."""

    def __init__(self, settings, now=time.monotonic):
        self._settings = settings
        self._secret = secrets.token_bytes(32)
        self._sessions = Sessions(now)
        self._limiter = RateLimiter(_LOGINS_PER_S, now)
        self.cookie = "msgin5g"

    def routes(self):
        return [
            web.get("/login", self.login),
            web.post("/login", self.log_in),
            web.post("/logout", self.log_out),
        ]

    @staticmethod
    async def add_headers(request, response):
        """For on_response_prepare."""
        response.headers.update(_HEADERS)

    @web.middleware
    async def guard(self, request, handler):
        request[VISITOR] = None
        fault = self._host_fault(request)
        if fault:
            return page(request, "Not this host", message("bad", fault), status=421)
        if request.method not in ("GET", "HEAD") and not _is_own_origin(request):
            text = "This change was not asked for by a page of this server; nothing was changed."
            return page(request, "Refused", message("bad", text), status=403)
        visitor = self._visitor(request)
        request[VISITOR] = visitor
        if request.method == "POST":
            try:
                await asyncio.wait_for(request.post(), _FORM_S)  # and kept by the request
            except (TimeoutError, asyncio.TimeoutError):
                text = f"The form did not arrive within {_FORM_S:.0f} s."
                return page(request, "Too slow", message("bad", text), status=408)
            except (ValueError, LookupError, RuntimeError, AssertionError, HttpProcessingError):
                # That is how aiohttp says that it is no form.
                text = "What was sent is not a form that can be read; nothing was changed."
                return page(request, "Not a form", message("bad", text), status=400)
        if request.path.startswith(_OPEN):
            return await handler(request)
        if visitor is None:
            return await self._before_login(request)
        if request.method == "POST":
            fault = await self._change_fault(request, visitor)
            if fault:
                content = message("bad", fault), await kept_text(request)
                return page(request, "Refused", *content, status=403)
        return await handler(request)

    def _host_fault(self, request):
        """Why the Host of a request is not ours, or None."""
        text = request.headers.get("Host", "")
        try:
            host = urlsplit(f"//{text}").hostname or ""
        except ValueError:
            host = ""
        if host in self._settings.hosts or (self._is_own_address(host)):
            return None
        names = "127.0.0.1, localhost" if self._settings.is_loopback else "an IP address"
        return f"'{text}' is not served here: use {names}, or add --web-host {host or 'NAME'}."

    def _is_own_address(self, host):
        # A rebinding attack needs a name: an address cannot be made to lead somewhere else.
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host == "localhost"
        return address.is_loopback or not self._settings.is_loopback

    def _visitor(self, request):
        settings, value = self._settings, request.cookies.get(self.cookie, "")
        name = ""
        if settings.tokens:
            name = self._sessions.name(value)
            if name is None:
                return None
        else:
            value = ""
        csrf = hmac.new(self._secret, value.encode("utf-8", "replace"), hashlib.sha256)
        return Visitor(name, csrf.hexdigest(), settings.read_only)

    @staticmethod
    async def _change_fault(request, visitor):
        """Why a change is refused, or None."""
        form = await request.post()
        given = form.get("csrf", "")
        is_text = isinstance(given, str) and given.isascii()
        if not is_text or not hmac.compare_digest(given, visitor.csrf):
            return "This form is of another session: go back, reload the page, and try again."
        if visitor.is_read_only and request.path != "/logout":
            return "The page was started with --web-read-only: it changes nothing."
        return None

    @staticmethod
    async def _before_login(request):
        """The way to the login; an edit that comes after the end of one is not lost."""
        kept = await kept_text(request)
        if kept:
            text = "Your login has ended; nothing was saved. Copy your text, then "
            link = tag("a", "log in again", href="/login")
            content = message("bad", text, link, "."), kept
            return page(request, "Log in again", *content, status=403)
        wanted = request.path_qs if request.method == "GET" and request.path != "/" else None
        raise web.HTTPSeeOther(url("/login", next=wanted))

    async def login(self, request, fault=None, status=200):
        if request[VISITOR] is not None:
            raise web.HTTPSeeOther("/")
        content = [
            tag("label", "Token", for_="token"),
            tag(
                "input",
                type="password",
                id="token",
                name="token",
                required=True,
                autofocus=True,
                autocomplete="current-password",
                maxlength=1000,
            ),
            tag("button", "Log in", class_="primary"),
        ]
        if fault:
            content.insert(0, message("bad", fault))
        action = url("/login", next=request.query.get("next"))
        about = tag("p", "Your token is in the file that the server was started with.")
        login = tag("form", *content, method="post", action=action, class_="login")
        return page(request, "Log in", about, login, status=status)

    async def log_in(self, request):
        wait_s = self._limiter.wait_s(request.remote or "")
        if wait_s:
            return await self.login(request, f"Too many attempts: wait {wait_s:.0f} s.", 429)
        form = await request.post()
        token = form.get("token", "")
        name = self._settings.name_of(token.strip()) if isinstance(token, str) else None
        if name is None:
            return await self.login(request, "This is not a token of this server.", 403)
        response = web.HTTPSeeOther(_local_path(request.query.get("next", "/")))
        response.set_cookie(
            self.cookie,
            self._sessions.begin(name),
            httponly=True,
            samesite="Strict",
            # A proxy with TLS may be in front: then the browser says so.
            secure=request.headers.get("Origin", "").startswith("https:"),
            path="/",
        )
        raise response

    async def log_out(self, request):
        self._sessions.end(request.cookies.get(self.cookie, ""))
        response = web.HTTPSeeOther("/login")
        response.del_cookie(self.cookie, path="/")
        raise response


def _is_own_origin(request):
    """Whether the page that sends this is ours: its host and port are those that it asks."""
    origin = request.headers.get("Origin", "")
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == request.headers.get("Host")


def _local_path(text):
    """The path if it is one of ours: nobody is led elsewhere by a link to the login."""
    is_local = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_local and text.isprintable() and text.isascii() else "/"
