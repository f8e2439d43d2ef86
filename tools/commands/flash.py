"""`msgin5g flash`: the firmware, settings and secrets onto boards, verified and watched."""

import json
import os
import sys

import click

from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.device.bundle import ROLES
from msgin5g_tools.device.settings_check import read_secrets, read_settings
from msgin5g_tools.device.errors import (
    INTERRUPTED,
    NOT_MICROPYTHON,
    PORT_MISSING,
    WRONG_INPUT,
    DeviceError,
    device_error,
)
from msgin5g_tools.device.flashing import Bundles, Job, Options, flash_board
from msgin5g_tools.device.ports import all_ports, on_each
from msgin5g_tools.device.progress import reporter
from msgin5g_tools.device.session import TOOLS
from msgin5g_tools.number import SECONDS
from msgin5g_tools.project_file import is_default


@click.command()
@click.option("--board", type=click.Choice(sorted(BOARDS)), help="Refuse any other board.")
@click.option("--port", "ports", multiple=True, help="A serial port; several for several boards.")
@click.option("--all", "every", is_flag=True, help="Every port that answers as MicroPython.")
@click.option("--tool", type=click.Choice(TOOLS), default="mpremote", show_default=True)
@click.option("--role", type=click.Choice(ROLES), help="In place of the settings' own.")
@click.option(
    "--settings", "settings_files", multiple=True, metavar="FILE", help="For settings.json."
)
@click.option(
    "--secrets", "secrets_files", multiple=True, metavar="FILE", help="For secrets.json."
)
@click.option("--dry-run", is_flag=True, help="Say what would be copied; change nothing.")
@click.option(
    "--watch/--no-watch",
    default=None,
    help="Wait until configured after the reset. [default: if anything was copied]",
)
@click.option(
    "--wait", "wait_s", type=SECONDS, default=20.0, show_default=True, help="Seconds to watch."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a board, at the end.")
def flash(
    board, ports, every, tool, role, settings_files, secrets_files, dry_run, watch, wait_s, as_json
):  # fmt: skip
    """Put the firmware on a board: compile, compare, copy what differs, verify, reset, watch.

    Without --settings a board keeps its own. With several --port, give --settings (--secrets)
    once for each port, in the same order. Interrupted at any point, run it again.

    \b
    Exit status: 0 done (and configured, when watched)   1 settings, secrets or build wrong
    2 usage   3 no such port   4 port in use   5 not a MicroPython that fits
    6 the board refused or went away   7 installed, but not configured
    Of several boards: the highest.
    """
    if every and is_default("ports"):
        ports = ()
    if (every or len(ports) > 1) and is_default("settings_files"):
        settings_files = ()  # those of one board
    if every == bool(ports):
        raise click.UsageError("either --port PORT, several times if you like, or --all")
    options = Options(tool, BOARDS.get(board), dry_run, watch, wait_s)
    try:
        if every:
            ports = all_ports()
            if not ports:
                raise DeviceError(PORT_MISSING, "no board is connected to this computer")
        jobs = _jobs(ports, role, settings_files, secrets_files)
    except DeviceError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.status)
    status, results = run_jobs(jobs, options, skip_strangers=every, quiet=as_json)
    if as_json:
        print_results(results)
    sys.exit(status)


def print_results(results, about=None):
    """A JSON object for each port: how it ended, and what `about` has for it."""
    for port, (text, error) in results.items():
        row = {"port": port, "status": error.status if error else 0, "text": str(error or text)}
        click.echo(json.dumps({**row, **(about or {}).get(port, {})}))


def run_jobs(jobs, options, skip_strangers=False, quiet=False):
    """Do all jobs at once; (exit status, results as ports.on_each gives them)."""
    bundles = Bundles()
    by_port = {job.port: job for job in jobs}
    try:
        for role in {job.role for job in jobs if job.role}:
            bundles.of(role)  # report a build error once, before a board is touched
    except DeviceError as error:
        click.echo(f"Error: {error}", err=True)
        return error.status, {}
    # What a dry run would copy is a list, in a terminal as well; for several boards it would be
    # long, so that each has one line.
    dry_run = options.dry_run
    stream = open(os.devnull, "w", encoding="utf-8") if quiet else None
    with reporter(
        list(by_port), stream, bars=not dry_run, ends_only=dry_run and len(jobs) > 1
    ) as report:

        def work(port):
            line = report.lines[port]
            try:
                text = flash_board(by_port[port], options, bundles, line)
            except Exception as exception:
                error = device_error(exception)
                skipped = skip_strangers and error.status == NOT_MICROPYTHON
                line.end(False, f"skipped: {error}" if skipped else f"Error: {error}")
                raise error from None
            line.end(True, text)
            return text

        try:
            results = on_each(list(by_port), work)
        except KeyboardInterrupt:
            click.echo("Interrupted: the boards still boot. Run the command again.", err=True)
            return INTERRUPTED, {}
    faults = [error.status for _, error in results.values() if error is not None]
    if skip_strangers:
        strangers = faults.count(NOT_MICROPYTHON)
        if strangers < len(results):
            faults = [status for status in faults if status != NOT_MICROPYTHON]
    return max(faults, default=0), {job.port: results[job.port] for job in jobs}


def _jobs(ports, role, settings_files, secrets_files):
    """A Job for each port, everything in it checked."""
    if len(set(ports)) < len(ports):
        raise click.UsageError(f"--port: {_twice(ports)} is named twice")
    every_settings = _files_for(ports, settings_files, "--settings")
    every_secrets = _files_for(ports, secrets_files, "--secrets")
    jobs = []
    ids = {}
    for port, settings_file, secrets_file in zip(
        ports, every_settings, every_secrets, strict=True
    ):
        data, its_role = None, role
        if settings_file is not None:
            data, settings = read_settings(settings_file, role)
            its_role = settings.role
            if settings.ue_id in ids:
                raise DeviceError(
                    WRONG_INPUT,
                    f"{ids[settings.ue_id]} and {port} would both be {settings.ue_id}: "
                    "each board needs its own (see msgin5g provision)",
                )
            ids[settings.ue_id] = port
            if settings.unknown:
                click.echo(f"{settings_file}: unknown: {', '.join(settings.unknown)}", err=True)
        secrets = None if secrets_file is None else read_secrets(secrets_file, data)
        jobs.append(Job(port, its_role, data, secrets))
    return jobs


def _twice(ports):
    return next(port for i, port in enumerate(ports) if port in ports[:i])


def _files_for(ports, files, option):
    if files and len(files) not in (1, len(ports)):
        raise click.UsageError(f"{option}: once for each port, in the same order")
    if not files:
        return [None] * len(ports)
    return list(files) * (len(ports) if len(files) == 1 else 1)
