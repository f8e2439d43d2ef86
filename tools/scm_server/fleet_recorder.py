"""What became of each UE, as requests and notifications show it: gathered, and written soon.

A request costs no access to the database. What was seen is kept in memory, one row for each UE, a
limited number of them; the task `run` writes it every second, in small transactions, with the
event loop's turn in between. A crash loses what was seen in the last second.
"""

import asyncio
import time
from itertools import islice

from aiocoap.numbers import codes

from msgin5g_tools.scm_server import identity, query, resources
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, UE
from msgin5g_tools.scm_server.fleet import Fleet
from msgin5g_tools.scm_server.fleet_table import FleetTable
from msgin5g_tools.scm_server.problem import DatabaseError, DatabaseUnavailable
from msgin5g_tools.scm_server.security import owner_of

ALONE, BULK, OBSERVE = "alone", "bulk", "observe"

_PERIOD_S = 1.0
_FINISH_S = 2.0
_PIECE = 100  # rows in one transaction, which takes some milliseconds
_PAUSE_S = 0.005  # the turn of requests
_MAX_ROWS = 20_000  # in memory, about 1 KB each
_RECOUNT_S = 60.0  # other servers write, too
_COUNT_REST = 19  # counting by state takes a twentieth of the time
_NOTHING = "no document for this UE"
# What says nothing about a UE: repeat it with this Echo, too fast, the server is busy.
_NO_DENIALS = (codes.TOO_MANY_REQUESTS, codes.SERVICE_UNAVAILABLE, codes.INTERNAL_SERVER_ERROR)


