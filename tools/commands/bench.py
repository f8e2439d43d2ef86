"""The command `msgin5g bench`."""

import json
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.figures import NOTES, rows
from msgin5g_tools.bench.interpreter import Interpreter
from msgin5g_tools.bench.measurements import MEASUREMENTS, measure
from msgin5g_tools.bench.plan import measure as measure_plan
from msgin5g_tools.bench.plan import plan as plan_for
from msgin5g_tools.bench.scm_server import measure_server
from msgin5g_tools.bench.simulate import costs
from msgin5g_tools.build.mpy import BuildError, build_firmware
from msgin5g_tools.number import Number
from msgin5g_tools.scm_server.database import is_url
from msgin5g_tools.simulate.population import MAX_UES

_SIZES = "10000,30000,100000"
_UES = Number(int, 1, MAX_UES)


def _numbers(context, parameter, text):
    """[10, 20] from 10,20; None from None."""
    if text is None:
        return None
    try:
        return [_UES.convert(word.strip(), parameter, context) for word in text.split(",")]
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message}; several as 1000,3000") from None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.option("--markdown", is_flag=True, help="Print the table of docs/boards.md instead.")
@click.option(
    "--only", type=click.Choice(list(MEASUREMENTS)), help="One measurement instead of all."
)
@click.option(
    "--server", is_flag=True, help="Measure msgin5g scm-server instead; takes ten minutes."
)
@click.option(
    "--simulate",
    "sizes",
    metavar="UES,UES,...",
    is_flag=False,
    flag_value=_SIZES,
    callback=_numbers,
    help="Measure msgin5g simulate instead: processor time and memory for each of these numbers of"
    f" UEs, and for one UE compared with the first number.  [without numbers: {_SIZES}]",
)
@click.option(
    "--plan",
    "n_ues",
    metavar="UES",
    type=click.IntRange(1, 10**9),
    help="Measure msgin5g scm-server for half a minute, and print what this number of UEs needs.",
)
@click.option(
    "--max-age",
    "max_age_s",
    type=click.IntRange(1, 2**32 - 1),
    default=86_400,
    show_default=True,
    help="With --plan: seconds after which a UE asks again.",
)
@click.option(
    "--db",
    metavar="URL",
    help="With --plan: a database of PostgreSQL, postgresql://USER@HOST/NAME, made for this: it is"
    " filled. Without it a file of SQLite is made.",
)
def bench(as_json, markdown, only, server, sizes, n_ues, max_age_s, db):
    """Measure speed, heap and size now, on real MicroPython, with the .mpy files of a board.

    Takes about a minute. Times are in units of a loop that indexes a bytes object 100 times,
    measured in the same run. The exit status is 0 whether the targets hold or not: the table says
    which do.
    """
    if sizes:
        _bench_simulate(sizes, as_json)
        return
    if server:
        _bench_server(as_json)
        return
    if n_ues:
        _bench_plan(as_json, n_ues, max_age_s, db)
        return
    if db:
        raise click.UsageError("--db: is for --plan")
    _bench_firmware(as_json, markdown, only)


@contextmanager
def _one_line_errors():
    try:
        yield
    except (BenchError, BuildError) as error:
        raise click.ClickException(str(error)) from None


def _bench_firmware(as_json, markdown, only):
    console = Console(stderr=True)
    with (
        _one_line_errors(),
        console.status("bench") as status,
        tempfile.TemporaryDirectory() as folder,
    ):
        # Built apart, so that whoever builds meanwhile does not change what is measured.
        firmware = build_firmware(Path(folder) / "firmware")
        interpreter = Interpreter(firmware)
        figures = measure(interpreter, lambda text: status.update(f"bench: {text}"), only)
    if as_json:
        print(json.dumps(figures))
    elif markdown:
        print(_markdown(figures))
    else:
        _table(figures)
    sys.stdout.flush()


def _bench_server(as_json):
    def report(what, figure):
        click.echo(json.dumps({what: figure}) if as_json else f"{what}: {figure}")

    with _one_line_errors():
        measure_server(report)


def _bench_plan(as_json, n_ues, max_age_s, db):
    if db and not is_url(db):
        raise click.UsageError(f"--db: '{db}' is no postgresql:// URL")
    with _one_line_errors():
        measured = measure_plan(db)
    needs = plan_for(measured, n_ues, max_age_s)
    if as_json:
        shown = {"ues": n_ues, "max_age_s": max_age_s}
        click.echo(json.dumps({**shown, "measured": measured._asdict(), "plan": needs}))
        return
    measured_rows = (
        ("processor time of a GET", f"{measured.get_s * 1e6:,.0f} us"),
        ("GETs a second of one process", f"{measured.n_get_per_s:,.0f}"),
        ("documents imported a second", f"{measured.n_import_per_s:,.0f}"),
        ("database for a UE and its document", f"{measured.ue_size:,} bytes"),
        ("memory for an observer", f"{measured.observer_size:,} bytes"),
    )
    needed_rows = (
        ("requests a second", f"{needs['requests_per_s']:,}"),
        ("server processes, at most half busy", f"{needs['processes']:,}"),
        ("if all ask at once, all served after", f"{needs['all_ask_at_once_s']:,} s"),
        ("database", f"{needs['database_bytes'] / 1e6:,.0f} MB"),
        ("import of all documents", f"{needs['import_s']:,} s"),
        ("memory of all servers, if all observe", f"{needs['observers_bytes'] / 1e6:,.0f} MB"),
    )
    for title, lines in (
        (f"Measured here, with {measured.engine}:", measured_rows),
        (f"For {n_ues:,} UEs with a Max-Age of {max_age_s:,} s:", needed_rows),
    ):
        click.echo(title)
        for what, figure in lines:
            click.echo(f"  {what:<44} {figure:>16}")


def _bench_simulate(sizes, as_json):
    if not as_json:
        click.echo("role          UEs   CPU time   peak memory   time a UE   memory a UE")
    with _one_line_errors():
        for cost in costs(sizes):
            if as_json:
                click.echo(json.dumps(cost._asdict()))
            else:
                click.echo(
                    f"{cost.role:<8} {cost.ues:>8,} {cost.seconds:>8.1f} s"
                    f" {cost.peak_bytes / 1e6:>10,.0f} MB"
                    f" {cost.time_ratio:>11.2f} {cost.memory_ratio:>13.2f}"
                )
            sys.stdout.flush()


def _table(figures):
    table = Table(title=figures["interpreter"], box=box.SIMPLE_HEAD)
    table.add_column("What", no_wrap=True)
    table.add_column("Figure", justify="right")
    table.add_column("Target", justify="right")
    for text, value, target, holds in rows(figures):
        colour = {None: "", True: "green", False: "red"}[holds]
        mark = {None: "", True: " ok", False: " MISSED"}[holds]
        table.add_row(escape(text), value, f"{target}{mark}", style=colour)
    console = Console()
    console.print(table)
    for note in NOTES:
        console.print(note, style="dim")


def _markdown(figures):
    lines = ["| what | figure | target |", "|---|---:|---:|"]
    for text, value, target, _ in rows(figures):
        lines.append(f"| {text} | {value} | {'at most ' + target if target else ''} |")
    text = f"Measured on {figures['interpreter']}. " + " ".join(NOTES)
    lines += ["", *textwrap.wrap(text, 110)]
    return "\n".join(lines)
