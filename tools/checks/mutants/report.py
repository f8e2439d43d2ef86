"""What a run of mutants found: a table by area, then each one that no test noticed."""

from collections import Counter

from rich import box
from rich.table import Table

NOTICED = ("killed", "timeout")


def share(results):
    """Percent that were noticed; 100 of none."""
    noticed = sum(result.outcome in NOTICED for result in results)
    return 100 * noticed / len(results) if results else 100.0


def table(results, n_equivalent):
    """A rich Table; n_equivalent: {area: how many are listed as equivalent}."""
    made = Table(box=box.SIMPLE)
    made.add_column("area")
    columns = ("tried", "killed", "timeout", "survived", "uncovered", "noticed", "equivalent")
    for column in columns:
        made.add_column(column, justify="right")
    by_area = {}
    for result in results:
        by_area.setdefault(result.mutant.area, []).append(result)
    rows = sorted(by_area.items())
    for name, found in rows + ([("all", results)] if len(rows) > 1 else []):
        n = Counter(result.outcome for result in found)
        equivalent = sum(n_equivalent.values()) if name == "all" else n_equivalent.get(name, 0)
        counts = [len(found), n["killed"], n["timeout"], n["survived"], n["uncovered"]]
        cells = [str(count) for count in counts]
        made.add_row(name, *cells, f"{share(found):.0f} %", str(equivalent))
    return made


def survivor(result):
    """The lines that show one that was not noticed."""
    mutant = result.mutant
    what = "no test runs it" if result.outcome == "uncovered" else "no test fails"
    where = f"{mutant.module}:{mutant.span[0][0]}"
    function = f" in {mutant.function}" if mutant.function else ""
    return "\n    ".join([f"{where}{function}: {what}", *result.change])
