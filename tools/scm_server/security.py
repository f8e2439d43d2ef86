"""OSCORE on the side of the server (RFC 8613 sections 8.2 to 8.4): a layer before the site.

A request becomes the one that it protects; its `protection` says who has sent it, and protects the
responses. The outer Recipient counts, an inner one is ignored, and responses have theirs outside.

Several processes may use one database, and a relay chooses which of them gets a message. So

- a response always has a sequence number of the server, from those that this process has reserved,
  never the nonce of its request: what comes twice is answered with two nonces;
- one process at a time takes requests under a context: the last one that has seen a request which
  is newer than all before it. It asks for that with 4.01 and an Echo that only this process knows
  (appendix B.1.2), also after its start. Then it takes each number once. The observations at
  another process end;
- who holds a context is written without waiting for the disk. A loss of power that takes it ends
  all servers on that machine, and all connections to its PostgreSQL: then each begins anew;
- an administrator's numbers are in the database, too: a change is never made twice.
"""

from collections import OrderedDict, namedtuple
from functools import partial

from aiocoap import error
from aiocoap.numbers import codes
from aiocoap.numbers.optionnumbers import OptionNumber

from msgin5g_tools.scm_server import options
from msgin5g_tools.scm_server.coap_message import LongTokenMessage
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, MAX_ID_SIZE, UE, Contexts
from msgin5g_tools.scm_server.identity import normal_uri
from msgin5g_tools.scm_server.problem import DatabaseUnavailable, Problem

# What a protected message has more than a plain one: the OSCORE option 8, the code 1, a second
# Observe 1 and payload marker 1, a longer option number of the Recipient 1, the tag 8.
OVERHEAD = 20
SUPPRESS_ALL = 26  # RFC 7967: the bits of all classes

_MAX_CONTEXTS = 65_536  # in memory, 2 KB each: the one that was not used for longest is dropped
_MAX_PARTIAL_IV = 5
_KID, _KID_CONTEXT = 8, 16

# name: in its normal form. number: of the row, None for the directory of an administrator.
Owner = namedtuple("Owner", "kind name spelling number")


def owner_of(request):
    """The Owner of the key that protects a request; None when nothing does."""
    protection = getattr(request, "protection", None)
    return protection and protection.owner


class Replayed(Exception):
    """A request that has been answered before: nothing is sent."""


class Challenge(Exception):
    """A request may be old: `request` is to be repeated with this `echo`."""

    def __init__(self, request, echo):
        super().__init__()
        self.request = request
        self.echo = echo


class Answered(Exception):
    """A request has its response, protected already: `message`."""

    def __init__(self, message):
        super().__init__()
        self.message = message


class Protection:
    """Who has sent a request, and how its responses are protected.

    owner: an Owner. wire_size: of the protected request, in bytes.
    """

    __slots__ = ("_context", "_identifiers", "_recipient_option", "owner", "wire_size")

    def __init__(self, context, identifiers, recipient_option, owner, wire_size):
        self._context = context
        self._identifiers = identifiers
        self._recipient_option = OptionNumber(recipient_option)
        self.owner = owner
        self.wire_size = wire_size

    def is_held(self, row):
        """Whether this process still takes the requests under a contexts.Context."""
        return row.holder == self._context.label

    def recipient(self, uri):
        """The Recipient of a response to a request for this UE, or for None.

        A UE gets each answer as its own, also that it may not ask for another one.
        """
        if self.owner.kind == UE and (uri is None or normal_uri(uri) != self.owner.name):
            return self.owner.spelling
        return uri

    def protect(self, message):
        """The protected message of a response, which is changed.

        An error of the database, or Problem 4.01, when there is no sequence number for it.
        """
        opt = message.opt
        recipients = opt.get_option(self._recipient_option)
        opt.delete_option(self._recipient_option)
        observe, no_response, opt.no_response = opt.observe, opt.no_response or 0, None
        if observe is not None:
            opt.observe = 0  # section 4.1.3.5.2: empty
        protected, _ = self._context.protect(message, self._identifiers)
        outer = LongTokenMessage(code=protected.code, payload=protected.payload)
        outer.transport_tuning = message.transport_tuning
        outer.opt.oscore = protected.opt.oscore
        outer.opt.observe = observe
        for option in recipients:
            outer.opt.add_option(option)
        if no_response & 1 << message.code.class_ - 1:
            outer.opt.no_response = SUPPRESS_ALL
        return outer


