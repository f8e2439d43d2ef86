"""Which requests a relay or gateway takes, and what it says itself (TS 24.538 6.2.2.1).

It takes a GET from a linked UE, for that UE itself, with the server as its Recipient. A relay also
takes a protected request, a POST or FETCH with the option OSCORE (RFC 8613 section 4.2): its
`ue-uri` cannot be seen, so the server checks that. Every other request is discarded and counted
under

    not_linked, missing_recipient, foreign_recipient, wrong_ue_uri, not_get

Where the endpoint has unprotected the request, a gateway knows the UE by its key: then `ue-uri`
may be left out, and that of another UE gets 4.03.
A request without Recipient is for this node: it has /.well-known/core (RFC 6690) and no more.
"""

from micropython import const

from msgin5g.coap.message import uint_bytes

# The module for what is used seldom: see coap/message.
from msgin5g.coap import numbers as registry
from msgin5g.coap.numbers import (
    FETCH,
    GET,
    NO_RESPONSE,
    OBSERVE,
    OSCORE,
    POST,
    URI_PATH,
    URI_QUERY,
)
from msgin5g.intermediary.numbers import (
    BAD_OPTION,
    CONCISE_PROBLEM_DETAILS,
    HOP_LIMIT,
    LINK_FORMAT,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    PROXY_SCHEME,
    PROXY_URI,
    PROXYING_NOT_SUPPORTED,
)
from msgin5g.coap.responder import cut
from msgin5g.coap.ticks import add, diff
from msgin5g.scm.problem_details import compose
from msgin5g.scm.request import UE_URI, uri_equal

# Unsafe options that are understood, as bits: Uri-Host 3, Observe 6, Uri-Port 7, Uri-Path 11,
# Max-Age 14, Uri-Query 15, Block2 23, Block1 27.
_UNDERSTOOD = const(0x0880C8C8)
# Critical options that the page understands: Uri-Host, Uri-Port, Uri-Path, Uri-Query, Accept 17,
# Block2.
_UNDERSTOOD_BY_PAGE = const(0x00828888)
_PAGE = b"</.well-known/core>;ct=40"
_MAX_SZX = const(6)
_MAX_OBSERVATIONS_OF_A_UE = const(4)
_RETRY_MS = const(1000)  # the first time to retry


