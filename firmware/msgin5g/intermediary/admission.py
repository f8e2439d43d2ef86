"""What relay and gateway have in common: whom they listen to, and what they say themselves.

A request is admitted when it is a GET from a linked UE, for itself, with the server as its
Recipient (TS 24.538 6.2.2.1). What is not is discarded and counted under

    not_linked, missing_recipient, foreign_recipient, wrong_ue_uri, not_get
"""

from micropython import const

from msgin5g.coap.block2 import cut
from msgin5g.coap.message import insert, uint_bytes
from msgin5g.coap.numbers import (
    ACCEPT,
    BAD_OPTION,
    BAD_REQUEST,
    BLOCK2,
    CONCISE_PROBLEM_DETAILS,
    CONTENT,
    CONTENT_FORMAT,
    GET,
    HOP_LIMIT,
    LINK_FORMAT,
    MAX_AGE,
    METHOD_NOT_ALLOWED,
    NO_RESPONSE,
    NOT_ACCEPTABLE,
    PROXY_SCHEME,
    PROXY_URI,
    PROXYING_NOT_SUPPORTED,
    URI_PATH,
    URI_QUERY,
)
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.intermediary.link_table import LinkTable
from msgin5g.scm.problem_details import compose
from msgin5g.scm.request import UE_URI, uri_equal

# Unsafe options that a hop understands, as bits: Uri-Host 3, Observe 6, Uri-Port 7, Uri-Path 11,
# Max-Age 14, Uri-Query 15, Block2 23, Block1 27.
_UNDERSTOOD = const(0x0880C8C8)
# Critical options that its own page knows: Uri-Host, Uri-Port, Uri-Path, Uri-Query, Accept 17.
_UNDERSTOOD_HERE = const(0x00028888)


