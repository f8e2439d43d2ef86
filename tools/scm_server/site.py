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
from aiocoap.numbers.types import NON
from aiocoap.util import hostportsplit

from msgin5g_tools.scm_server import (
    blocks,
    echo,
    options,
    problem,
    query,
    request_uri,
    resources,
)
from msgin5g_tools.scm_server.coap_message import LongTokenMessage
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, UE, change_name
from msgin5g_tools.scm_server.identity import is_loopback, normal_host, normal_uri
from msgin5g_tools.scm_server.observers import Observer, Observers, names_of
from msgin5g_tools.scm_server.problem import (
    DatabaseError,
    DatabaseUnavailable,
    Problem,
    UnstorableText,
)
from msgin5g_tools.scm_server.rate_limiter import RateLimiter
from msgin5g_tools.scm_server.security import (
    OVERHEAD,
    Answered,
    Challenge,
    Replayed,
    Security,
    owner_of,
)
from msgin5g_tools.scm_server.service_ids import ServiceIds
from msgin5g_tools.scm_server.settings import address_text

_DEFAULT_MAX_AGE = 60  # RFC 7252 section 5.10.5: the value of a missing option
_BUSY_S = 2
_WAIT_S = 0.5
_SUPPRESS_CLIENT_ERRORS = 8  # RFC 7967: the bit of class 4
_SUPPRESS_ALL = 26
_ENDED_S = 0.05  # after its end a key works no more for sure
_ECHO_DETAIL = "repeat the request with this Echo"
_COAP_PORT = 5683
_UNSAFE = (codes.POST, codes.PUT, codes.DELETE)