class Security:
    """`unprotect` requests, with the contexts of a Store and the directory of an Administrator.

    verifier: an echo.Verifier.
    """

    def __init__(self, store, recipient_option, verifier):
        self.administrator = None
        self._contexts = Contexts(store)
        self._recipient_option = recipient_option
        self._verifier = verifier
        self._is_used = False
        self._kept = OrderedDict()  # number -> ServerContext, the least recently used first
        self._reserved = OrderedDict()  # number -> sequence number, for contexts not kept yet
        self._store = store
        self._n_connections = store.n_connections

    @property
    def is_used(self):
        """Whether there is any key; else OSCORE is an option that is not understood."""
        self._is_used = self._is_used or not self._contexts.is_empty()
        return self._is_used or self.administrator is not None

    def row(self, number):
        """The Context of this number if it works now, else None."""
        return self._contexts.find_number(number)

    def first_foreign(self, gateway, uris):
        """The first of these UEs that is not one of a gateway, or None."""
        return self._contexts.first_foreign(gateway, uris)

    def note_service_ids(self, entries):
        """Record that UEs were given UE Service IDs (TS 33.501 Y.2), see Contexts."""
        self._contexts.note_service_ids(entries)

    def unprotect(self, request):
        """The request that it protects, with a `protection`.

        Problem 4.00, 4.01, 4.02 or 4.05: a response that is not protected. Challenge, Replayed,
        Answered. An error of the database.
        """
        partial_iv, kid, kid_context = read_option(request.opt.oscore)
        if request.code not in (codes.POST, codes.FETCH):
            raise Problem(codes.METHOD_NOT_ALLOWED, "a protected request is POST or FETCH")
        if partial_iv is None or kid is None:
            raise _malformed()
        self._check_outer(request)
        row = self._contexts.find(kid, kid_context)
        if row is not None:
            request.recipient = row.spelling if row.kind == UE else None
            opened = self._open(row, request, int.from_bytes(partial_iv, "big"))
            if opened:
                return opened
        if self.administrator and kid == self.administrator.kid:
            return self._open_administrators(request)
        if row is None:
            raise Problem(codes.UNAUTHORIZED, "Security context not found", max_age=0)
        raise Problem(codes.BAD_REQUEST, "Decryption failed", max_age=0)

    def _check_outer(self, request):
        """Problem 4.02, 4.05 for what is outside and cannot be ignored."""
        opt = request.opt
        if opt.proxy_uri is not None or opt.proxy_scheme is not None:
            raise Problem(codes.PROXYING_NOT_SUPPORTED, "this server is not a proxy")
        unknown = [
            number
            for number in options.unprocessed(request, self._recipient_option)
            if number != OptionNumber.OSCORE
        ]
        # An intermediary that cuts what it cannot read: the ends use blocks of their own.
        if opt.block1 is not None:
            unknown.append(int(OptionNumber.BLOCK1))
        if opt.block2 is not None and opt.block2.block_number:
            unknown.append(int(OptionNumber.BLOCK2))
        if unknown:
            numbers = ", ".join(map(str, unknown))
            raise Problem(codes.BAD_OPTION, f"option {numbers} outside of OSCORE", unknown)

    def _open(self, row, request, number):
        """The request; None when it is not authentic."""
        if self._n_connections != self._store.n_connections:
            # The database may have lost who holds a context: then nobody does.
            self._n_connections = self._store.n_connections
            self._kept.clear()
        context = self._kept.get(row.number)
        if context is None:
            context = self._new_context(row)
        is_held = row.holder == context.label
        if is_held and row.kind != ADMINISTRATOR and not context.may_come(number):
            raise Replayed
        opened = context.open(request)
        if opened is None:
            return None
        self._keep(row.number, context)
        context.require_number()  # before anything is done for this request
        owner = Owner(row.kind, row.owner, row.spelling, row.number)
        inner = self._inner(request, *opened, context, owner)
        self._check_fresh(row, context, inner, number)
        if row.kind == ADMINISTRATOR and not self._contexts.came(row.number, number):
            raise Replayed
        return inner

    def _check_fresh(self, row, context, inner, number):
        """Challenge until a request has shown that it is newer than what others have taken."""
        if row.holder == context.label:
            if not context.may_come(number):
                raise Replayed
            context.came(number)
            self._note_use(row)
            return
        endpoint = inner.remote.hostinfo
        name = f"{endpoint} {context.label}"
        if not self._verifier.is_genuine(name, inner.opt.echo):
            raise Challenge(inner, self._verifier.value(name))
        self._verifier.add(endpoint)
        self._contexts.hold(row.number, context.label)
        context.start_window(number)

    def _note_use(self, row):
        try:
            self._contexts.note_use(row)
        except DatabaseUnavailable:
            pass  # the database is busy: the next request will do

    def _open_administrators(self, request):
        try:
            opened = self.administrator.unprotect(request)
        except error.RenderableError as raised:
            raise Answered(raised.to_message()) from None
        if opened is None:
            raise Replayed
        owner = Owner(ADMINISTRATOR, "administrator", "administrator", None)
        return self._inner(request, *opened, self.administrator.context, owner)

    def _inner(self, request, inner, identifiers, context, owner):
        inner.remote, inner.token, inner.mtype = request.remote, request.token, request.mtype
        inner.manager = getattr(request, "manager", None)
        number = OptionNumber(self._recipient_option)
        inner.opt.delete_option(number)
        for option in request.opt.get_option(number):
            inner.opt.add_option(option)
        size = 4 + len(request.token) + len(request.opt.encode()) + 1 + len(request.payload)
        inner.protection = Protection(
            context, identifiers, self._recipient_option, owner, size
        )  # fmt: skip
        return inner

    def _new_context(self, row):
        # Only here: the cryptography takes 7 MB.
        from msgin5g_tools.scm_server.oscore_context import ServerContext

        return ServerContext(row, partial(self._reserve, row.number))

    def _reserve(self, number, count, skipped):
        """See Contexts.reserve. After a start many contexts begin: they reserve together."""
        if not skipped:
            return self._contexts.reserve(number, count)
        first = self._reserved.pop(number, None)
        if first is None:
            self._reserved.update(self._contexts.reserve_near(number, count, skipped))
            first = self._reserved.pop(number, None)
            while len(self._reserved) > _MAX_CONTEXTS:
                self._reserved.popitem(last=False)
        return first

    def _keep(self, number, context):
        """Keep a context that has proved to be used by its owner."""
        self._kept[number] = context
        self._kept.move_to_end(number)
        if len(self._kept) > _MAX_CONTEXTS:
            self._kept.popitem(last=False)


def read_option(value):
    """(Partial IV, kid, kid context) of an OSCORE option (section 6.1), None each that it lacks.

    Problem 4.02 when it has not its form.
    """
    if not value:
        return None, None, None
    flags, i = value[0], 1
    size = flags & 7
    if flags >> 5 or not flags or size > _MAX_PARTIAL_IV or len(value) < i + size:
        raise _malformed()
    partial_iv = value[i : i + size] if size else None
    i += size
    kid = kid_context = None
    if flags & _KID_CONTEXT:
        end = i + 1 + (value[i] if i < len(value) else 0)
        if end > len(value):
            raise _malformed()
        kid_context = value[i + 1 : end]
        i = end
    if flags & _KID:
        kid = value[i:]
    if len(kid or b"") > MAX_ID_SIZE or (kid is None and i < len(value)):
        raise _malformed()
    return partial_iv, kid, kid_context


def _malformed():
    return Problem(codes.BAD_OPTION, "Failed to decode COSE", max_age=0)