class FleetRecorder:
    """drops: a Counter of what was dropped, by cause. now(): seconds since 1970."""

    def __init__(self, store, settings, drops, now=time.time):
        self._counts = None
        self._is_asked = asyncio.Event()  # for counts that are newer than these
        self._fleet = Fleet(store)
        self._table = FleetTable(store, settings.max_ues)
        self._prefix = settings.prefix
        self._drops = drops
        self._now = now
        self._rows = {}  # uri -> {column: value}

    # what is seen

    def served(self, request, message, entry):
        """A request has this response; entry: the event."""
        owner = owner_of(request)
        if request.code != codes.GET or (not entry["ue_uri"] and owner is None):
            return
        if owner is not None and owner.kind == ADMINISTRATOR:
            return
        selector = getattr(request, "selector", None)  # None: an error came before it
        found = getattr(request, "found", None) or self._find(request)
        if found is None or found.kind == resources.CORE:
            return
        now = int(self._now())
        is_bulk = selector is not None and selector.bulk
        how = BULK if is_bulk else OBSERVE if message.opt.observe is not None else ALONE
        asked = {"asked_at": now, "how": how, "peer": entry["remote"]}
        uris = _uris(entry, owner, selector)
        outcome = self._outcome(found, selector, message, uris, now)
        is_report = not is_bulk and query.REFUSED in entry["uri"]
        report = _report(request, now) if is_report else None
        for uri in uris:
            seen = {**asked, **outcome.get(uri, {})}
            if report is not None and selector is not None and len(uris) == 1:
                seen.update(report)
                if report["refused_reason"] is not None:
                    name = identity.normal_uri(uri)
                    tags = self._fleet.tags(found.service, [name], selector)
                    seen["refused_of"] = tags[name]
            self._note(uri, owner, now, seen)

    def notified(self, request, message, entry):
        """What is to be called when the notification is acknowledged."""
        owner = owner_of(request)
        found = self._find(request)
        now, tag = int(self._now()), message.opt.etag
        uris = _uris(entry, owner, getattr(request, "selector", None))
        if message.code.is_successful():
            seen = {"notified_at": now, "notified_etag": tag, "acknowledged_at": None}
        else:
            seen = _denial(message, now)
        for uri in uris:
            self._note(uri, owner, now, seen)
        is_whole = message.code.is_successful() and not _has_more(message)

        def acknowledged():
            at = int(self._now())
            given = _given(found, None, tag, at) if is_whole else {}
            for uri in uris:
                self._note(uri, owner, at, {**seen, "acknowledged_at": at, **given})

        return acknowledged

    def _find(self, request):
        return resources.find(request.opt.uri_path, self._prefix)

    def _outcome(self, found, selector, message, uris, now):
        """{uri: what a response says about the UE}."""
        code = message.code
        if code.is_successful():
            if selector is None or _has_more(message):
                return {}
            if not selector.bulk:
                given = _given(found, selector, message.opt.etag, now)
                return dict.fromkeys(uris, given)
            names = {uri: identity.normal_uri(uri) for uri in uris}
            tags = self._fleet.tags(found.service, list(names.values()), selector)
            nothing = {"denied_at": now, "denied_code": "4.04", "denied_reason": _NOTHING}
            return {
                uri: _given(found, selector, tags[name], now) if tags[name] else nothing
                for uri, name in names.items()
            }
        if code in _NO_DENIALS or message.opt.echo is not None:
            return {}
        return dict.fromkeys(uris, _denial(message, now))

    def _note(self, uri, owner, now, seen):
        name = identity.normal_uri(uri)
        row = self._rows.get(name)
        if row is None:
            if len(self._rows) >= _MAX_ROWS:
                self._drops["fleet"] += 1
                return
            row = self._rows[name] = {"uri": name}
        elif row["key_of"] is not None and owner is None:
            return  # anybody can send it
        row["spelling"], row["seen_at"] = uri, now
        row["key_of"] = None if owner is None else owner.spelling
        if seen.get("given_at") is not None:
            row.pop("denied_at", None)
        row.update(seen)

    # what is done with it

    async def run(self):
        """Write every second, for ever."""
        recount_at = time.monotonic() + _RECOUNT_S
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                if time.monotonic() >= recount_at:
                    self._table.count()
                    recount_at = time.monotonic() + _RECOUNT_S
                while self._write_piece():
                    await asyncio.sleep(_PAUSE_S)
            except DatabaseError:
                pass  # locked, or away: the next turn will write it

    @property
    def counts(self):
        """{state: UEs} when they were asked for the last time, or None; they are counted anew."""
        self._is_asked.set()
        return self._counts

    async def run_counting(self):
        """Count when somebody asks, for ever; a little work at a time."""
        while True:
            await self._is_asked.wait()
            try:
                began = time.monotonic()
                for counts in self._fleet.counting():
                    await asyncio.sleep(_COUNT_REST * (time.monotonic() - began))
                    began = time.monotonic()
                self._counts = counts
            except DatabaseError:
                pass
            self._is_asked.clear()
            await asyncio.sleep(_PERIOD_S)

    async def finish(self):
        """Write all that there is, as long as that does not take too long."""
        ends_at = time.monotonic() + _FINISH_S
        while time.monotonic() < ends_at:
            try:
                if not self._write_piece():
                    return
            except DatabaseError:
                await asyncio.sleep(_PAUSE_S)

    def _write_piece(self):
        """Whether there is more to write."""
        names = list(islice(self._rows, _PIECE))
        if not names:
            return False
        try:
            self._table.write([self._rows[name] for name in names])
        except DatabaseUnavailable:
            raise
        except DatabaseError:
            self._drops["fleet"] += len(names)  # what cannot be stored blocks nothing else
        for name in names:
            del self._rows[name]
        return bool(self._rows)


def _uris(entry, owner, selector):
    """The UEs that a request is about, each once.

    Under a key these are the owner, or those that its owner may ask for.
    """
    if selector is not None:
        return selector.uris
    if owner is not None:
        return (owner.spelling,) if owner.kind == UE else ()
    return tuple(uri for uri in entry["ue_uri"] if not identity.uri_fault(uri))


def _given(found, selector, tag, now):
    return {
        "given_at": now,
        "service": found.service,
        "doc_id": found.doc_id,
        "vendor": selector and selector.vendor,
        "type": selector and selector.type,
        "snr": selector and selector.snr,
        "etag": tag,
    }


def _denial(message, now):
    detail = getattr(message, "detail", None)
    return {"denied_at": now, "denied_code": message.code.dotted, "denied_reason": detail}


def _has_more(message):
    return message.opt.block2 is not None and message.opt.block2.more


def _report(request, now):
    """What a UE reports of its configuration; None when this request does not tell."""
    refused = query.refused(request.opt.uri_query)
    if refused is None:
        return None
    return {"reported_at": now, "refused_etag": refused[0], "refused_reason": refused[1]}
