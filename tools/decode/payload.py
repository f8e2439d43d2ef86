"""Payloads as text: UeConfigDoc, concise problem details, JSON, text, else bytes in hex."""

import io
import json

import cbor2

from msgin5g_tools.decode import names
from msgin5g_tools.text import printable

UNFOLDED = "configData unfolded"
_MAX_DEPTH = 32
_PROBLEM_KEYS = {
    -1: "title",
    -2: "detail",
    -3: "instance",
    -4: "response-code",
    -5: "base-uri",
    -6: "base-lang",
    -7: "base-rtl",
    -8: "unprocessed-coap-option",
    7807: "tunnelled-7807",
}
_UE_CONFIG_KEYS = {"ueConfigDocId", "UeConfigDocId", "valServiceDomain", "valUeIds", "ueConfigs"}


class _NoSharedValues(dict):
    """Decoders for cbor2: with tags 28 and 29 a few bytes could stand for an endless tree."""

    def get(self, tag, default=None):
        return self[tag] if tag in (28, 29) else default

    def __contains__(self, tag):
        return tag in (28, 29)

    def __missing__(self, tag):
        return self._refuse

    @staticmethod
    def _refuse(*_):
        raise ValueError("shared values")


def payload_lines(payload, code, content_format, registry):
    """(what it is, lines) of a payload (bytes).

    code: as "4.04". content_format: a number or None.
    """
    is_error = code[0] in "45"
    if content_format == names.PROBLEM_DETAILS:
        return _cbor(payload, lambda item: _problem(item, code, registry))
    if content_format in (names.CBOR, registry.content_format):
        return _cbor(payload, _documents)
    if content_format is None and code == "2.05":  # our UEs read it as CBOR
        what, lines = _cbor(payload, _documents)
        if not what.startswith("not"):
            return what, lines
    if content_format == names.JSON:
        try:
            return "JSON", _pretty(json.loads(payload))
        except (ValueError, RecursionError):
            pass
    if content_format in names.TEXTS or (content_format is None and is_error):
        # RFC 7252 section 5.5.2: an error without a Content-Format has a diagnostic text.
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return "not UTF-8", hex_lines(payload)
        return "text", [printable(line) for line in text.splitlines()]
    return "bytes", hex_lines(payload)


def piece_lines(payload, number, more):
    """(what it is, lines) of one block of a larger body."""
    place = f"block {number}" if more else f"block {number}, the last"
    return f"{place}, of a larger body", hex_lines(payload)


def hex_lines(data):
    """Sixteen bytes a line, as hex and as ASCII."""
    lines = []
    for i in range(0, len(data), 16):
        row = data[i : i + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{i:04x}  {row.hex(' '):<47}  {text}")
    return lines


def _cbor(payload, read):
    stream = io.BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        stream,
        max_depth=_MAX_DEPTH,
        allow_duplicate_keys=False,
        semantic_decoders=_NoSharedValues(),
        read_size=1,
    )
    try:
        what, item = read(decoder.decode())
        lines = _pretty(item)
    except (cbor2.CBORError, ValueError, RecursionError, OverflowError, MemoryError) as error:
        why = printable(str(error.__cause__ or error))
        return f"not CBOR after byte {stream.tell()}: {why}", hex_lines(payload)
    if stream.tell() < len(payload):
        what += f", and more from byte {stream.tell()} on"
    return what, lines


def _documents(item):
    """UeConfigDoc, alone or in an array; the JSON text of configData is shown as an object."""
    items = item if isinstance(item, list) else [item]
    if not all(isinstance(each, dict) and _UE_CONFIG_KEYS & set(each) for each in items):
        return "CBOR", _plain(item)
    notes = []
    for each in items:
        configs = each.get("ueConfigs")
        for config in configs if isinstance(configs, (list, tuple)) else ():
            if isinstance(config, dict) and isinstance(config.get("configData"), str):
                _unfold(config, notes)
    what = f"array of {len(items)} UeConfigDoc" if isinstance(item, list) else "UeConfigDoc"
    return ", ".join([what, *notes]), _plain(item)


def _unfold(config, notes):
    text = config["configData"]
    try:
        config["configData"] = json.loads(text)
        note = UNFOLDED
    except (ValueError, RecursionError):
        note = "configData is " + ("XML" if text.lstrip()[:1] == "<" else "not JSON")
    if note not in notes:
        notes.append(note)


def _problem(item, code, registry):
    if not isinstance(item, dict):
        return "not a problem (a map)", _plain(item)
    what = "problem details"
    named = {}
    for key, value in item.items():
        if key == -4 and isinstance(value, int):
            value = f"{value >> 5}.{value & 31:02}"
            if value != code:
                what += f", whose response-code is not {code}"
        elif key == -8:
            numbers = value if isinstance(value, (list, tuple)) else [value]
            value = ", ".join(_option(number, registry) for number in numbers)
        named[_PROBLEM_KEYS.get(key, key)] = value
    return what, _plain(named)


def _option(number, registry):
    known = registry.option(number) if isinstance(number, int) else None
    return f"{number} {known[0]}" if known else str(number)


def _plain(item):
    """The item as a value that JSON has."""
    if isinstance(item, dict):
        return {_key(key): _plain(value) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_plain(each) for each in item]
    if isinstance(item, bytes):
        return f"h'{item.hex()}'"
    if isinstance(item, cbor2.CBORTag):
        return {f"tag {item.tag}": _plain(item.value)}
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    return str(item)


def _key(key):
    return f"h'{key.hex()}'" if isinstance(key, bytes) else str(key)


def _pretty(item):
    text = json.dumps(item, indent=2, ensure_ascii=False)
    return [printable(line) for line in text.split("\n")]
