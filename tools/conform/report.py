"""The rows of a run as a table, as JSON and as JUnit's XML."""

import json
from xml.etree import ElementTree

from msgin5g_tools.conform.check import FAIL, PASS, VERDICTS
from msgin5g_tools.text import printable

_MAX_CELL = 48


class Table:
    """One line for each check, printed as it ends; the columns are as wide as the checks need."""

    def __init__(self, checks, is_verbose, echo):
        self._widths = [
            max(map(len, VERDICTS)),
            max((len(check.clause) for check in checks), default=0),
            max((len(check.name) for check in checks), default=0),
        ]
        self._is_verbose = is_verbose
        self._echo = echo

    def head(self):
        self._line(["verdict", "clause", "check", "sent", "came"])

    def row(self, row):
        check = row.check
        cells = [row.verdict, check.clause, check.name, _cell(row.sent), _cell(row.came)]
        self._line(cells, row.why)
        if self._is_verbose:
            self._echo(f"    {check.sentence}")
            for label, texts in (("sent", row.sent), ("came", row.came)):
                for text in texts:
                    self._echo(printable(f"    {label}  {text}"))

    def _line(self, cells, why=""):
        widths = [*self._widths, _MAX_CELL, _MAX_CELL]
        text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        self._echo(printable(f"{text}  {why}".rstrip()))


def _cell(texts):
    """The first message, and how many more there were."""
    if not texts:
        return "-"
    more = f" (+{len(texts) - 1})" if len(texts) > 1 else ""
    room = _MAX_CELL - len(more)
    first = texts[0] if len(texts[0]) <= room else texts[0][: room - 3] + "..."
    return printable(first)[:room] + more


def counts(rows):
    return {verdict: sum(row.verdict == verdict for row in rows) for verdict in VERDICTS}


def summary(rows):
    """How many checks have ended how, in one line."""
    found = counts(rows)
    parts = [f"{found[PASS]} passed", f"{found[FAIL]} failed"]
    parts += [f"{found[verdict]} {verdict}" for verdict in VERDICTS if verdict not in (PASS, FAIL)]
    return f"{len(rows)} checks: " + ", ".join(parts)


def as_dict(row):
    return {
        "check": row.check.name,
        "clause": row.check.clause,
        "sentence": row.check.sentence,
        "verdict": row.verdict,
        "why": row.why,
        "sent": row.sent,
        "came": row.came,
        "seconds": round(row.seconds, 3),
    }


def as_json(role, rows):
    """One JSON object: every row, and the counts."""
    made = {"role": role, "checks": [as_dict(row) for row in rows], "summary": counts(rows)}
    return json.dumps(made, indent=1)


def as_junit(role, rows):
    """JUnit's XML: what is not applicable or inconclusive is skipped, with its reason."""
    found = counts(rows)
    attributes = {
        "name": f"msgin5g conform {role}",
        "tests": str(len(rows)),
        "failures": str(found[FAIL]),
        "skipped": str(len(rows) - found[PASS] - found[FAIL]),
        "time": f"{sum(row.seconds for row in rows):.3f}",
    }
    suite = ElementTree.Element("testsuite", attributes)
    for row in rows:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"conform.{role}.{row.check.clause.replace('.', '_')}",
            name=row.check.name,
            time=f"{row.seconds:.3f}",
        )
        if row.verdict == FAIL:
            ElementTree.SubElement(case, "failure", message=printable(row.why))
        elif row.verdict != PASS:
            message = printable(f"{row.verdict}: {row.why}")
            ElementTree.SubElement(case, "skipped", message=message)
        lines = [row.check.sentence]
        lines += [f"sent {text}" for text in row.sent] + [f"came {text}" for text in row.came]
        ElementTree.SubElement(case, "system-out").text = "\n".join(map(printable, lines))
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def as_list(checks):
    """What the checks of a role are, as a table of Markdown."""
    lines = ["| clause | check | what must hold |", "|---|---|---|"]
    for check in checks:
        should = " (SHOULD)" if check.is_should else ""
        lines.append(f"| {check.clause} | `{check.name}` | {check.sentence}{should} |")
    return "\n".join(lines)
