"""The figures of one simulation, or of two side by side, as a table or as one JSON object."""

from rich import box
from rich.table import Table

_ROWS = (
    ("UEs configured (2.05)", lambda f: _count(f["outcomes"]["configured"])),
    ("- without a document (4.04)", lambda f: _count(f["outcomes"]["4.04"])),
    ("- denied (4.03)", lambda f: _count(f["outcomes"]["4.03"])),
    ("- with another UE's configuration", lambda f: _count(f["outcomes"]["not_its_own"])),
    ("- without a final response", lambda f: _count(f["outcomes"]["none"])),
    None,
    ("configured after, median", lambda f: _time(f["configured_median_s"])),
    ("- 99th percentile", lambda f: _time(f["configured_p99_s"])),
    ("- the last one", lambda f: _time(f["configured_last_s"])),
    ("5.03 responses (retry later)", lambda f: _count(f["turned_away"])),
    ("requests of UEs that timed out", lambda f: _count(f["timeouts"])),
    None,
    ("requests at the server", lambda f: _count(f["requests"])),
    ("- in bulk", lambda f: _count(f["bulk_requests"])),
    ("- for one UE", lambda f: _count(f["single_requests"])),
    ("- for later blocks", lambda f: _count(f["later_blocks"])),
    ("requests repeated by relay or gateway", lambda f: _count(f["repeated_requests"])),
    ("most UEs in a bulk request", lambda f: _count(f["ues_per_bulk"])),
    ("largest bulk request, bytes", lambda f: _count(f["largest_bulk_bytes"])),
    None,
    ("bytes, from UEs", lambda f: _count(f["bytes"]["ue_to_hop"])),
    ("bytes, to UEs", lambda f: _count(f["bytes"]["hop_to_ue"])),
    ("bytes, to server", lambda f: _count(f["bytes"]["hop_to_server"])),
    ("bytes, from server", lambda f: _count(f["bytes"]["server_to_hop"])),
    None,
)
_PEAKS = (
    ("links", "peak of links"),
    ("waiting", "- waiting UEs"),
    ("flows", "- flows"),
    ("held_back", "- flows held back"),
    ("transfers", "- transfers from the server"),
    ("answers", "- responses not acknowledged yet"),
    ("held_bytes", "- bytes of documents held"),
    ("exchanges", "- exchanges"),
    ("incoming", "- requests kept for deduplication"),
)


def title_of(about):
    """The parameters of the simulation, in one line."""
    ues = f"{about['ues']:,} UEs" if about["ues"] != 1 else "1 UE"
    loss = f"{about['loss']:g} % loss each way" if about["loss"] else "no loss"
    return f"{ues} switched on together, {loss}, seed {about['seed']}"


def as_json_object(about, done):
    """done: {role: figures}, the chosen role first."""
    (_, first), *others = done.items()
    result = {**about, **first, "ok": all(figures["ok"] for figures in done.values())}
    for _, figures in others:
        result["compared_with"] = figures
    return result


class Report:
    """A table with a column for each role."""

    def __init__(self, console):
        self._console = console

    def show(self, about, done, seconds):
        console = self._console
        console.print(title_of(about), style="bold")
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("")
        for role in done:
            table.add_column(role, justify="right")
        for row in _ROWS:
            if row is None:
                table.add_section()
            else:
                values = [row[1](figures) for figures in done.values()]
                table.add_row(row[0], *values)
        for name, text in _PEAKS:
            if any(name in figures["peaks"] for figures in done.values()):
                table.add_row(text, *(_count(f["peaks"].get(name)) for f in done.values()))
        console.print(table)
        for role, figures in done.items():
            if figures["discarded"]:
                counters = ", ".join(f"{key} {n}" for key, n in figures["discarded"].items())
                console.print(f"  {role} counted: {counters}", soft_wrap=True)
        console.print()
        ok = all(figures["ok"] for figures in done.values())
        passed = sum(figures["seconds"] for figures in done.values())
        took = f"{passed:,.0f} s of virtual time in {seconds:.1f} s"
        if ok:
            console.print(f"Every UE has ended with its own response: {took}.", style="bold green")
        else:
            console.print(f"Not every UE has ended as it should: {took}.", style="bold red")


def _count(value):
    return "" if value is None else f"{value:,}"


def _time(seconds):
    return "" if seconds is None else f"{seconds:,.1f} s"
