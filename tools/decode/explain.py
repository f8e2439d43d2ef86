"""One datagram explained in lines of text."""

from collections import namedtuple

from msgin5g_tools.decode.faults import decode, discarded, marked
from msgin5g_tools.decode.names import TYPES, code_name
from msgin5g_tools.decode.payload import payload_lines, piece_lines
from msgin5g_tools.decode.values import value_text
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.coap.text import code_text  # noqa: E402
from msgin5g.coap.numbers import BLOCK2, CONTENT_FORMAT  # noqa: E402

# heading: one line. lines: the options and the payload. fault: one line, or None.
Explanation = namedtuple("Explanation", "heading lines fault")

_HEADER = "  "
_INNER = "      "


def explain(datagram, registry):
    """An Explanation of a datagram (bytes); registry: names.Registry."""
    message, fault = decode(datagram)
    size = "1 byte" if len(datagram) == 1 else f"{len(datagram)} bytes"
    if fault is None:
        return Explanation(
            f"{_first_line(message)}, {size}",
            _option_lines(message, registry) + _payload_lines(message, registry),
            discarded(message),
        )
    heading, lines = f"{size}, not a CoAP message", []
    if fault.understood is not None:
        heading = f"{_first_line(fault.understood)}, {size}, malformed"
        lines = _option_lines(fault.understood, registry)
    if datagram:
        lines.append(_HEADER + marked(datagram, fault.position))
    return Explanation(heading, lines, f"byte {fault.position}: {fault.reason}")


def _first_line(message):
    code = code_text(message.code)
    name = code_name(code)
    if not name.startswith(code):
        name += f" ({code})"
    token = message.token().hex()
    words = f"{TYPES[message.mtype]} {name}, MID 0x{message.mid:04x}"
    if message.code == 0:
        return words
    return f"{words}, token {token}" if token else f"{words}, no token"


def _option_lines(message, registry):
    lines = []
    is_request = message.code < 32
    for i in range(message.n_options):
        number = message.numbers[i]
        known = registry.option(number)
        name = known[0] if known else "unknown"
        text = value_text(number, message.value(i), registry, is_request)
        lines.append(f"{_HEADER}{number:>5} {name:<15} {text}".rstrip())
    return lines


def _payload_lines(message, registry):
    payload = message.payload()
    if not payload:
        return []
    block = message.uint(BLOCK2)
    if block is not None and (block >> 4 or block & 8):
        what, lines = piece_lines(payload, block >> 4, block & 8)
    else:
        content_format = message.uint(CONTENT_FORMAT)
        what, lines = payload_lines(payload, code_text(message.code), content_format, registry)
    heading = f"{_HEADER}payload, {len(payload)} bytes: {what}"
    return [heading, *(_INNER + line for line in lines)]
