"""What differs between two texts, line by line, as HTML."""

import asyncio
import difflib

from msgin5g_tools.scm_server.web.elements import tag

_CONTEXT = 3
_MAX_ROWS = 3000
_MAX_LINES = 800  # that differ, of one text; the time grows with the square


async def shown(old, new):
    """An element with the lines that differ, and some around them."""
    return await asyncio.to_thread(_html, old, new)  # it can take a tenth of a second


def _html(old, new):
    if old == new:
        return tag("p", "Nothing differs.", class_="same")
    rows = lines(old, new)
    made = [_row(mark, text) for mark, text in rows[:_MAX_ROWS]]
    if len(rows) > _MAX_ROWS:
        made.append(_row("@", f"{len(rows) - _MAX_ROWS} more lines are not shown"))
    return tag("div", made, class_="diff", tabindex="0")


def lines(old, new):
    """(mark, text) with the marks `-`, `+`, a blank, and `@` for lines that are left out."""
    before, after = old.splitlines(), new.splitlines()
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    changed = [each[start : len(each) - end] for each in (before, after)]
    found = [("-", line) for line in changed[0]] + [("+", line) for line in changed[1]]
    if max(map(len, changed)) <= _MAX_LINES:
        found = _compared(*changed)
    head = [(" ", line) for line in before[:start]]
    tail = [(" ", line) for line in before[len(before) - end :]]
    return _near_changes(head + found + tail)


def _compared(before, after):
    found = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for what, i, i_end, j, j_end in matcher.get_opcodes():
        if what == "equal":
            found += [(" ", line) for line in before[i:i_end]]
        else:
            found += [("-", line) for line in before[i:i_end]]
            found += [("+", line) for line in after[j:j_end]]
    return found


def _common(first, second):
    """How many lines at the start are the same."""
    n = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        n += 1
    return n


def _near_changes(rows):
    kept = set()
    for i, (mark, _) in enumerate(rows):
        if mark != " ":
            kept.update(range(i - _CONTEXT, i + _CONTEXT + 1))
    near, n_left_out = [], 0
    for i, row in enumerate(rows):
        if i in kept:
            if n_left_out:
                near.append(("@", f"{n_left_out} lines are the same"))
            n_left_out = 0
            near.append(row)
        else:
            n_left_out += 1
    if n_left_out:
        near.append(("@", f"{n_left_out} lines are the same"))
    return near


_NAMES = {"-": ("del", "removed"), "+": ("ins", "added")}


def _row(mark, text):
    if mark in _NAMES:
        name, said = _NAMES[mark]
        return tag(name, tag("span", f"{said}: ", class_="unseen"), text or " ")
    return tag("p", text, class_="left-out") if mark == "@" else tag("span", text or " ")
