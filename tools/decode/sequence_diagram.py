"""A sequence diagram as text, one line for each message.

ms  UE 0007     relay     server  type code           MID    token    Recipient  bytes
 0  UE 0007 --> relay             CON  GET            0x3ad3 58b245cc coap://...   112
 2              relay --> server  CON  GET            0x6a10 91c0ffee coap://...   112
 5              relay <-- server  ACK  4.04 Not Found 0x6a10 91c0ffee urn:x-...     69
"""

from collections import namedtuple

from rich.text import Text

from msgin5g_tools.decode.faults import decode
from msgin5g_tools.decode.names import TYPES, Registry, code_name
from msgin5g_tools.paths import import_firmware
from msgin5g_tools.text import printable

import_firmware()
from msgin5g.coap.text import code_text  # noqa: E402

# seconds: since the first message. source, target: names of participants. note: a few words.
Entry = namedtuple("Entry", "seconds source target datagram note")

_ARROWS = {True: " --> ", False: " <-- "}
_CODE_SIZE = 14
_TOKEN_SIZE = 8
_RECIPIENT_SIZE = 22
_STYLES = {"2": "green", "4": "yellow", "5": "red"}


class SequenceDiagram:
    """Each Entry is a line of one table.

    participants: list of columns from left to right, each a list of the names in that column.
    """

    def __init__(self, participants, registry=None):
        self._column = {name: i for i, names in enumerate(participants) for name in names}
        self._widths = [max(map(len, names)) for names in participants]
        self._titles = [names[0] if len(names) == 1 else "" for names in participants]
        self._registry = registry or Registry()

    def heading(self, *titles):
        """The line above the table; titles: of the columns that several participants share."""
        titles = list(titles)
        cells = [title or titles.pop(0) for title in self._titles]
        way = (" " * len(_ARROWS[True])).join(
            f"{cell:<{width}}" for cell, width in zip(cells, self._widths, strict=True)
        )
        return Text(
            f"   ms  {way}  type {'code':<{_CODE_SIZE}} MID    {'token':<{_TOKEN_SIZE}} "
            f"{'Recipient':<{_RECIPIENT_SIZE}} bytes",
            "bold",
        )

    def line(self, entry):
        fields = fields_of(entry.datagram, self._registry)
        code = fields["code"]
        if fields["type"] is None:
            what, style = f"     {code:<{_CODE_SIZE}}", "red"
        else:
            what = f"{fields['type']}  {code_name(code):<{_CODE_SIZE}.{_CODE_SIZE}}"
            style = _STYLES.get(code[0], "")
        mid = "" if fields["mid"] is None else f"0x{fields['mid']:04x}"
        ends = f"{self._ends(entry):<{self._ends_size()}}"
        line = Text(f"{entry.seconds * 1000:5.0f}  {ends}  ")
        line.append(what, style)
        line.append(f" {mid:<6} {_short(fields['token'] or '-', _TOKEN_SIZE)} ")
        line.append(f"{_short(fields['recipient'] or '-', _RECIPIENT_SIZE)} {fields['size']:>5}")
        if entry.note:
            line.append(f"  {entry.note}", "magenta")
        return line

    def _ends(self, entry):
        """`relay <-- server`, each name in its own column."""
        left, right = entry.source, entry.target
        forth = self._column[left] < self._column[right]
        if not forth:
            left, right = right, left
        at = self._column[left]
        before = sum(self._widths[:at]) + at * len(_ARROWS[True])
        return f"{'':{before}}{left:<{self._widths[at]}}{_ARROWS[forth]}{right}"

    def _ends_size(self):
        return sum(self._widths) + (len(self._widths) - 1) * len(_ARROWS[True])


def fields_of(datagram, registry):
    """The fields of a datagram that the diagram shows, as a dict for JSON.

    When it is not a CoAP message, code is "malformed", and type and mid are None.
    """
    message, _ = decode(datagram)
    if message is None:
        fields = {"type": None, "code": "malformed", "mid": None, "token": None, "recipient": None}
    else:
        recipient = message.option(registry.recipient_option)
        fields = {
            "type": TYPES[message.mtype],
            "code": code_text(message.code),
            "mid": message.mid,
            "token": message.token().hex() or None,
            "recipient": None if recipient is None else recipient.decode("utf-8", "replace"),
        }
    fields["size"] = len(datagram)
    return fields


def entry_fields(entry, registry):
    """An Entry as a dict for JSON."""
    fields = {
        "ms": round(entry.seconds * 1000),
        "from": entry.source,
        "to": entry.target,
        **fields_of(entry.datagram, registry),
    }
    if entry.note:
        fields["note"] = entry.note
    fields["hex"] = entry.datagram.hex()
    return fields


def _short(text, size):
    text = printable(text)
    return f"{text if len(text) <= size else text[: size - 1] + '…':<{size}}"
