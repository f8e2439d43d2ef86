"""The command `msgin5g simulate`."""

import json
import sys
import time

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from msgin5g_tools.number import Number
from msgin5g_tools.paths import import_firmware
from msgin5g_tools.person_file import FileError, parse_json, read_text
from msgin5g_tools.picture_file import check_picture
from msgin5g_tools.simulate import intermediary
from msgin5g_tools.simulate.population import MAX_UES, identities
from msgin5g_tools.simulate.report import Report, as_json_object
from msgin5g_tools.simulate.simulation import Simulation
from msgin5g_tools.text import printable

import_firmware()
from msgin5g.settings import SettingsError  # noqa: E402

_FORMATS = (".png", ".svg")
_MAX_LOSS = 75  # percent; with more, hardly any exchange completes


class _Role(click.ParamType):
    name = "|".join(intermediary.ROLES)

    def convert(self, value, parameter, context):
        if value not in intermediary.ROLES:
            self.fail(f"'{value}' is not relay or gateway", parameter, context)
        return value


@click.command(context_settings={"show_default": True})
@click.option("--ues", type=Number(int, 1, MAX_UES), default=1000, help="Number of UEs.")
@click.option("--role", type=_Role(), default="gateway", help="The node between UEs and server.")
@click.option(
    "--loss",
    type=Number(float, 0, _MAX_LOSS),
    default=0,
    help="Percent of datagrams lost, in each direction of each link.",
)
@click.option("--seed", type=Number(int, 0, 2**31), default=7, help="Seed of the random numbers.")
@click.option(
    "--missing",
    type=Number(float, 0, 100),
    default=1,
    help="Percent of UEs without a document: 4.04.",
)
@click.option(
    "--denied",
    type=Number(float, 0, 100),
    default=0.3,
    help="Percent of UEs on the deny list: 4.03.",
)
@click.option("--settings", metavar="FILE", help="A settings.json for the relay or gateway.")
@click.option(
    "--picture", metavar="FILE", help="Picture of relay and gateway side by side: .png or .svg."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def simulate(ues, role, loss, seed, missing, denied, settings, picture, as_json):
    """Simulate up to 100,000 UEs behind one relay or gateway, in virtual time.

    All UEs start together and send requests as the firmware does, with its default settings. UEs,
    relay, gateway and server are the shipped code; the network delays each datagram by 5 to
    40 ms and drops as many as --loss says. A UE stops after its final response (2.05, 4.04,
    4.03). The same options give the same figures. 10,000 UEs take about 10 s and 0.2 GB.

    The picture shows over time the configured UEs, those with 4.04 and 4.03, and the requests a
    second at the server, of a relay and of a gateway. An SVG fits a light and a dark page.

    \b
    Examples:
      msgin5g simulate --ues 1000
      msgin5g simulate --ues 300 --role relay --loss 10 --picture crowd.png

    \b
    Exit status: 0 when every UE has ended with the right outcome; 1 when not.
    Keys of the JSON object, besides those of the options:
      ok                 true for exit status 0
      outcomes           number of UEs by outcome; not_its_own: a wrong one for that UE
      seconds            virtual time until the last UE has its outcome
      configured_median_s, _p99_s, _last_s   since the start, of the configured UEs
      requests           GETs at the server = bulk_requests + single_requests + later_blocks
      repeated_requests  retransmissions of the relay or gateway to the server
      ues_per_bulk, largest_bulk_bytes       of the largest bulk request
      turned_away, timeouts                  5.03 responses to UEs; requests that timed out
      datagrams, bytes   sent in each direction on each side, lost ones included
      peaks              largest size of each table of the relay or gateway
      discarded          counters of the relay or gateway
      compared_with      with --picture: the same for the other role
    """
    try:
        if denied + missing > 100:
            raise click.UsageError("--missing and --denied: the sum is more than 100 percent")
        if picture is not None:
            check_picture("--picture", picture, _FORMATS)
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
                curves[name] = simulation.curves
    except SettingsError as error:
        raise click.ClickException(f"--settings: {settings}: {error}") from None
    about = {"ues": ues, "loss": loss, "seed": seed, "missing": missing, "denied": denied}
    if picture is not None:
        _draw(picture, about, done, curves)
    if as_json:
        print(json.dumps(as_json_object(about, done), indent=2))
    else:
        Report(Console(highlight=False, emoji=False, markup=False)).show(about, done, bar.seconds)
        if picture is not None:
            print(f"\nPicture: {picture}")
    sys.exit(0 if all(figures["ok"] for figures in done.values()) else 1)


class _Bar:
    """A progress bar on stderr, on a terminal only; seconds: the duration of the simulation."""

    def __init__(self, wanted):
        console = Console(stderr=True)
        self.seconds = None
        self._progress = Progress(
            TextColumn("{task.description:<7}"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f} of {task.total:.0f} UEs have their response"),
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
        """A new bar; returns the function that sets it to a number of UEs."""
        task = self._progress.add_task(name, total=total)
        return lambda n: self._progress.update(task, completed=n)


def _draw(path, about, done, curves):
    # Only a chart needs matplotlib, which takes half a second to import.
    from msgin5g_tools.simulate.chart import draw

    try:
        draw(path, about, done, curves)
    except OSError as error:
        raise click.ClickException(f"--picture: '{path}': {error.strerror}") from None


def _read(path):
    """The object in a settings file, or None."""
    if path is None:
        return None
    try:
        values = parse_json(read_text(path), path)
    except FileError as error:
        raise click.ClickException(f"--settings: {error}") from None
    if not isinstance(values, dict):
        raise click.ClickException(f"--settings: {path}: must be a JSON object")
    if values.get("role", intermediary.ROLES[0]) not in intermediary.ROLES:
        text = f"role: {values['role']}: must be one of {', '.join(intermediary.ROLES)}"
        raise click.ClickException(printable(f"--settings: {path}: {text}"))
    return values
