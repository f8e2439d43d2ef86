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
from msgin5g.oscore.context import MAX_ID_SIZE, ProtectionError, additional_blocks

# Figure 5 of RFC 8613 and RFC 8768: Uri-Host, Uri-Port, Hop-Limit, Proxy-Uri, Proxy-Scheme.
_CLASS_U = (3, 7, 16, 35, 39)
_MAX_PARTIAL_IV = const(5)
_OBSERVE_SIZE = const(3)
_KID = const(8)
_KID_CONTEXT = const(16)


class Binding:
    """What binds responses to their request, made of its kid and Partial IV, both bytes.

    context: the SecurityContext. blocks: the additional data of the request and its responses.
    nonce: that of the request, and of a response without a Partial IV of its own. observes: the
    request has Observe, so that its responses have outer code 2.05. answered: there was a
    response, so the next one needs a number of its own. newest: the number of the newest
    notification that has come, -1 after a first response without one, None before.
    """

    answered = False
    newest = None

    def __init__(self, context, kid, partial_iv, observes):
        self.context = context
        self.blocks = additional_blocks(kid, partial_iv)
        self.nonce = context.nonce(kid == context.sender_id, partial_iv)
        self.observes = observes


class Protection:
    """Protects and unprotects with any SecurityContext. recipient_option: its number, class U."""

    def __init__(self, recipient_option):
        self._class_u = _CLASS_U + (recipient_option,)
        self._recipient = (recipient_option,)
        self._ignored = self._class_u + (OSCORE,)
        self._ignored_and_observe = self._ignored + (OBSERVE,)
        self._ccm = AesCcm()

    # What we send

    def protect_request(self, context, code, options, payload):
        """(outer code, outer options, ciphertext, Binding) of a request."""
        partial_iv = shortest(context.sequence.next())
        inner, outer, observes = self._split(options)
        insert(outer, OSCORE, option_value(partial_iv, context.sender_id, context.id_context))
        binding = Binding(context, context.sender_id, partial_iv, observes)
        sealed = self._seal(binding, binding.nonce, code, inner, payload)
        return FETCH if observes else POST, outer, sealed, binding

    def protect_response(self, binding, code, options, payload, fresh=False):
        """(outer code, outer options, ciphertext) of a response to the request of `binding`.

        fresh: with a Partial IV of its own, as each notification, and each further response to
        the same request, must have (section 8.3).
        """
        inner, outer, _ = self._split(options)
        if fresh:
            context = binding.context
            partial_iv = shortest(context.sequence.next())
            value = option_value(partial_iv)
            nonce = context.nonce(True, partial_iv)
        else:
            value = b""
            nonce = binding.nonce
        insert(outer, OSCORE, value)
        sealed = self._seal(binding, nonce, code, inner, payload)
        return CONTENT if binding.observes else CHANGED, outer, sealed

    def _split(self, options):
        """(inner options, outer options, whether there is Observe, which is in both)."""
        inner = []
        outer = []
        observes = False
        class_u = self._class_u
        for option in options:
            if option[0] in class_u:
                outer.append(option)
            else:
                inner.append(option)
                if option[0] == OBSERVE:
                    outer.append(option)
                    observes = True
        return inner, outer, observes

    def _seal(self, binding, nonce, code, options, payload):
        buf = bytearray(size_of(b"", options, payload) + TAG_SIZE)
        # The text is a message without its first three bytes: its code stands in the fourth.
        encode(buf, 0, 0, 0, b"", options, payload)
        buf[3] = code
        view = memoryview(buf)[3:]
        self._ccm.encrypt(binding.context.sender_key, nonce, binding.blocks, view)
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
        # Without the outer Observe an intermediary has removed it: then the inner one goes, too.
        binding = Binding(context, kid, partial_iv, message.find(OBSERVE) >= 0)
        self._open(binding, binding.nonce, message, self._class_u, True)
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
        context = binding.context
        i = message.find(OSCORE)
        partial_iv = None
        if i < 0 or message.ends[i] > message.starts[i]:
            partial_iv, kid, _ = read_option(message.option(OSCORE))
            if kid is not None and kid != context.recipient_id:
                raise ProtectionError("oscore_malformed")
        if partial_iv is None:
            # Only the first response may do without: the nonce is that of the request.
            if binding.newest is not None:
                raise ProtectionError("oscore_no_partial_iv")
            number = None
            nonce = binding.nonce
        else:
            number = int.from_bytes(partial_iv, "big")
            if binding.newest is not None and number <= binding.newest:
                raise ProtectionError("old_notification")
            nonce = context.nonce(False, partial_iv)
        # Nobody has authenticated the options of class U, and a critical one would end the
        # exchange: only the Recipient counts.
        self._open(binding, nonce, message, self._recipient, False)
        if binding.observes:
            i = message.find(OBSERVE)
            if i >= 0:
                start = message.starts[i] = message.size
                message.ends[i] = start + _OBSERVE_SIZE
                newest = number or 0
                message.view[start] = newest >> 16 & 0xFF
                message.view[start + 1] = newest >> 8 & 0xFF
                message.view[start + 2] = newest & 0xFF
        return number

    def _open(self, binding, nonce, message, outside, is_request):
        """Replace a Message by the one that it protects.

        outside: the numbers of the options that are taken from outside of the ciphertext. Their
        values stand behind the payload, and three bytes for Observe before them. Inside neither
        options of class U count, nor Observe if the request is without.
        """
        outer = ()
        room = TAG_SIZE
        numbers = message.numbers
        for i in range(message.n_options):
            if numbers[i] in outside:
                outer += ((numbers[i], message.starts[i], message.ends[i]),)
                room += message.ends[i] - message.starts[i]
        datagram = memoryview(message.view)
        start = message.token_end
        sealed = datagram[message.payload_start : message.size]
        # Header, token, options: the first byte of the text is the code, and its place becomes
        # the last byte of the token again.
        end = start - 1 + len(sealed) - TAG_SIZE
        if end < start:
            raise ProtectionError("oscore_malformed")
        buf = bytearray(end + room)
        view = memoryview(buf)
        text = view[start - 1 : end + TAG_SIZE]
        text[:] = sealed
        if not self._ccm.decrypt(binding.context.recipient_key, nonce, binding.blocks, text):
            raise ProtectionError("oscore_not_authentic")
        code = text[0]
        if not code or (code < 32) != is_request:
            raise ProtectionError("oscore_malformed")
        view[:start] = datagram[:start]
        view[1] = code
        try:
            message.decode(view[:end])
        except MessageFormatError:
            raise ProtectionError("oscore_malformed")
        message.view = view
        ignored = self._ignored if binding.observes else self._ignored_and_observe
        for i in range(message.n_options - 1, -1, -1):
            if numbers[i] in ignored:
                drop_option(message, i)
        end += _OBSERVE_SIZE
        for number, start, stop in outer:
            value = datagram[start:stop]
            start = end
            end += len(value)
            view[start:end] = value
            if not add_option(message, number, start, end):
                raise ProtectionError("oscore_malformed")


