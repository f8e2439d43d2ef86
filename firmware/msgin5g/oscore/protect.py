"""Protect and unprotect messages (RFC 8613 sections 4 to 8).

    protected   header, POST, FETCH, 2.04 or 2.05 | token | options of class U | FF | ciphertext
    ciphertext  code | options of class E | FF | payload, encrypted; the tag, 8 bytes
    OSCORE      option 9: flags 000hknnn | Partial IV, n bytes | s, kid context | kid

A message that is unprotected has the outer header and token, the inner code and options, and the
outer options of class U. Observe is in both: an intermediary reads the outer one.
"""

from micropython import const

from msgin5g.coap.message import MessageFormatError, encode, insert, size_of
from msgin5g.coap.numbers import CHANGED, CONTENT, FETCH, OBSERVE, OSCORE, POST
from msgin5g.oscore.ccm import TAG_SIZE, AesCcm
from msgin5g.oscore.context import MAX_ID_SIZE, ProtectionError, additional_data

# Figure 5 of RFC 8613 and RFC 8768: Uri-Host, Uri-Port, Hop-Limit, Proxy-Uri, Proxy-Scheme.
_CLASS_U = (3, 7, 16, 35, 39)
_MAX_PARTIAL_IV = const(5)
_OBSERVE_SIZE = const(3)
_KID = const(8)
_KID_CONTEXT = const(16)


class Binding:
    """What binds responses to their request: kid and Partial IV of the request, both bytes.

    context: the SecurityContext. aad: the additional data of the request and of its responses.
    observes: the request has Observe, so that its responses have outer code 2.05. answered: there
    was a response, so the next one needs a number of its own. newest: the number of the newest
    notification that has come, -1 after a first response without one, None before.
    """

    answered = False
    newest = None

    def __init__(self, context, kid, partial_iv, observes):
        self.context = context
        self.aad = additional_data(kid, partial_iv)
        self.kid = kid
        self.partial_iv = partial_iv
        self.observes = observes


