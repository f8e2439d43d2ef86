"""Protect and unprotect messages (RFC 8613 sections 4 to 8).

    protected   header, POST, FETCH, 2.04 or 2.05 | token | options of class U | FF | ciphertext
    ciphertext  code | options of class E | FF | payload, encrypted; the tag, 8 bytes
    OSCORE      option 9: flags 000hknnn | Partial IV, n bytes | s, kid context | kid

A message that is unprotected has the outer header and token, the inner code and options, and the
outer options of class U. Observe is in both: an intermediary reads the outer one.
"""

from micropython import const

from msgin5g.coap.message import encode, insert, size_of
from msgin5g.coap.numbers import CONTENT, OBSERVE
from msgin5g.oscore.ccm import TAG_SIZE, AesCcm
from msgin5g.oscore.context import MAX_ID_SIZE, additional_data

OSCORE = const(9)

_POST = const(0x02)
_FETCH = const(0x05)
_CHANGED = const(0x44)
# Figure 5 of RFC 8613 and RFC 8768: Uri-Host, Uri-Port, Hop-Limit, Proxy-Uri, Proxy-Scheme.
_CLASS_U = (3, 7, 16, 35, 39)
_MAX_PARTIAL_IV = const(5)
_KID = const(8)
_KID_CONTEXT = const(16)


class ProtectionError(Exception):
    """A message that is not authentic, not fresh, or not protected as it must be.

    The text is the name of the counter for it.
    """


class Binding:
    """What binds responses to their request: kid and Partial IV of the request, both bytes.

    observes: the request has Observe, so that its responses have outer code 2.05.
    """

    def __init__(self, kid, partial_iv, observes):
        self.kid = kid
        self.partial_iv = partial_iv
        self.observes = observes