def drop_option(message, i):
    """Drop option i of a message that was decoded."""
    message.n_options = n = message.n_options - 1
    while i < n:
        message.numbers[i] = message.numbers[i + 1]
        message.starts[i] = message.starts[i + 1]
        message.ends[i] = message.ends[i + 1]
        i += 1


def add_option(message, number, start, end):
    """Add an option whose value is `view[start:end]`, which may lie behind the payload.

    False when there is no room for it.
    """
    numbers = message.numbers
    i = message.n_options
    if i == len(numbers):
        return False
    while i and numbers[i - 1] > number:
        numbers[i] = numbers[i - 1]
        message.starts[i] = message.starts[i - 1]
        message.ends[i] = message.ends[i - 1]
        i -= 1
    numbers[i] = number
    message.starts[i] = start
    message.ends[i] = end
    message.n_options += 1
    return True


def option_value(partial_iv, kid=None, kid_context=None):
    """The value of the OSCORE option (section 6.1); bytes or None each."""
    flags = n = len(partial_iv)
    i = 1 + n
    size = i + len(kid or b"")
    if kid_context is not None:
        size += 1 + len(kid_context)
    value = bytearray(size)
    value[1:i] = partial_iv
    if kid_context is not None:
        flags |= _KID_CONTEXT
        n = len(kid_context)
        value[i] = n
        value[i + 1 : i + 1 + n] = kid_context
        i += 1 + n
    if kid is not None:
        flags |= _KID
        value[i:] = kid
    value[0] = flags
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