class Admission:
    """The rules for requests, over the endpoint and the LinkTable of a relay or gateway.

    max_observations_of_ue: the share of each UE in settings.max_observations. takes_protected:
    whether protected requests are taken, as a relay does. observes, has_hop_limit: whether the
    request that `admit` took has these options.
    """

    observes = has_hop_limit = False

    def __init__(self, settings, endpoint, links, takes_protected=False):
        self._endpoint = endpoint
        self._takes_protected = takes_protected
        self._links = links
        self._server_recipient = settings.server_recipient.encode()
        self._recipient_option = settings.recipient_option
        self._strict_codes = settings.strict_codes
        share = settings.max_observations // settings.max_links
        self.max_observations_of_ue = max(min(share, _MAX_OBSERVATIONS_OF_A_UE), 1)
        self._interval_ms = 1000 // settings.max_rate
        # Each linked UE has one time to retry, so none is later than this.
        self._max_retry_ms = _RETRY_MS + settings.max_links * self._interval_ms
        self._retry_at = None  # the last one that was given

    def admit(self, transport, remote, now):
        """The LinkedUe whose request the endpoint has received, None when it is dealt with."""
        endpoint = self._endpoint
        message = endpoint.message
        ue = self._links.from_address(transport, remote)
        if ue is None:
            endpoint.count("not_linked")
            return None
        # One pass over the options, without a call for each of them.
        ue_id = ue.ue_id
        recipient_option = self._recipient_option
        view = message.view
        numbers = message.numbers
        starts = message.starts
        ends = message.ends
        recipient_at = message.find(recipient_option)
        n_uris = 0
        is_protected = self.observes = self.has_hop_limit = False
        unknown = message.left_out
        is_own = True
        for i in range(message.n_options):
            number = numbers[i]
            if number == URI_PATH:
                pass
            elif number == URI_QUERY:
                value = bytes(view[starts[i] : ends[i]])
                if value.startswith(UE_URI):
                    n_uris += 1
                    same = value.endswith(ue_id) and len(value) == len(ue_id) + 7
                    if not same and not uri_equal(value[7:], ue_id):
                        is_own = False
            elif number == OBSERVE:
                self.observes = True
            elif number == HOP_LIMIT:
                self.has_hop_limit = True
            elif number == OSCORE:
                is_protected = self._takes_protected and message.code in (POST, FETCH)
            elif number & 2 and not unknown and not (number < 30 and _UNDERSTOOD >> number & 1):
                if number != NO_RESPONSE and number != recipient_option:
                    unknown = number
        if recipient_at < 0:
            self._respond_locally(message, ue, now)
            return None
        recipient = bytes(view[starts[recipient_at] : ends[recipient_at]])
        server = self._server_recipient
        if recipient != server and not uri_equal(recipient, server):
            endpoint.count("foreign_recipient")
            return None
        if message.code != GET and not is_protected:
            endpoint.count("not_get")
            self.refuse(METHOD_NOT_ALLOWED, "Only GET is relayed", ue, now)
            return None
        # A UE asks for its own configuration only. Where its key says who it is, it is told so.
        if endpoint.binding is not None:
            if not is_own or n_uris > 1:
                endpoint.count("wrong_ue_uri")
                self.refuse(registry.FORBIDDEN, "Of another UE", ue, now)
                return None
        elif not is_own or (n_uris != 1 and not is_protected):
            endpoint.count("wrong_ue_uri")
            return None
        if unknown:
            code = PROXYING_NOT_SUPPORTED if unknown in (PROXY_URI, PROXY_SCHEME) else BAD_OPTION
            self.refuse(code, "Option not supported", ue, now, option=unknown)
            return None
        return ue

    def not_understood(self, message):
        """The first unsafe option of a message that is not understood here, 0 without one."""
        numbers = message.numbers
        recipient_option = self._recipient_option
        for i in range(message.n_options):
            number = numbers[i]
            # RFC 7252 section 5.4.6: bit 1 says unsafe; 5.7.1: then it may not be passed on.
            if (
                number & 2
                and not (number < 30 and _UNDERSTOOD >> number & 1)
                and number != NO_RESPONSE
                and number != recipient_option
            ):
                return number
        return message.left_out

    def refuse_busy(self, title, ue, now):
        """Respond 5.03 with a time to retry (Max-Age) to the request just received.

        Each UE has a time of its own, and keeps it when it asks too early: so it cannot push
        those of others away.
        """
        self._endpoint.count("busy")
        last_ms = 0 if self._retry_at is None else diff(self._retry_at, now)
        if not 0 < last_ms <= self._max_retry_ms:
            last_ms = 0  # it has passed, or the clock has wrapped since then
        ahead_ms = 0 if ue.retry_at is None else diff(ue.retry_at, now)
        if not 0 < ahead_ms <= last_ms:
            ahead_ms = max(last_ms + self._interval_ms, _RETRY_MS)
            ue.retry_at = self._retry_at = add(now, ahead_ms)
        self.refuse(registry.SERVICE_UNAVAILABLE, title, ue, now, (ahead_ms + 999) // 1000)

    def refuse(self, code, title, ue, now, max_age_s=None, option=None):
        """Respond with an error to the request just received."""
        incoming = self._endpoint.accept(now)
        if incoming is None:
            self._endpoint.count("incoming_full")
            return
        self.respond_error(incoming, code, title, ue, max_age_s, option)

    def respond_error(self, incoming, code, title, ue, max_age_s=None, option=None):
        """Respond with problem details to a request that was accepted.

        It carries the Recipient, as the server's own would: a UE drops a response without it.
        """
        endpoint = self._endpoint
        if self._strict_codes:
            endpoint.forget(incoming)  # only the server gives one of the three codes
            return
        options = [(registry.CONTENT_FORMAT, uint_bytes(CONCISE_PROBLEM_DETAILS))]
        if max_age_s is not None:
            options.append((registry.MAX_AGE, uint_bytes(max_age_s)))
        options.append((self._recipient_option, ue.ue_id))  # its number is above all the others
        payload = compose(code, title, None, option)
        if incoming.acknowledged or not incoming.open:
            # The UE has waited long and may have given up: one message that is not repeated.
            endpoint.notify(incoming, code, options, payload, None, False)
            endpoint.close(incoming)
        else:
            endpoint.respond(incoming, code, options, payload)

    def _respond_locally(self, message, ue, now):
        """Respond to a request that names no recipient."""
        endpoint = self._endpoint
        path = []
        for i in range(message.n_options):
            if message.numbers[i] == URI_PATH:
                path.append(message.value(i))
        if message.code != GET or path != [b".well-known", b"core"]:
            endpoint.count("missing_recipient")
            return
        critical = message.critical(_UNDERSTOOD_BY_PAGE, self._recipient_option)
        if critical:
            self.refuse(BAD_OPTION, "Option not supported", ue, now, option=critical)
            return
        if message.uint(registry.ACCEPT, LINK_FORMAT) != LINK_FORMAT:
            self.refuse(NOT_ACCEPTABLE, "Accept", ue, now)
            return
        asked = message.uint(registry.BLOCK2)
        part = cut(asked, len(_PAGE), _MAX_SZX)
        if part is None:
            self.refuse(registry.BAD_REQUEST, "Block2", ue, now)
            return
        start, end, block2 = part
        options = [(registry.CONTENT_FORMAT, uint_bytes(LINK_FORMAT))]
        if asked is not None:
            # A request with Block2 gets one in the response, even when one block holds it all.
            options.append((registry.BLOCK2, uint_bytes(asked & 7 if block2 is None else block2)))
        incoming = endpoint.accept(now)
        if incoming is not None:
            endpoint.respond(incoming, registry.CONTENT, options, _PAGE[start:end])
