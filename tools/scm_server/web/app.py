"""The page of the operator: `msgin5g scm-server --web 127.0.0.1:8080`.

It runs in the loop of the CoAP server, so nothing here takes long: the database is asked in a
thread (store_thread), and so is what takes time in Python.

    access    hosts, logins, sessions, the origin of changes     elements  HTML, escaped
    overview, fleet, documents, editor, deny_list, ue, log_page: one file for each group of pages
"""

import asyncio
import logging
import os
from collections import Counter
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgin5g_tools.scm_server.problem import DatabaseError, ScmError
from msgin5g_tools.scm_server.settings import address_text, bind_error
from msgin5g_tools.scm_server.store import Store
from msgin5g_tools.scm_server.web.access import Access
from msgin5g_tools.scm_server.web.connection_limit import ConnectionLimit
from msgin5g_tools.scm_server.web.deny_list import DenyList
from msgin5g_tools.scm_server.web.documents import Documents
from msgin5g_tools.scm_server.web.editor import Editor
from msgin5g_tools.scm_server.web.fleet import FleetList
from msgin5g_tools.scm_server.web.kept_text import kept_text
from msgin5g_tools.scm_server.web.layout import VISITOR, message, page
from msgin5g_tools.scm_server.web.log_page import LiveLog
from msgin5g_tools.scm_server.web.log_ring import LogRing
from msgin5g_tools.scm_server.web.overview import Overview
from msgin5g_tools.scm_server.web.store_thread import Busy, StoreThread
from msgin5g_tools.scm_server.web.ue import Ue

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LOCK_S = 2.0  # how long a change waits for those of others
_ANSWER_S = 5.0  # for PostgreSQL: one that hangs holds up a page, and the end, no longer
_FORM_SIZE = 64 * 1024  # of what is no document
_TEXT_FACTOR = 8  # characters of JSON in a form for one byte of CBOR, at most
_STOP_S = 1.0
_KEEP_S = 60.0  # of a connection without a request


class WebServer:
    """`start(server)` and `stop()`; settings: a WebSettings; `address` is the bound one.

    on_event gets every event of the server.
    """

    def __init__(self, settings):
        self.settings = settings
        self.log_ring = LogRing()
        self.address = None
        self._source = None
        self._runner = self._store = self._log = self._overview = self._limit = None
        self._drops = Counter()
        self._logger = logging.getLogger("msgin5g.web")

    def listen_to(self, log):
        """Show the lines of this log_lines.Log."""
        self._source = log
        log.listener = self.log_ring.add

    @property
    def n_dropped_readers(self):
        """Of the live log: those that did not read."""
        return self._log.n_dropped_readers

    @property
    def url(self):
        return f"http://{address_text(*self.address)}/"

    def on_event(self, event):
        if self._overview:
            self._overview.on_event(event)

    async def start(self, server):
        """ScmError, one line, when the address cannot be bound. server: a ScmServer that runs."""
        host, port = self.settings.bind
        access = Access(self.settings)
        app = self._app(server, access)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=self._http_logger(),
            keepalive_timeout=_KEEP_S,
            shutdown_timeout=_STOP_S,
        )
        await self._runner.setup()
        self._limit = ConnectionLimit(self._runner.server, self._drops)
        try:
            self.address = await self._limit.listen(host, port)
        except (OSError, OverflowError, UnicodeError) as error:
            await self.stop()
            # asyncio's own text repeats the address.
            plain = os.strerror(error.errno) if getattr(error, "errno", None) else error
            raise bind_error(host, port, plain) from None
        access.cookie = f"msgin5g_{self.address[1]}"  # cookies do not know about ports

    async def stop(self):
        """Safe to call twice, and on one that did not start."""
        if self._log:
            self._log.stop()
        if self._limit:
            self._limit.close()
        if self._runner:
            await self._runner.cleanup()
            await self._store.close()
        self._runner = self._log = self._overview = self._limit = None

    def _app(self, server, access):
        settings = server.settings
        # Not created: the server has done so, and a file that is gone is no new, empty one.
        store = self._store = StoreThread(
            lambda: Store(settings.db, create=False, timeout_s=_LOCK_S, answer_s=_ANSWER_S)
        )
        self._log = LiveLog(self.log_ring)
        self._overview = Overview(server, store, self._dropped)
        changed = server.documents_changed
        app = web.Application(
            middlewares=[self._report, self._explain, access.guard],
            client_max_size=settings.max_body * _TEXT_FACTOR + _FORM_SIZE,
        )
        app.on_response_prepare.append(access.add_headers)
        for pages in (
            access,
            self._overview,
            FleetList(server, store),
            Documents(store),
            Editor(store, settings, changed),
            DenyList(store, changed),
            Ue(store, settings),
            self._log,
        ):
            app.add_routes(pages.routes())
        app.add_routes([web.get("/static/{name}", _static)])
        return app

    def _http_logger(self):
        """For aiohttp: what is no HTTP, which anybody can send, is counted and not printed."""

        def is_shown(record):
            error = record.exc_info and record.exc_info[1]
            if not isinstance(error, HttpProcessingError):
                return True
            self._drops["no HTTP"] += 1
            return False

        logger = logging.Logger("msgin5g.web")  # of this server only, so is its filter
        logger.parent = self._logger
        logger.addFilter(is_shown)
        return logger

    def _dropped(self):
        """{cause: how many} of the log and of the page."""
        return {
            **{f"page: {cause}": n for cause, n in self._drops.items()},
            "line of the log": self._source.n_dropped if self._source else 0,
            "slow reader of the live log": self.n_dropped_readers,
        }

    @web.middleware
    async def _report(self, request, handler):
        """An error of ours is one line of the log, and a page."""
        request[VISITOR] = None
        self._limit.heard(request)
        try:
            return await handler(request)
        except (web.HTTPException, asyncio.CancelledError):
            raise
        except Exception:
            self._logger.exception("no response to %s %s", request.method, request.path)
            text = "The server has made a mistake: its log has the details."
            return page(request, "Error", message("bad", text), status=500)

    @web.middleware
    async def _explain(self, request, handler):
        """A page for what went wrong, with what to do."""
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return page(request, "Not found", message("bad", "There is no such page."), status=404)
        except web.HTTPRequestEntityTooLarge:
            text = "That is more than the server takes: see --max-body."
            return page(request, "Too large", message("bad", text), status=413)
        except Busy:
            text = "Too many pages wait for the database: try again in a moment."
            content = message("bad", text), await kept_text(request)
            return page(request, "Busy", *content, status=503)
        except (DatabaseError, ScmError) as error:
            line = getattr(error, "line", error)
            text = f"The database does not answer: {line}. Try again in a moment."
            content = message("bad", text), await kept_text(request)
            return page(request, "Not available", *content, status=503)


async def _static(request):
    """A file of the package."""
    path = _STATIC / request.match_info["name"]
    if path.parent != _STATIC or path.suffix not in _TYPES or not path.is_file():
        raise web.HTTPNotFound
    return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")