class Protection:
    """Protects and unprotects with any SecurityContext. recipient_option: its number, class U."""

    def __init__(self, recipient_option):
        self._recipient_option = recipient_option
        self._ccm = AesCcm()

    def is_outer(self, number):
        """Whether an option is of class U."""
        return number in _CLASS_U or number == self._recipient_option

    # What we send

    def protect_request(self, context, code, options, payload):
        """(outer code, outer options, ciphertext, Binding) of a request."""
        partial_iv = shortest(context.sequence.next())
        inner, outer = self._split(options)
        observes = False
        for number, value in options:
            if number == OBSERVE:
                observes = True
                insert(outer, OBSERVE, value)
        binding = Binding(context.sender_id, partial_iv, observes)
        value = option_value(partial_iv, context.sender_id, context.id_context)
        insert(outer, OSCORE, value)
        sealed = self._seal(context, binding, True, partial_iv, code, inner, payload)
        return _FETCH if observes else _POST, outer, sealed, binding

    def protect_response(self, context, binding, code, options, payload, fresh=False):
        """(outer code, outer options, ciphertext) of a response to the request of `binding`.

        fresh: with a Partial IV of its own, as each notification, and each further response to
        the same request, must have (section 8.3).
        """
        inner, outer = self._split(options)
        partial_iv = binding.partial_iv
        value = b""
        if fresh:
            partial_iv = shortest(context.sequence.next())
            value = option_value(partial_iv)
        for number, observe in options:
            if number == OBSERVE:
                insert(outer, OBSERVE, observe)
        insert(outer, OSCORE, value)
        sealed = self._seal(context, binding, fresh, partial_iv, code, inner, payload)
        return CONTENT if binding.observes else _CHANGED, outer, sealed

    def _split(self, options):
        """(options of class E, options of class U)."""
        inner = []
        outer = []
        for option in options:
            (outer if self.is_outer(option[0]) else inner).append(option)
        return inner, outer

    def _seal(self, context, binding, is_ours, partial_iv, code, options, payload):
        buf = bytearray(size_of(b"", options, payload) + TAG_SIZE)
        # The text is a message without its first three bytes: its code stands in the fourth.
        encode(buf, 0, 0, 0, b"", options, payload)
        buf[3] = code
        view = memoryview(buf)[3:]
        nonce = context.nonce(is_ours, partial_iv)
        aad = additional_data(binding.kid, binding.partial_iv)
        self._ccm.encrypt(context.sender_key, nonce, aad, view)
        return view

    # What has come

    def unprotect_request(self, context, message):
        """(the datagram that `message` protects, its Binding); ProtectionError.

        The datagram lacks the outer options of class U.
        """
        partial_iv, kid, _ = read_option(message.option(OSCORE))
        if partial_iv is None or kid != context.recipient_id:
            raise ProtectionError("oscore_malformed")
        number = int.from_bytes(partial_iv, "big")
        if not context.window.may_come(number):
            raise ProtectionError("oscore_replay")
        binding = Binding(kid, partial_iv, message.find(OBSERVE) >= 0)
        datagram = self._open(context, binding, False, partial_iv, message)
        context.window.came(number)
        return datagram, binding

    def unprotect_response(self, context, binding, message):
        """(the datagram that `message` protects, its Partial IV as a number); ProtectionError.

        The number is None without a Partial IV of its own. The datagram lacks the outer options of
        class U. Whether the number is newer than others is for the caller: only notifications
        have an order (section 7.4.1).
        """
        partial_iv, kid, _ = read_option(message.option(OSCORE))
        if kid is not None and kid != context.recipient_id:
            raise ProtectionError("oscore_malformed")
        number = None
        is_ours = partial_iv is None
        if is_ours:
            partial_iv = binding.partial_iv
        else:
            number = int.from_bytes(partial_iv, "big")
        return self._open(context, binding, is_ours, partial_iv, message), number

    def _open(self, context, binding, is_ours, partial_iv, message):
        start = message.token_end
        sealed = memoryview(message.view)[message.payload_start : message.size]
        size = len(sealed) - TAG_SIZE
        if size < 1:
            raise ProtectionError("oscore_malformed")
        # Header, token, options: the first byte of the text is the code, and its place becomes
        # the last byte of the token again.
        buf = bytearray(start - 1 + len(sealed))
        view = memoryview(buf)
        view[start - 1 :] = sealed
        nonce = context.nonce(is_ours, partial_iv)
        aad = additional_data(binding.kid, binding.partial_iv)
        if not self._ccm.decrypt(context.recipient_key, nonce, aad, view[start - 1 :]):
            raise ProtectionError("oscore_not_authentic")
        code = buf[start - 1]
        view[:start] = memoryview(message.view)[:start]
        buf[1] = code
        return view[: start - 1 + size]


def option_value(partial_iv, kid=None, kid_context=None):
    """The value of the OSCORE option (section 6.1); bytes or None each."""
    flags = len(partial_iv)
    value = partial_iv
    if kid_context is not None:
        flags |= _KID_CONTEXT
        value += bytes((len(kid_context),)) + kid_context
    if kid is not None:
        flags |= _KID
        value += kid
    return bytes((flags,)) + value


def read_option(value):
    """(Partial IV, kid, kid context) of an OSCORE option, None each that it lacks."""
    if value is None:
        raise ProtectionError("oscore_missing")
    if not value:
        return None, None, None
    flags = value[0]
    n = flags & 7
    i = 1 + n
    if flags >> 5 or n > _MAX_PARTIAL_IV or not flags or i > len(value):
        raise ProtectionError("oscore_malformed")
    partial_iv = value[1:i] if n else None
    kid_context = kid = None
    if flags & _KID_CONTEXT:
        if i >= len(value) or i + 1 + value[i] > len(value):
            raise ProtectionError("oscore_malformed")
        kid_context = value[i + 1 : i + 1 + value[i]]
        i += 1 + value[i]
    if flags & _KID:
        kid = value[i:]
        if len(kid) > MAX_ID_SIZE:
            raise ProtectionError("oscore_malformed")
    elif i < len(value):
        raise ProtectionError("oscore_malformed")
    return partial_iv, kid, kid_context


def shortest(number):
    """A sequence number as Partial IV: at least one byte, without leading zeros (section 6.1)."""
    size = 1
    rest = number >> 8
    while rest:
        size += 1
        rest >>= 8
    return number.to_bytes(size, "big")