class Protection:
    """Protects and unprotects with any SecurityContext. recipient_option: its number, class U."""

    def __init__(self, recipient_option):
        self._recipient_option = recipient_option
        self._ccm = AesCcm()

    # What we send

    def protect_request(self, context, code, options, payload):
        """(outer code, outer options, ciphertext, Binding) of a request."""
        partial_iv = shortest(context.sequence.next())
        inner, outer = self._split(options)
        observes = False
        for option in options:
            if option[0] == OBSERVE:
                observes = True
                insert(outer, OBSERVE, option[1])
        binding = Binding(context, context.sender_id, partial_iv, observes)
        value = option_value(partial_iv, context.sender_id, context.id_context)
        insert(outer, OSCORE, value)
        sealed = self._seal(context, binding, True, partial_iv, code, inner, payload)
        return FETCH if observes else POST, outer, sealed, binding

    def protect_response(self, binding, code, options, payload, fresh=False):
        """(outer code, outer options, ciphertext) of a response to the request of `binding`.

        fresh: with a Partial IV of its own, as each notification, and each further response to
        the same request, must have (section 8.3).
        """
        context = binding.context
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
        return CONTENT if binding.observes else CHANGED, outer, sealed

    def _split(self, options):
        """(options of class E, options of class U)."""
        inner = []
        outer = []
        recipient_option = self._recipient_option
        for option in options:
            number = option[0]
            is_outer = number == recipient_option or number in _CLASS_U
            (outer if is_outer else inner).append(option)
        return inner, outer

    def _seal(self, context, binding, is_ours, partial_iv, code, options, payload):
        buf = bytearray(size_of(b"", options, payload) + TAG_SIZE)
        # The text is a message without its first three bytes: its code stands in the fourth.
        encode(buf, 0, 0, 0, b"", options, payload)
        buf[3] = code
        view = memoryview(buf)[3:]
        nonce = context.nonce(is_ours, partial_iv)
        self._ccm.encrypt(context.sender_key, nonce, binding.aad, view)
        return view

    # What has come

    def unprotect_request(self, context, message):
        """Replace a Message by the one that it protects; gives (Binding, number).

        The number is noted in the window by whoever takes the message: `context.window.came`.
        """
        partial_iv, kid, _ = read_option(message.option(OSCORE))
        if partial_iv is None or kid != context.recipient_id:
            raise ProtectionError("oscore_malformed")
        number = int.from_bytes(partial_iv, "big")
        if not context.window.may_come(number):
            raise ProtectionError("oscore_replay")
        binding = Binding(context, kid, partial_iv, message.find(OBSERVE) >= 0)
        self._open(binding, False, partial_iv, message, True)
        i = message.find(OBSERVE)
        if i >= 0 and not binding.observes:
            message.drop_option(i)  # an intermediary has removed the outer one
        return binding, number

    def unprotect_response(self, binding, message):
        """Replace a Message by the one that it protects; gives its Partial IV as a number.

        The number is None without a Partial IV of its own. The Message has the Observe option
        only if it is the first response or a notification: then that is the low 24 bits of the
        number (section 4.1.3.5.2). The ProtectionError `old_notification` means that it is not
        newer than all before it.
        """
        if message.code != CONTENT and message.code != CHANGED:
            raise ProtectionError("oscore_malformed")  # section 4.2: no others are protected
        partial_iv, kid, _ = read_option(message.option(OSCORE))
        if kid is not None and kid != binding.context.recipient_id:
            raise ProtectionError("oscore_malformed")
        number = None
        is_ours = partial_iv is None
        if is_ours:
            # Only the first response may do without: the nonce is that of the request.
            if binding.newest is not None:
                raise ProtectionError("oscore_no_partial_iv")
            partial_iv = binding.partial_iv
        else:
            number = int.from_bytes(partial_iv, "big")
            if binding.newest is not None and number <= binding.newest:
                raise ProtectionError("old_notification")
        self._open(binding, is_ours, partial_iv, message, False)
        i = message.find(OBSERVE)
        if i >= 0:
            if binding.observes:
                message.starts[i] = message.size
                message.ends[i] = message.size + _OBSERVE_SIZE
                view = message.view
                for n in range(_OBSERVE_SIZE):
                    view[message.size + n] = (number or 0) >> (8 * (_OBSERVE_SIZE - 1 - n)) & 0xFF
            else:
                message.drop_option(i)
        return number

    def _open(self, binding, is_ours, partial_iv, message, is_request):
        """Replace a Message by the one that it protects.

        The values of options that lie outside of the ciphertext stand behind the payload: Observe
        first, then those of class U that the message has outside. A response has only the
        Recipient there: nobody has authenticated the others, and a critical one would end the
        exchange.
        """
        context = binding.context
        outer = []
        room = _OBSERVE_SIZE
        recipient_option = self._recipient_option
        numbers = message.numbers
        for i in range(message.n_options):
            number = numbers[i]
            if number == recipient_option or (is_request and number in _CLASS_U):
                value = message.value(i)
                outer.append((number, value))
                room += len(value)
        start = message.token_end
        sealed = memoryview(message.view)[message.payload_start : message.size]
        size = len(sealed) - TAG_SIZE
        if size < 1:
            raise ProtectionError("oscore_malformed")
        # Header, token, options: the first byte of the text is the code, and its place becomes
        # the last byte of the token again.
        buf = bytearray(start - 1 + size + max(TAG_SIZE, room))
        view = memoryview(buf)
        text = view[start - 1 : start - 1 + len(sealed)]
        text[:] = sealed
        nonce = context.nonce(is_ours, partial_iv)
        if not self._ccm.decrypt(context.recipient_key, nonce, binding.aad, text):
            raise ProtectionError("oscore_not_authentic")
        code = buf[start - 1]
        view[:start] = memoryview(message.view)[:start]
        buf[1] = code
        end = start - 1 + size
        if not code or (code < 32) != is_request:
            raise ProtectionError("oscore_malformed")
        try:
            message.decode(view[:end])
        except MessageFormatError:
            raise ProtectionError("oscore_malformed")
        message.view = view
        for i in range(message.n_options - 1, -1, -1):
            number = numbers[i]
            if number == recipient_option or number == OSCORE or number in _CLASS_U:
                message.drop_option(i)  # what is of class U counts outside only
        end += _OBSERVE_SIZE
        for number, value in outer:
            start = end
            end += len(value)
            view[start:end] = value
            if not message.add_option(number, start, end):
                raise ProtectionError("oscore_malformed")


def option_value(partial_iv, kid=None, kid_context=None):
    """The value of the OSCORE option (section 6.1); bytes or None each."""
    flags = n = len(partial_iv)
    tail = kid or b""
    if kid is not None:
        flags |= _KID
    if kid_context is not None:
        flags |= _KID_CONTEXT
        tail = bytes((len(kid_context),)) + kid_context + tail
    value = bytearray(1 + n + len(tail))
    value[0] = flags
    value[1 : 1 + n] = partial_iv
    value[1 + n :] = tail
    return value


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
