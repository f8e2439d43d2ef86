"""The command `msgin5g simulate`."""

import json
import os
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from msgin5g_tools.paths import import_firmware
from msgin5g_tools.simulate import intermediary
from msgin5g_tools.simulate.chart import picture_of
from msgin5g_tools.simulate.population import identities
from msgin5g_tools.simulate.report import Report, as_json_object
from msgin5g_tools.simulate.simulation import Simulation

import_firmware()
from msgin5g.settings.core import SettingsError  # noqa: E402

_MAX_UES = 10000
_MAX_LOSS = 75  # percent; beyond it hardly any exchange comes to its end


class _Number(click.ParamType):
    """A number between two others; one line for what is none."""

    name = "number"

    def __init__(self, kind, low, high):
        self._kind = kind
        self._low = low
        self._high = high

    def convert(self, value, parameter, context):
        try:
            number = self._kind(str(value).removesuffix("%"))
            if self._low <= number <= self._high:
                return number
        except ValueError:
            pass
        what = "a whole number" if self._kind is int else "a number"
        raise click.ClickException(
            f"{parameter.opts[0]}: '{value}' is not {what} of {self._low} to {self._high}"
        )


class _Role(click.ParamType):
    name = "|".join(intermediary.ROLES)

    def convert(self, value, parameter, context):
        if value not in intermediary.ROLES:
            raise click.ClickException(f"{parameter.opts[0]}: '{value}' is not relay or gateway")
        return value


@click.command(context_settings={"show_default": True})
@click.option("--ues", type=_Number(int, 1, _MAX_UES), default=1000, help="How many UEs.")
@click.option("--role", type=_Role(), default="gateway", help="What they are behind.")
@click.option(
    "--loss",
    type=_Number(float, 0, _MAX_LOSS),
    default=0,
    help="Percent lost, each way, each hop.",
)
@click.option("--seed", type=_Number(int, 0, 2**31), default=7, help="Another chance.")
@click.option(
    "--missing", type=_Number(float, 0, 100), default=1, help="Percent without a document: 4.04."
)
@click.option(
    "--denied", type=_Number(float, 0, 100), default=0.3, help="Percent on the deny list: 4.03."
)
@click.option(
    "--settings", metavar="FILE", help="Settings of the hop in place of ours (settings.json)."
)
@click.option("--picture", metavar="FILE.svg", help="Draw relay and gateway side by side.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def simulate(ues, role, loss, seed, missing, denied, settings, picture, as_json):
    """Very many UEs behind one relay or gateway, in virtual time.

    All are switched on together and ask as the firmware does, with its defaults. UEs, hop and
    server are the shipped code; the network loses what --loss says, and takes 5 to 40 ms. A UE
    with its final answer (2.05, 4.04, 4.03) asks no more. The same seed gives the same story.

    \b
    Exit status 0: every UE has ended with what is right for it.
    Keys of the JSON object, besides those of the options:
      ok                 true for exit status 0
      outcomes           UEs by how they ended; not_its_own: wrong for that UE
      configured_median_s, _p99_s, _last_s   from the start, of those that were configured
      requests           GETs that the server worked = bulk_requests + single_requests
                         + later_blocks; repeated_requests: sent again by the hop
      ues_per_bulk, largest_bulk_bytes       the largest bulk request
      turned_away, timeouts                  5.03 given to UEs; times that one heard nothing
      datagrams, bytes   sent, each way, on each side; lost ones included
      peaks              of the hop's tables
      discarded          the hop's counters
      compared_with      with --picture: the same for the other role
    """
    try:
        if denied + missing > 100:
            raise click.ClickException("--missing and --denied: are more than 100 together")
        _check_picture(picture)
        given = _read(settings)
        roles = [role]
        if picture is not None:
            roles += [other for other in intermediary.ROLES if other != role]
        chosen = {r: intermediary.settings_for(r, ues, given) for r in roles}
        chosen_ues = identities(ues, missing, denied, seed)
        done, curves = {}, {}
        with _Bar(not as_json) as bar:
            for name in roles:
                simulation = Simulation(chosen_ues, chosen[name], loss, seed, bar.of(name, ues))
                done[name] = simulation.run()
                curves[name] = simulation.configured_ms
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    about = {"ues": ues, "loss": loss, "seed": seed, "missing": missing, "denied": denied}
    if picture is not None:
        _write(picture, picture_of(about, done, curves))
    if as_json:
        print(json.dumps(as_json_object(about, done), indent=2))
    else:
        Report(Console(highlight=False, emoji=False, markup=False)).show(about, done, bar.seconds)
        if picture is not None:
            print(f"\nPicture: {picture}")
    sys.exit(0 if all(figures["ok"] for figures in done.values()) else 1)


class _Bar:
    """A progress bar on stderr, on a terminal only; seconds: how long the simulation took."""

    def __init__(self, wanted):
        console = Console(stderr=True)
        self.seconds = None
        self._progress = Progress(
            TextColumn("{task.description:<7}"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f} of {task.total:.0f} UEs have their answer"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not (wanted and console.is_terminal),
        )

    def __enter__(self):
        self._started_at = time.monotonic()
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()
        self.seconds = time.monotonic() - self._started_at

    def of(self, name, total):
        """A function that is told how many are done, for a bar of its own."""
        task = self._progress.add_task(name, total=total)
        return lambda n: self._progress.update(task, completed=n)


def _check_picture(path):
    """ClickException before anything is simulated that could not be drawn."""
    if path is None:
        return
    folder = Path(path).parent
    if Path(path).suffix.lower() != ".svg":
        raise click.ClickException(f"--picture: '{path}' does not end in .svg")
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(path).is_dir():
        raise click.ClickException(f"--picture: '{path}' cannot be written")


def _write(path, text):
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise click.ClickException(f"--picture: '{path}': {error.strerror}") from None


def _read(path):
    """The object in a settings file, or None."""
    if path is None:
        return None
    try:
        values = json.loads(Path(path).read_text())
    except OSError as error:
        raise click.ClickException(f"--settings: '{path}': {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(f"--settings: '{path}': not JSON: {error}") from None
    if not isinstance(values, dict):
        raise click.ClickException(f"--settings: '{path}': must be a JSON object")
    return values
