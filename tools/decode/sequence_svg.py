"""A sequence diagram as SVG: a lifeline for each participant, an arrow for each message.

It follows the page's colours, light or dark. A screen reader gets title and description, and each
message as the sentence that `sentence_of` makes; that is also what is on the arrow's tooltip.
"""

from xml.sax.saxutils import escape

from msgin5g_tools.decode.names import code_name
from msgin5g_tools.decode.sequence_diagram import fields_of
from msgin5g_tools.text import printable

_STYLE = """\
svg{--ink:#1a1a1a;--dim:#5c6470;--line:#c9ced6;--page:#fff;--good:#0b7a3b;--bad:#b54708;\
--ask:#0b5cad;color-scheme:light dark}
@media (prefers-color-scheme:dark){svg{--ink:#e8e8e8;--dim:#a3abb8;--line:#454b57;\
--page:#16181d;--good:#58c98b;--bad:#ff9a4d;--ask:#6cb6ff}}
text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:var(--ink)}
.page{fill:var(--page)}.life{stroke:var(--line);stroke-dasharray:3 4}
.head{font-weight:600;text-anchor:middle}.box{fill:var(--page);stroke:var(--dim)}
.dim{fill:var(--dim);font-size:11px}.end{text-anchor:end}
.what{text-anchor:middle;paint-order:stroke;stroke:var(--page);stroke-width:3px;\
stroke-linejoin:round}
.way{stroke-width:1.6}.ask .way{stroke:var(--ask)}.ask .tip{fill:var(--ask)}
.good .way{stroke:var(--good)}.good .tip{fill:var(--good)}
.bad .way{stroke:var(--bad)}.bad .tip{fill:var(--bad)}
.none .way{stroke:var(--dim);stroke-dasharray:4 3}.none .tip{fill:var(--dim)}
.heading{font-size:15px;font-weight:600}"""

_TOP, _ROW, _LEFT = 72, 28, 58
_BOX, _HEAD_CHAR = 76, 8  # width of a participant's box, at least; of a character in it
_NEAR, _FAR = 12, 92  # from one box to the next: between UEs, between different nodes
_BESIDE, _CHAR = 88, 6.1  # from the last lifeline to the text beside it; width of a character
_MAX_RECIPIENT = 24


def sequence_svg(title, about, participants, entries, registry):
    """The text of an SVG file. participants, entries: as of a SequenceDiagram."""
    longest = max(len(printable(name)) for names in participants for name in names)
    box = max(_BOX, _HEAD_CHAR * longest + 12)
    at, x = {}, _LEFT + 16 + box // 2
    for names in participants:
        for name in names:
            at[name] = x
            x += box + _NEAR
        x += _FAR - _NEAR
    right = max(at.values()) + box // 2 - _BOX // 2
    rows = [(entry, fields_of(entry.datagram, registry)) for entry in entries]
    longest = max((len(_beside(entry, fields)) for entry, fields in rows), default=0)
    width = right + _BESIDE + round(_CHAR * max(longest, len("Recipient"))) + 14
    height = _TOP + _ROW * len(entries) + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title about">',
        f'<title id="title">{_text(title)}</title>',
        f'<desc id="about">{_text(about)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
        f'<text class="heading" x="14" y="26">{_text(title)}</text>',
        f'<text class="dim end" x="{_LEFT}" y="60">ms</text>',
        f'<text class="dim end" x="{right + _BESIDE - 12}" y="60">bytes</text>',
        f'<text class="dim" x="{right + _BESIDE}" y="60">Recipient</text>',
    ]
    for name, middle in at.items():
        parts.append(f'<path class="life" d="M{middle} 70V{height - 14}"/>')
        parts.append(
            f'<rect class="box" x="{middle - box // 2}" y="44" width="{box}" height="25" rx="4"/>'
            f'<text class="head" x="{middle}" y="61">{_text(name)}</text>'
        )
    for number, (entry, fields) in enumerate(rows):
        parts.append(_message(entry, fields, at, right, _TOP + _ROW * number + 22))
    return "\n".join([*parts, "</svg>", ""])


def sentence_of(source, target, fields, note=""):
    """`UE 0007 to relay: CON 0.01 GET, Recipient coap://scm.example, for 0007`."""
    words = f"{source} to {target}: {_what(fields)}"
    if fields["recipient"] is not None:
        words += f", Recipient {fields['recipient']}"
    return printable(words + (f", {note}" if note else ""))


def _what(fields):
    if fields["type"] is None:
        return "not CoAP"
    name = "empty" if fields["code"] == "0.00" else code_name(fields["code"])
    return f"{fields['type']} {name}"


def _beside(entry, fields):
    recipient = fields["recipient"] or ""
    if len(recipient) > _MAX_RECIPIENT:
        recipient = "…" + recipient[1 - _MAX_RECIPIENT :]
    return ", ".join(filter(None, (recipient, entry.note)))


def _message(entry, fields, at, right, y):
    start, end = at[entry.source], at[entry.target]
    back = 7 if end > start else -7
    kind = {"0.00": "none", "2": "good", "4": "bad", "5": "bad"}
    code = fields["code"]
    style = kind.get(code) or kind.get(code[0], "ask")
    sentence = sentence_of(entry.source, entry.target, fields, entry.note)
    return (
        f'<g class="{style}"><title>{_text(sentence)}</title>'
        f'<text class="dim end" x="{_LEFT}" y="{y + 4}">{entry.seconds * 1000:.0f}</text>'
        f'<path class="way" d="M{start} {y}H{end - back}"/>'
        f'<path class="tip" d="M{end} {y}l{-back - back // 7} -4v8z"/>'
        f'<text class="what" x="{(start + end) // 2}" y="{y - 6}">{_text(_what(fields))}</text>'
        f'<text class="dim end" x="{right + _BESIDE - 12}" y="{y + 4}">{fields["size"]}</text>'
        f'<text class="dim" x="{right + _BESIDE}" y="{y + 4}">'
        f"{_text(_beside(entry, fields))}</text></g>"
    )


def _text(text):
    return escape(printable(text))
