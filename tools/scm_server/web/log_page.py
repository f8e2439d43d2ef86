"""The live log: the last lines, and those that come, as server-sent events."""

import asyncio
import json

from aiohttp import web
from msgin5g_tools.scm_server.web.elements import join, tag
from msgin5g_tools.scm_server.web.layout import page, query_number

_SHOWN = 200
_BATCH = 200  # lines in one event
_PERIOD_S = 0.25
_QUIET_S = 15.0  # then a comment shows that the connection lives
WRITE_S = 5.0  # a reader that takes no more for so long is dropped
_MAX_READERS = 16
_LEVELS = ("debug", "info", "warning", "error")


class LiveLog:
    """ring: a LogRing. n_dropped_readers: those that did not read fast enough."""

    def __init__(self, ring):
        self._ring = ring
        self._is_stopping = False
        self.n_readers = self.n_dropped_readers = 0

    def routes(self):
        return [web.get("/log", self.show), web.get("/log/events", self.events)]

    def stop(self):
        """End the streams, soon."""
        self._is_stopping = True

    async def show(self, request):
        lines, _ = self._ring.after(0, _SHOWN)
        levels = [
            tag("option", f"{level} and above" if level != "error" else level, value=level)
            for level in _LEVELS
        ]
        controls = tag(
            "div",
            tag("label", "Level", tag("select", *levels, id="log-level")),
            tag("label", "Contains", tag("input", type="search", id="log-filter")),
            tag("button", "Pause", type="button", id="log-pause", aria_pressed="false"),
            tag("span", "connecting", id="log-state", class_="badge", role="status"),
            class_="controls",
        )
        hint = tag(
            "p",
            "No line yet: each request of a UE is one. The newest is at the end.",
            id="log-empty",
            hidden=bool(lines),
        )
        log = tag(
            "ol",
            [_line(*line) for line in lines],
            id="log",
            class_="log",
            tabindex="0",
            data_last=self._ring.n_lines,
            aria_label="Lines of the log",
        )
        return page(request, "Live log", controls, hint, log)

    async def events(self, request):
        """Lines in groups: a JSON object with `lines` and `skipped`, how many were left out."""
        if self.n_readers >= _MAX_READERS:
            return web.Response(status=503, text=f"{_MAX_READERS} read the log already\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.headers["Cache-Control"] = "no-store"
        self.n_readers += 1
        try:
            await response.prepare(request)
            await self._stream(response, self._start(request))
        except (TimeoutError, asyncio.TimeoutError):
            self.n_dropped_readers += 1
            if request.transport:
                request.transport.abort()
        except ConnectionError:
            pass
        finally:
            self.n_readers -= 1
        return response

    def _start(self, request):
        """The number of the last line that a reader has."""
        last = request.headers.get("Last-Event-ID", "")
        if last.isascii() and last.isdigit() and len(last) < 16:
            number = int(last)
        else:
            number = query_number(request, "after")
        if number is None or number > self._ring.n_lines:  # the server was started again
            return 0
        return number

    async def _stream(self, response, number):
        quiet_s = _QUIET_S  # something at once: then the reader knows that it is connected
        while not self._is_stopping:
            if self._ring.n_lines > number:
                lines, n_skipped = self._ring.after(number, _BATCH)
                number = lines[-1][0]
                data = json.dumps({"lines": lines, "skipped": n_skipped})
                text = f"id: {number}\ndata: {data}\n\n"
            elif quiet_s >= _QUIET_S:
                text = ": nothing new\n\n"
            else:
                text = ""
            if text:
                quiet_s = 0.0
                await asyncio.wait_for(response.write(text.encode()), WRITE_S)
            await asyncio.sleep(_PERIOD_S)
            quiet_s += _PERIOD_S


def _line(number, stamp, level, text):
    return tag(
        "li",
        join(tag("time", stamp), " ", tag("b", level), " ", tag("span", text)),
        class_=level,
    )
