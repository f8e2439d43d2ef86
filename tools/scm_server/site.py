"""From a request to its response: aiocoap calls this class only.

It makes every response, also those that aiocoap's own site and block layer would make, so that
each response, error, block and notification has Recipient and concise problem details.
"""

import asyncio
import logging
import math
import time

from aiocoap import interfaces
from aiocoap.numbers import codes
from aiocoap.numbers.constants import Reliable
from aiocoap.util import hostportsplit

from msgin5g_tools.scm_server import (
    blocks,
    echo,
    options,
    query,
    request_uri,
    resources,
)
from msgin5g_tools.scm_server.access import Access
from msgin5g_tools.scm_server.amplification import ECHO_DETAIL, AmplificationLimit
from msgin5g_tools.scm_server.coap_message import LongTokenMessage
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, UE, change_name
from msgin5g_tools.scm_server.identity import normal_uri
from msgin5g_tools.scm_server.observers import Observer, Observers, names_of
from msgin5g_tools.scm_server.problem import (
    DatabaseError,
    DatabaseUnavailable,
    Problem,
    UnstorableText,
)
from msgin5g_tools.scm_server.rate_limiter import RateLimiter
from msgin5g_tools.scm_server.responses import Responses, asks_from_start
from msgin5g_tools.scm_server.security import (
    SUPPRESS_ALL,
    Answered,
    Challenge,
    Replayed,
    Security,
    owner_of,
)
from msgin5g_tools.scm_server.service_ids import ServiceIds
from msgin5g_tools.scm_server.settings import address_text

_BUSY_S = 2
_WAIT_S = 0.5
_ENDED_S = 0.05  # after its end a key works no more for sure
_COAP_PORT = 5683