class Site(interfaces.Resource):
    """`on_change()` is called after every change of the database by a request.

    fleet: a FleetRecorder.
    """

    def __init__(self, documents, settings, fleet, on_event, on_change):
        super().__init__()
        self._store = documents
        self._settings = settings
        self._fleet = fleet
        self._on_event = on_event
        self._resources = resources.Resources(documents, settings)
        self._block1_receiver = blocks.Block1Receiver(settings.max_body, time.monotonic)
        self._limiter = None
        if settings.max_rate:
            self._limiter = RateLimiter(settings.max_rate, time.monotonic)
        self._verifier = echo.Verifier(time.monotonic)
        self._log = logging.getLogger("msgin5g.scm-server")
        self._on_change = on_change
        self.security = Security(documents, settings.recipient_option, self._verifier)
        self._service_ids = ServiceIds(self.security.given)
        self.on_damage = lambda error: None  # called with a DatabaseError of a damaged database
        self._ends = set()  # (number of a context, its end) for which there is a timer
        self.observers = Observers(settings.max_observers, self._notify)

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
        if observing and _asks_from_start(request) and found and found.kind == resources.DOCUMENT:
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
            message.opt.no_response = _SUPPRESS_ALL
            self._report("replayed", request, message)
            pipe.add_response(message, is_last=True)
        except Answered as raised:
            pipe.add_response(raised.message, is_last=True)
        except Challenge as raised:
            asked = Problem(codes.UNAUTHORIZED, _ECHO_DETAIL, echo=raised.echo)
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
            message = self._message(request, reply, observing)
            if not registered:
                self._check_source(request, message, observing)
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
        message = self._refusal(request, raised)
        if not registered:
            self._shorten(request, message)
        return message

    def _serve(self, request):
        settings = self._settings
        if settings.require_security and owner_of(request) is None:
            detail = "requests must be protected by OSCORE"
            raise Problem(codes.UNAUTHORIZED, detail, max_age=0)
        path, method = request.opt.uri_path, request.code
        found = resources.find(path, settings.prefix)
        unknown = options.unprocessed(
            request, settings.recipient_option, resources.undefined_options(found, method)
        )
        if unknown:
            numbers = ", ".join(map(str, unknown))
            raise Problem(codes.BAD_OPTION, f"option {numbers} is not understood", unknown)
        if request.opt.proxy_uri is not None or request.opt.proxy_scheme is not None:
            raise Problem(codes.PROXYING_NOT_SUPPORTED, "this server is not a proxy")
        resources.require(found, path, method)
        _check_whole(request)
        self._check_recipient(request)
        if found.kind == resources.CORE:
            return self._resources.core(request)
        selector = query.parse(request.opt.uri_query, settings.bulk_id)
        if selector.bulk and (found.kind, method) != (resources.COLLECTION, codes.GET):
            raise Problem(codes.BAD_REQUEST, "bulkConfFlag is for a GET of the collection only")
        request.found = found
        selector = self._authorise(request, selector)
        if method == codes.GET:
            content_format = self._resources.content_format(request)
            owner = owner_of(request)
            is_known = owner is not None and owner.kind != ADMINISTRATOR
            reply = self._resources.get(found, selector, content_format, is_known)
            if is_known:
                self._note_service_ids(owner, selector.uris, reply)
            return reply
        self._require_writer(request)
        self._require_source(request)
        if method != codes.DELETE:
            self._resources.check_format(request)
        body = b"" if method == codes.DELETE else self._block1_receiver.feed(request)
        if body is None:
            return resources.reply(codes.CONTINUE)
        reply = self._resources.change(found, request, body, _name_of_writer(request))
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

    def _authorise(self, request, selector):
        """The Selector of what this peer may have, or Problem 4.03."""
        owner = owner_of(request)
        if owner is None or owner.kind == ADMINISTRATOR:
            self._check_bulk(request, selector)
        elif owner.kind == UE:
            selector = _of_ue(owner, selector)
        else:
            selector = self._of_gateway(owner, selector)
        request.selector = selector
        denied = self._store.first_denied(selector.uris)
        if denied is not None:
            raise Problem(codes.FORBIDDEN, f"{denied} is not allowed")
        return selector

    def _check_bulk(self, request, selector):
        if selector.bulk and owner_of(request) is None:
            entitled = {*self._settings.gateways, *self._store.gateways()}
            host = normal_host(hostportsplit(request.remote.hostinfo)[0])
            if entitled and host not in entitled:
                raise Problem(codes.FORBIDDEN, f"{host} is not entitled to bulk configuration")

    def _of_gateway(self, owner, selector):
        if not selector.uris:
            raise Problem(codes.FORBIDDEN, "a gateway asks for UEs: add ue-uri")
        others = [uri for uri in selector.uris if normal_uri(uri) != owner.name]
        foreign = self.security.first_foreign(owner.name, others)
        if foreign is not None:
            raise Problem(codes.FORBIDDEN, f"{foreign} is not a UE of this gateway")
        return selector._replace(vendor=None, type=None, snr=None)

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

    def _message(self, request, reply, observing):
        """The response as it is sent: options, 2.03 in place of a known body, one block."""
        message = LongTokenMessage(code=reply.code, payload=reply.payload)
        message.opt.location_path = reply.location
        if reply.etag is not None:
            message.opt.etag = reply.etag
        if reply.code == codes.CONTENT:
            if self._settings.max_age != _DEFAULT_MAX_AGE:
                message.opt.max_age = self._settings.max_age
            if observing:
                message.opt.observe = self.observers.next_number()
            # Who asks for a later block wants that block, also with the ETag of the first one.
            if reply.etag in request.opt.etags and _asks_from_start(request):
                message.code, message.payload = codes.VALID, b""
            else:
                message.opt.content_format = reply.content_format
        self._address(request, message)
        if message.code == codes.CONTENT:
            blocks.cut(message, request)
        blocks.acknowledge(message, request)
        return message

    def _refusal(self, request, raised):
        # A strict relay lets errors of OSCORE pass, and does not see what is inside.
        is_plain = request.opt.oscore is None and owner_of(request) is None
        if (
            self._settings.strict_relay
            and is_plain
            and raised.code in (codes.BAD_REQUEST, codes.UNAUTHORIZED)
        ):
            raised = raised.with_code(codes.FORBIDDEN)
        message = LongTokenMessage(code=raised.code, payload=raised.payload)
        message.detail = raised.detail
        message.opt.content_format = problem.CONTENT_FORMAT
        for name, value in raised.options.items():
            setattr(message.opt, name, value)
        if raised.code == codes.BAD_OPTION and request.mtype == NON:
            # RFC 7252 section 5.4.1: a NON with such an option is rejected silently.
            message.opt.no_response = _SUPPRESS_CLIENT_ERRORS
        self._address(request, message)
        if request.code in _UNSAFE:
            blocks.acknowledge(message, request)
        return message

    def _address(self, request, message):
        uri = query.recipient(request.opt.uri_query)
        if owner_of(request) is not None:
            uri = request.protection.recipient(uri)
        elif uri is None:
            uri = getattr(request, "recipient", None)  # of a key that a protected request names
        if uri is not None:
            options.set_recipient(message, self._settings.recipient_option, uri)
        if message.opt.no_response is None:
            message.opt.no_response = request.opt.no_response

    def _require_writer(self, request):
        """Problem 4.03 unless this peer may change documents."""
        if self._settings.read_only:
            raise Problem(
                codes.FORBIDDEN, "this server is read-only: it accepts no documents over CoAP"
            )
        if not self._is_administrators(request):
            raise Problem(
                codes.FORBIDDEN,
                "documents are changed by an administrator only, or on the server's machine",
            )

    @staticmethod
    def _is_administrators(request):
        owner = owner_of(request)
        if owner is not None:
            return owner.kind == ADMINISTRATOR
        return is_loopback(hostportsplit(request.remote.hostinfo)[0])

    def _check_source(self, request, message, registering):
        """Problem 4.01 with Echo when the response is too long for an unverified source."""
        if self._settings.echo and message.code.is_successful() and request.code == codes.GET:
            if registering or _is_amplified(request, message):
                self._require_source(request)

    def _shorten(self, request, message):
        """Take the problem details from an error that is too long for an unverified source."""
        if not self._is_verified(request) and _is_amplified(request, message):
            message.payload, message.opt.content_format = b"", None

    def _is_verified(self, request):
        if not self._settings.echo or not blocks.is_datagram(request.remote):
            return True
        owner = owner_of(request)
        if owner is not None and owner.kind == ADMINISTRATOR:
            return True  # and it is no replay
        return self._verifier.check(request.remote.hostinfo, request.opt.echo)

    def _require_source(self, request):
        if not self._is_verified(request):
            raise Problem(
                codes.UNAUTHORIZED,
                _ECHO_DETAIL,
                echo=self._verifier.value(request.remote.hostinfo),
            )

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


def _of_ue(owner, selector):
    """The Selector of a UE that has proved its UE ID, or Problem 4.03."""
    if selector.bulk:
        raise Problem(codes.FORBIDDEN, "bulk configuration is for gateways")
    for uri in selector.uris:
        if normal_uri(uri) != owner.name:
            raise Problem(codes.FORBIDDEN, f"the key is that of {owner.spelling}, not of {uri}")
    # Nothing shows that its vendor and its IMEI are true.
    return query.Selector(None, None, None, (owner.spelling,), False)


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


def _is_amplified(request, message):
    """Whether a datagram is longer than RFC 9175 allows for a source that may be forged."""
    size = _size(message, request.token)
    if owner_of(request) is not None:
        return size + OVERHEAD > echo.FACTOR * request.protection.wire_size
    return size > echo.FACTOR * _size(request, request.token)


def _size(message, token):
    return 4 + len(token) + len(message.opt.encode()) + len(message.payload) + 1


def _asks_from_start(request):
    """Whether a GET asks for the whole body or its first block."""
    return request.opt.block2 is None or request.opt.block2.block_number == 0
