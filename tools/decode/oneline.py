"""A datagram in one line: what it is, for which UE, and what its payload is."""

from msgin5g_tools.decode.faults import decode, discarded
from msgin5g_tools.decode.names import TYPES, code_name
from msgin5g_tools.decode.payload import UNFOLDED, payload_lines
from msgin5g_tools.decode.values import text_of
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.coap.text import code_text  # noqa: E402
from msgin5g.coap.numbers import (  # noqa: E402
    BLOCK2,
    CONTENT_FORMAT,
    OBSERVE,
    URI_PATH,
    URI_QUERY,
)

_CODE_SIZE = 14
_DETAIL = '  "detail": '


def one_line(datagram, registry):
    """(line, code as "4.04" or None, fault or None) of a datagram (bytes)."""
    message, fault = decode(datagram)
    size = "1 byte" if len(datagram) == 1 else f"{len(datagram)} bytes"
    if message is None:
        return f"{size}, not CoAP", None, f"byte {fault.position}: {fault.reason}"
    code = code_text(message.code)
    words = [f"{TYPES[message.mtype]} {code_name(code):<{_CODE_SIZE}} 0x{message.mid:04x}"]
    if message.code:
        words.append(message.token().hex() or "no token")
        words += _options(message, registry)
    words.append(size + _payload(message, code, registry))
    return "  ".join(words), code, discarded(message)


def _options(message, registry):
    """The parts of a request's URI that differ, Observe, Block2 and Recipient."""
    values = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
    path = [value for number, value in values if number == URI_PATH]
    queries = [text_of(value) for number, value in values if number == URI_QUERY]
    if path:
        # The beginning is the same in a deployment.
        shown = text_of(path[-1])
        yield shown + ("?" + "&".join(queries) if queries else "")
    observe = message.uint(OBSERVE)
    if observe is not None:
        yield f"Observe {observe}"
    block = message.uint(BLOCK2)
    if block is not None and (block >> 4 or block & 8):
        yield f"block {block >> 4}" + ("" if block & 8 else ", the last")
    for number, value in values:
        if number == registry.recipient_option:
            yield f"Recipient {text_of(value)}"


def _payload(message, code, registry):
    payload = message.payload()
    if not payload:
        return ""
    block = message.uint(BLOCK2)
    if block is not None and (block >> 4 or block & 8):
        return ""
    what, lines = payload_lines(payload, code, message.uint(CONTENT_FORMAT), registry)
    if what == "text" and len(lines) == 1:
        return f": {lines[0]}"
    for line in lines if what.startswith("problem details") else ():
        if line.startswith(_DETAIL):
            return ": " + line[len(_DETAIL) :].rstrip(",").strip('"')
    return ": " + what.replace(f", {UNFOLDED}", "")
