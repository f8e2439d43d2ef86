"""Finds the byte at which a datagram stops being a CoAP message.

The firmware's decoder decides what is wrong. The place follows from it: the longest prefix of the
datagram that the decoder accepts ends just before the wrong byte.
"""

from collections import namedtuple

from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.coap.message import Message, MessageFormatError  # noqa: E402
from msgin5g.coap.text import code_text  # noqa: E402
from msgin5g.coap.numbers import ACK, MAX_MESSAGE_SIZE, RST  # noqa: E402

# position: of the wrong byte. understood: the Message before it, or None.
Fault = namedtuple("Fault", "position reason understood")


def decode(datagram):
    """(Message, None), or (None, Fault)."""
    try:
        return _message(datagram), None
    except MessageFormatError as error:
        word = str(error)
    position, reason = _header(datagram)
    if reason:
        return None, Fault(position, reason, None)
    for size in range(len(datagram) - 1, 3, -1):
        try:
            understood = _message(datagram[:size])
        except MessageFormatError:
            continue
        return None, Fault(size, _option(datagram, size, understood) or word, understood)
    return None, Fault(0, word, None)


def _message(datagram):
    """The Message, with room for all of its options."""
    return Message(len(datagram)).decode(datagram)


def discarded(message):
    """Why our endpoint discards a well-formed message, or None."""
    if message.size > MAX_MESSAGE_SIZE:
        return f"{message.size} bytes: more than {MAX_MESSAGE_SIZE} are discarded"
    if message.code and (message.mtype == RST or (message.mtype == ACK and message.code < 32)):
        # RFC 7252 section 4.2, table 1: combinations that are not used.
        kind = "a Reset with a code" if message.mtype == RST else "a request in an ACK"
        return f"{kind} is discarded"
    return None


def marked(datagram, position):
    """A few bytes around the wrong one, which is in brackets."""
    low, high = max(0, position - 8), position + 9
    words = [f"{byte:02x}" for byte in datagram[low:high]]
    at = position - low
    if at < len(words):
        words[at] = f"[{words[at]}]"
    else:
        words.append("[end]")
    before = "... " if low else ""
    return before + " ".join(words) + (" ..." if high < len(datagram) else "")


def _header(datagram):
    """(position, reason) for the first fault in header and token; (0, None) for none."""
    size = len(datagram)
    if size < 4:
        return size, "the datagram ends within the header of 4 bytes"
    first, code = datagram[0], datagram[1]
    if first >> 6 != 1:
        return 0, f"version {first >> 6}: CoAP is version 1"
    length, start = first & 15, 4
    if length == 15:
        return 0, "token length 15 is reserved"
    if length > 12:
        extra = length - 12
        if size < 4 + extra:
            return size, "the datagram ends within the token length"
        length = int.from_bytes(datagram[4 : 4 + extra], "big") + (13 if extra == 1 else 269)
        start += extra
    if start + length > size:
        return size, f"the token has {size - start} of {_bytes(length)}"
    if code == 0 and size > 4:
        return 4, f"an empty message (0.00) ends with its header: {_bytes(size - 4)} too many"
    if code >> 5 in (1, 6, 7):
        only = ", for signalling over TCP only" if code >> 5 == 7 else ""
        return 1, f"code {code_text(code)}: class {code >> 5} is reserved{only}"
    return 0, None


def _option(datagram, at, understood):
    """Why the option or payload marker that begins at byte `at` is wrong."""
    head = datagram[at]
    if head == 0xFF:
        return "a payload marker without a payload"
    i, fields = at + 1, []
    for name, field in (("delta", head >> 4), ("length", head & 15)):
        if field == 15:
            return f"option {name} 15 is reserved"
        if field > 12:
            extra = field - 12
            if i + extra > len(datagram):
                return f"the datagram ends within an option {name}"
            field = int.from_bytes(datagram[i : i + extra], "big") + (13 if extra == 1 else 269)
            i += extra
        fields.append(field)
    n = understood.n_options
    number = fields[0] + (understood.numbers[n - 1] if n else 0)
    if number > 65535:
        return f"option number {number} is above 65535"
    if i + fields[1] > len(datagram):
        return f"option {number} has {len(datagram) - i} of {_bytes(fields[1])}"
    return None


def _bytes(n):
    return "1 byte" if n == 1 else f"{n} bytes"