class Site(interfaces.Resource):
    """`on_change()` is called after every change of the database by a request.

    fleet: a FleetRecorder.
    """

    def __init__(self, documents, settings, fleet, on_event, on_change):
        super().__init__()
        self._settings = settings
        self._fleet = fleet
        self._on_event = on_event
        self._resources = resources.Resources(documents, settings)
        self._block1_receiver = blocks.Block1Receiver(settings.max_body, time.monotonic)
        self._limiter = None
        if settings.max_rate:
            self._limiter = RateLimiter(settings.max_rate, time.monotonic)
        self._log = logging.getLogger("msgin5g.scm-server")
        self._on_change = on_change
        verifier = echo.Verifier(time.monotonic)
        self.security = Security(documents, settings.recipient_option, verifier)
        self._access = Access(documents, settings, self.security)
        self._amplification = AmplificationLimit(settings.echo, verifier)
        self._service_ids = ServiceIds(self.security.note_service_ids)
        self.on_damage = lambda error: None  # called with a DatabaseError of a damaged database
        self._ends = set()  # (number of a context, its end) for which there is a timer
        self.observers = Observers(settings.max_observers, self._notify)
        self._responses = Responses(settings, self.observers.next_number)

    async def needs_blockwise_assembly(self, request):
        return False

    async def render(self, request):
        return self._answer(request)

    async def render_to_pipe(self, pipe):
        self.respond(pipe)

    def respond(self, pipe):
        """Put the response to pipe.request into the pipe."""
        request = self._unprotected(pipe)
        if request is None:
            return
        found = resources.find(request.opt.uri_path, self._settings.prefix)
        observing = request.code == codes.GET and request.opt.observe == 0
        # RFC 7959 section 3.4: only the first block of a body can be observed.
        if observing and asks_from_start(request) and found and found.kind == resources.DOCUMENT:
            self._observe(pipe, request, found)
        else:
            self._put(pipe, request, self._answer(request))

    def _unprotected(self, pipe):
        """The request without OSCORE; None when it has its response, or gets none."""
        request = pipe.request
        if request.opt.oscore is None:
            return request
        try:
            if not self.security.is_used:
                return request  # an option that is not understood
            self._check_rate(request)
            _check_whole(request)
            inner = self.security.unprotect(request)
            request.manager.renew(inner)
            return inner
        except Replayed:
            message = LongTokenMessage(code=codes.UNAUTHORIZED)
            message.opt.no_response = SUPPRESS_ALL
            self._report("replayed", request, message)
            pipe.add_response(message, is_last=True)
        except Answered as raised:
            pipe.add_response(raised.message, is_last=True)
        except Challenge as raised:
            asked = Problem(codes.UNAUTHORIZED, ECHO_DETAIL, echo=raised.echo)
            self._put(pipe, raised.request, self._error(raised.request, asked))
        except Exception as raised:
            self._put(pipe, request, self._error(request, raised))
        return None

    def _put(self, pipe, request, message):
        """Report and protect the response, and put it into the pipe."""
        entry = self._report("served", request, message)
        self._fleet.served(request, message, entry)
        if owner_of(request) is not None:
            try:
                message = request.protection.protect(message)
            except Exception as raised:  # there was a number for it when the request came
                request.protection = None
                message = self._error(request, raised)
        pipe.add_response(message, is_last=True)

    def _observe(self, pipe, request, found):
        message = self._answer(request, not self.observers.is_full and self._may_observe(request))
        is_observed, tag = message.opt.observe is not None, message.opt.etag
        self._put(pipe, request, message)
        if is_observed:
            names = names_of(found, self._ues_of(request))
            owner = owner_of(request)
            if owner is not None:
                names.add(change_name(owner.number))
            not_before = time.monotonic() + self._settings.notify_interval_s
            observer = Observer(self.observers, request, names, tag, not_before)
            self.observers.add(observer)
            request.manager.observe(observer)

    def _may_observe(self, request):
        """Whether this request may register: not with the key in the administrator's directory."""
        owner = owner_of(request)
        return owner is None or (owner.number is not None and self._works(request.protection))

    def _works(self, protection):
        """Whether a key works here now; if it ends one day, its observers are woken then."""
        number = protection.owner.number
        row = self.security.row(number)
        if row is not None and row.ends_at is not None and (number, row.ends_at) not in self._ends:
            key = number, row.ends_at
            self._ends.add(key)
            left_s = max(0, row.ends_at - time.time()) + _ENDED_S
            asyncio.get_running_loop().call_later(left_s, self._ended, key)
        return row is not None and protection.is_held(row)

    def _ended(self, key):
        self._ends.discard(key)
        self.observers.changed([change_name(key[0])])

    def _notify(self, observer):
        """Notify an observer if its document differs; see Observers.

        The observation of a key that works no more, or at another process, ends. Nothing is sent:
        nobody should protect anything with it.
        """
        if observer.manager.is_waiting(observer):
            return _WAIT_S  # RFC 7641 section 4.5.2: then it gets the newest document only
        request = observer.request()
        owner = owner_of(request)
        try:
            if owner is not None and not self._works(request.protection):
                observer.manager.end(observer.remote, observer.token)
                return None
        except DatabaseError:
            return _BUSY_S
        message = self._answer(request, True, registered=True)
        if message.code == codes.SERVICE_UNAVAILABLE:
            return _BUSY_S
        is_last = not message.code.is_successful()
        tag = message.opt.etag
        if not is_last and tag == observer.etag:
            return None
        entry = self._entry("notified", request, message)
        acknowledged = self._fleet.notified(request, message, entry)
        # Always CON, which detects an observer that has gone (RFC 7641 section 4.5).
        message.transport_tuning = Reliable()
        try:
            if owner is not None:
                message = observer.protection.protect(message)
        except (DatabaseError, Problem, UnstorableText):
            return _BUSY_S
        observer.etag = tag
        # A minimum time between notifications: a burst of changes makes one.
        observer.not_before = time.monotonic() + self._settings.notify_interval_s
        try:
            observer.manager.notify(observer, message, acknowledged)
        except Exception:
            self._log.exception("no notification for %r", request)
            is_last = True
        if is_last:
            observer.manager.end(observer.remote, observer.token)
        self._on_event(entry)
        return None

    def _answer(self, request, observing=False, registered=False):
        """The response Message of a request; an internal error gives one, too."""
        try:
            if not registered and owner_of(request) is None:
                self._check_rate(request)  # that of a protected one has been
            reply = self._serve(request)
            message = self._responses.of_reply(request, reply, observing)
            if not registered:
                self._amplification.check(request, message, observing)
            return message
        except Exception as raised:
            return self._error(request, raised, registered)

    def _error(self, request, raised, registered=False):
        """The response to a request that an exception has ended."""
        if isinstance(raised, UnstorableText):
            raised = Problem(codes.BAD_REQUEST, str(raised))
        elif isinstance(raised, DatabaseUnavailable):
            detail = f"the database is not available: {raised}"
            raised = Problem(codes.SERVICE_UNAVAILABLE, detail, max_age=_BUSY_S)
        elif isinstance(raised, DatabaseError):
            self.on_damage(raised)
            raised = Problem(codes.INTERNAL_SERVER_ERROR, f"the database is damaged: {raised}")
        elif not isinstance(raised, Problem):
            self._log.error("no response to %r", request, exc_info=raised)
            raised = Problem(codes.INTERNAL_SERVER_ERROR, "internal error of the server")
        message = self._responses.of_problem(request, raised)
        if not registered:
            self._amplification.shorten(request, message)
        return message

    def _serve(self, request):
        """The resources.Reply to a request, or a Problem."""
        self._access.require_protection(request)
        found = self._route(request)
        _check_whole(request)
        self._check_recipient(request)
        if found.kind == resources.CORE:
            return self._resources.core(request)
        selector = query.parse(request.opt.uri_query, self._settings.bulk_id)
        if selector.bulk and (found.kind, request.code) != (resources.COLLECTION, codes.GET):
            raise Problem(codes.BAD_REQUEST, "bulkConfFlag is for a GET of the collection only")
        request.found = found
        # The record of the UEs reads it from a request that is denied, too.
        request.selector = self._access.entitled(request, selector)
        self._access.require_none_denied(request.selector)
        return self._read(request) if request.code == codes.GET else self._change(request)

    def _route(self, request):
        """The resources.Route of the path; Problem when there is none for this method."""
        found = resources.find(request.opt.uri_path, self._settings.prefix)
        unknown = options.unprocessed(
            request,
            self._settings.recipient_option,
            resources.undefined_options(found, request.code),
        )
        if unknown:
            numbers = ", ".join(map(str, unknown))
            raise Problem(codes.BAD_OPTION, f"option {numbers} is not understood", unknown)
        if request.opt.proxy_uri is not None or request.opt.proxy_scheme is not None:
            raise Problem(codes.PROXYING_NOT_SUPPORTED, "this server is not a proxy")
        resources.require(found, request.opt.uri_path, request.code)
        return found

    def _read(self, request):
        content_format = self._resources.content_format(request)
        owner = owner_of(request)
        is_known = owner is not None and owner.kind != ADMINISTRATOR
        reply = self._resources.get(request.found, request.selector, content_format, is_known)
        if is_known:
            self._note_service_ids(owner, request.selector.uris, reply)
        return reply

    def _change(self, request):
        self._access.require_writer(request)
        self._amplification.require_verified(request)
        body = b""
        if request.code != codes.DELETE:
            self._resources.check_format(request)
            body = self._block1_receiver.feed(request)
        if body is None:
            return resources.reply(codes.CONTINUE)
        reply = self._resources.change(request.found, request, body, _name_of_writer(request))
        self._on_change()
        return reply

    def _check_rate(self, request):
        """Problem 4.29 (RFC 8516), with Max-Age, above the rate of a host."""
        if self._limiter:
            wait_s = self._limiter.wait_s(hostportsplit(request.remote.hostinfo)[0])
            if wait_s:
                detail = f"more than {self._settings.max_rate:g} requests a second"
                raise Problem(codes.TOO_MANY_REQUESTS, detail, max_age=math.ceil(wait_s))

    def _check_recipient(self, request):
        ours = self._settings.recipient
        named = options.recipient(request, self._settings.recipient_option)
        if ours and named is not None and normal_uri(named) != normal_uri(ours):
            raise Problem(codes.BAD_REQUEST, f"Recipient '{named}' is not this server")

    @staticmethod
    def _ues_of(request):
        """The UEs that a request is for."""
        owner = owner_of(request)
        if owner is not None and owner.kind == UE:
            return [owner.spelling]
        return query.ue_uris(request.opt.uri_query)

    def _note_service_ids(self, owner, uris, reply):
        try:
            self._service_ids.note(owner, uris, reply)
        except DatabaseError:
            pass  # the database is busy: noted the next time

    def _report(self, event, request, message):
        entry = self._entry(event, request, message)
        self._on_event(entry)
        return entry

    def _entry(self, event, request, message):
        host, port = hostportsplit(request.remote.hostinfo)
        method = str(request.code)
        entry = {
            "event": event,
            "remote": address_text(host, port or _COAP_PORT),
            "method": method if method.isalpha() else request.code.dotted,
            "code": message.code.dotted,
            "uri": request_uri.text(request.opt.uri_path, request.opt.uri_query),
            "ue_uri": query.ue_uris(request.opt.uri_query),
            "recipient": options.recipient(message, self._settings.recipient_option),
            "size": len(message.payload),
        }
        if hasattr(message, "detail"):
            entry["detail"] = message.detail
        owner = owner_of(request)
        if owner is not None:
            entry["key_of"] = owner.spelling
        return entry


def _check_whole(request):
    """Problem 4.13 when a datagram was longer than what was read of it."""
    if getattr(request, "truncated", False):
        detail = "the datagram is too long: send the body in blocks"
        raise Problem(codes.REQUEST_ENTITY_TOO_LARGE, detail, block1=(0, False, 6))


def _name_of_writer(request):
    owner = owner_of(request)
    host, port = hostportsplit(request.remote.hostinfo)
    text = f"CoAP {address_text(host, port or _COAP_PORT)}"
    return text if owner is None else f"{text}, key of {owner.spelling}"