class Hop:
    """A node between UEs and the server, with its endpoint and its table of links.

    own: a ConstrainedUe on the same endpoint for this node's own configuration, or None. A role
    has the verbs that are not here, and `unlinked(peer)`, which forgets what is under way for a
    Link that has ended.
    """

    own = None

    def __init__(self, settings, random, max_exchanges, max_incoming):
        self.counters = {}
        self.endpoint = ServerEndpoint(
            random,
            self.counters,
            settings.parameters,
            settings.peer_key,
            max_exchanges,
            max_incoming,
        )
        self.transmit = self.endpoint.transmit
        self.links = LinkTable(settings.max_links, settings.peer_key)
        self._settings = settings
        self._server_recipient = settings.server_recipient.encode()
        self._recipient_option = settings.recipient_option

    def poll(self):
        """The oldest event of this node's own configuration, or None."""
        return None if self.own is None else self.own.poll()

    def link_up(self, ue_id, transport, remote):
        """A one-to-one link with a UE (bytes) is established; false when the table is full."""
        known = self.links.of_ue(ue_id)
        if known is not None and (known.transport != transport or known.remote != remote):
            self.link_down(ue_id)
        return self.links.up(ue_id, transport, remote)

    def link_down(self, ue_id):
        """The link with a UE has ended: forget all that was under way for it."""
        peer = self.links.down(ue_id)
        if peer is not None:
            self.unlinked(peer)
            self.endpoint.forget_peer(peer.transport, peer.remote)

    def admitted(self, transport, remote, now):
        """The Link of the UE whose request the endpoint holds, None when it is dealt with.

        After that `hop_limit_at` is the index of its Hop-Limit, -1 when it has none.
        """
        endpoint = self.endpoint
        message = endpoint.message
        peer = self.links.from_address(transport, remote)
        if peer is None:
            endpoint.count("not_linked")
            return None
        # Each option is looked at once.
        ue_id = peer.ue_id
        recipient_option = self._recipient_option
        numbers = message.numbers
        recipient_at = hop_limit_at = -1
        n_uris = unknown = 0
        is_own = True
        for i in range(message.n_options):
            number = numbers[i]
            if number == URI_PATH:
                pass
            elif number == URI_QUERY:
                value = message.value(i)
                if value.startswith(UE_URI):
                    n_uris += 1
                    same = value.endswith(ue_id) and len(value) == len(ue_id) + 7
                    if not same and not uri_equal(value[7:], ue_id):
                        is_own = False
            elif number == recipient_option:
                if recipient_at < 0:
                    recipient_at = i
            elif number == HOP_LIMIT:
                if hop_limit_at < 0:
                    hop_limit_at = i
            elif number & 2 and not unknown and not (number < 30 and _UNDERSTOOD >> number & 1):
                if number != NO_RESPONSE:
                    unknown = number
        self.hop_limit_at = hop_limit_at
        if recipient_at < 0:
            self._local(message, peer, now)
            return None
        recipient = message.value(recipient_at)
        server = self._server_recipient
        if recipient != server and not uri_equal(recipient, server):
            endpoint.count("foreign_recipient")
            return None
        if message.code != GET:
            endpoint.count("not_get")
            self.refuse(METHOD_NOT_ALLOWED, "Only GET is relayed", peer, now)
            return None
        if not is_own or n_uris != 1:  # policy of DESIGN decision 4
            endpoint.count("wrong_ue_uri")
            return None
        if unknown:
            code = PROXYING_NOT_SUPPORTED if unknown in (PROXY_URI, PROXY_SCHEME) else BAD_OPTION
            self.refuse(code, "Option not supported", peer, now, option=unknown)
            return None
        return peer

    def not_understood(self, message):
        """The first unsafe option that this hop does not know, 0 when there is none."""
        numbers = message.numbers
        for i in range(message.n_options):
            number = numbers[i]
            # RFC 7252 section 5.4.6: bit 1 says unsafe; 5.7.1: then it may not be passed on.
            if (
                number & 2
                and not (number < 30 and _UNDERSTOOD >> number & 1)
                and number != NO_RESPONSE
                and number != self._recipient_option
            ):
                return number
        return 0

    def _local(self, message, peer, now):
        """A request that names no recipient is for this node itself; all it has is discovery."""
        path = [
            message.value(i) for i in range(message.n_options) if message.numbers[i] == URI_PATH
        ]
        if message.code != GET or path != [b".well-known", b"core"]:
            self.endpoint.count("missing_recipient")
            return
        for i in range(message.n_options):
            number = message.numbers[i]
            if (
                number & 1
                and not (number < 30 and _UNDERSTOOD_HERE >> number & 1)
                and not (number == BLOCK2 and message.ends[i] - message.starts[i] <= 3)
            ):
                self.refuse(BAD_OPTION, "Option not supported", peer, now, option=number)
                return
        if message.uint(ACCEPT, LINK_FORMAT) != LINK_FORMAT:
            self.refuse(NOT_ACCEPTABLE, "Accept", peer, now)
            return
        # RFC 6690: nothing is offered but this page.
        page = b"</.well-known/core>;ct=40"
        options = [(CONTENT_FORMAT, uint_bytes(LINK_FORMAT))]
        block = message.uint(BLOCK2)
        if block is not None:
            part = cut(block, len(page), 6)
            if part is None:
                self.refuse(BAD_REQUEST, "Block2", peer, now)
                return
            start, end, block2 = part
            # The whole page is block 0 of the size that was asked for.
            options.append((BLOCK2, uint_bytes(block & 7 if block2 is None else block2)))
            page = page[start:end]
        incoming = self.endpoint.accept(now)
        if incoming is not None:
            self.endpoint.respond(incoming, CONTENT, options, page)

    def refuse(self, code, title, peer, now, max_age_s=None, option=None):
        """Answer in the server's place, with the Recipient without which a UE would not look."""
        incoming = self.endpoint.accept(now)
        if incoming is None:
            self.endpoint.count("incoming_full")
            return
        self.say(incoming, code, title, peer, max_age_s, option)

    def say(self, incoming, code, title, peer, max_age_s=None, option=None):
        """Answer a request that was accepted, with problem details."""
        endpoint = self.endpoint
        if self._settings.strict_codes:
            endpoint.forget(incoming)  # none of the three codes is the relay's own to give
            return
        options = [(CONTENT_FORMAT, uint_bytes(CONCISE_PROBLEM_DETAILS))]
        if max_age_s is not None:
            options.append((MAX_AGE, uint_bytes(max_age_s)))
        insert(options, self._recipient_option, peer.ue_id)
        payload = compose(code, title, None, option)
        if incoming.acknowledged:
            # The UE has waited long, and may have given up: tell it once.
            endpoint.notify(incoming, code, options, payload, None, None, False)
            incoming.open = False
        else:
            endpoint.respond(incoming, code, options, payload)
