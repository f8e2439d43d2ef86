"""A response as it is sent: its options, 2.03 in place of a known body, one block of it."""

from aiocoap.numbers import codes
from aiocoap.numbers.types import NON

from msgin5g_tools.scm_server import blocks, options, problem, query
from msgin5g_tools.scm_server.coap_message import LongTokenMessage
from msgin5g_tools.scm_server.security import owner_of

_DEFAULT_MAX_AGE = 60  # RFC 7252 section 5.10.5: the value of a missing option
_SUPPRESS_CLIENT_ERRORS = 8  # RFC 7967: the bit of class 4
_UNSAFE = (codes.POST, codes.PUT, codes.DELETE)


class Responses:
    """next_number(): the Observe value of the next response."""

    def __init__(self, settings, next_number):
        self._settings = settings
        self._next_number = next_number

    def of_reply(self, request, reply, observing):
        """The Message for a resources.Reply."""
        message = LongTokenMessage(code=reply.code, payload=reply.payload)
        message.opt.location_path = reply.location
        if reply.etag is not None:
            message.opt.etag = reply.etag
        if reply.code == codes.CONTENT:
            if self._settings.max_age != _DEFAULT_MAX_AGE:
                message.opt.max_age = self._settings.max_age
            if observing:
                message.opt.observe = self._next_number()
            # Who asks for a later block wants that block, also with the ETag of the first one.
            if reply.etag in request.opt.etags and asks_from_start(request):
                message.code, message.payload = codes.VALID, b""
            else:
                message.opt.content_format = reply.content_format
        self._address(request, message)
        if message.code == codes.CONTENT:
            blocks.cut(message, request)
        blocks.acknowledge(message, request)
        return message

    def of_problem(self, request, raised):
        """The Message for a Problem."""
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


def asks_from_start(request):
    """Whether a GET asks for the whole body or its first block."""
    return request.opt.block2 is None or request.opt.block2.block_number == 0
