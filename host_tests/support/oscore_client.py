"""A client of the configuration server with aiocoap's OSCORE, on the socket of scm_setup."""

import itertools

from aiocoap import Message
from aiocoap.numbers import codes
from aiocoap.numbers.optionnumbers import OptionNumber
from scm_setup import COLLECTION, CON, RECIPIENT, TIMEOUT_S
from oscore_peer import PeerContext, decoded

from msgin5g_tools.scm_server.security import read_option

_mids = itertools.count(0x4000)


class _Peer(PeerContext):
    """plaintext: what the next request protects, None for the request."""

    plaintext = None

    def _split_message(self, message, request_id):
        outer, plaintext = super()._split_message(message, request_id)
        return outer, plaintext if self.plaintext is None else self.plaintext


class KeyHolder:
    """Asks with the key of a contexts.Context. client: a scm_setup.Client.

    `partial_ivs`: of the server, in the order in which they came. `outer`: the last message that
    has come, as it came; `datagram`: its bytes.
    """

    def __init__(self, client, context, first=0):
        self.client = client
        self.peer = _Peer(
            context.secret,
            context.kid,
            context.server_id,
            first,
            context.salt,
            context.id_context,
        )
        self.partial_ivs = []
        self.datagram = self.outer = None

    def protect(self, code=codes.GET, path=COLLECTION, query=(), token=b"tokn", **more):
        """(the datagram of a request, what its responses are unprotected with).

        recipient: text, outside; inner_recipient: bytes, inside.
        """
        recipient = more.pop("recipient", None)
        inner_recipient = more.pop("inner_recipient", None)
        change = more.pop("change", lambda outer: None)
        request = Message(code=code, uri_path=path.split("/"), uri_query=query, **more)
        if inner_recipient is not None:
            _add_recipient(request, inner_recipient)
        outer, identifiers = self.peer.protect(request)
        outer.token, outer.mid, outer.mtype = token, next(_mids) & 0xFFFF, CON
        if recipient is not None:
            _add_recipient(outer, recipient.encode())
        change(outer)
        return outer.encode(), identifiers

    def ask(self, *what, **more):
        """The response, unprotected if it is protected; an Echo is sent back once."""
        answer, identifiers = self.ask_once(*what, **more)
        if answer.code == codes.UNAUTHORIZED and answer.opt.echo and self.outer.opt.oscore:
            answer, identifiers = self.ask_once(*what, **more, echo=answer.opt.echo)
        self.identifiers = identifiers
        return answer

    def ask_once(self, *what, **more):
        datagram, identifiers = self.protect(*what, **more)
        self.client.send(datagram)
        return self.receive(identifiers), identifiers

    def receive(self, identifiers, timeout_s=TIMEOUT_S):
        """The next message, unprotected if it is protected; TimeoutError without one."""
        self.datagram = self.client.receive_datagram(timeout_s)
        self.outer = outer = decoded(self.datagram)
        if outer.opt.oscore is None:
            return outer
        partial_iv, _, _ = read_option(outer.opt.oscore)
        self.partial_ivs.append(partial_iv)
        return self.peer.unprotect(outer, identifiers)[0]

    @property
    def recipient(self):
        """The outer Recipient of the last message, None without one."""
        values = recipients(self.outer)
        assert len(values) <= 1
        return values[0].decode() if values else None


def recipients(message):
    return [option.encode() for option in message.opt.get_option(OptionNumber(RECIPIENT))]


def _add_recipient(message, value):
    message.opt.add_option(OptionNumber(RECIPIENT).create_option(decode=value))
