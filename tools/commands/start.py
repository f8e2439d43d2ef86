"""`msgin5g start`: what is in a folder of settings, together on this computer."""

import asyncio
import contextlib
import signal
import sys

import click

from msgin5g_tools.demo.processes import DemoError, Processes
from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.person_file import FileError
from msgin5g_tools.start.folder import Folder
from msgin5g_tools.start.runner import Runner
from msgin5g_tools.text import printable

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.argument("path", metavar="FOLDER", type=click.Path(exists=True, file_okay=False))
@click.option("--stay", is_flag=True, help="Go on after the last outcome, until Ctrl-C.")
def start(path, stay):
    """Start the nodes of a FOLDER of settings, and its server, together on this computer.

    \b
    *.json          settings of a node each, as for a board
    documents.json  what the server gives, as for `msgin5g documents import`
    change.json     documents that are imported once each UE has its outcome
    app.py          an application that runs beside each UE
    *.toml          options of a server each, as for `msgin5g scm-server --config`
    boards.csv      a table as for `msgin5g provision`, or boards.json; base.json is what
                    its rows share; each row gets a virtual board

    The addresses of the settings become addresses of the loopback interface, and Wi-Fi and
    ESP-NOW reach the nodes of the folder. A database of PostgreSQL is a new one. It ends when each
    UE has what documents.json, and then change.json, say, and stops what it has started.

    \b
    Exit status: 0 each UE has its outcome   1 one has not, or something is wrong in the folder
    """
    try:
        status = asyncio.run(_run(path, stay))
    except (DemoError, DeviceError, FileError, OSError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


async def _run(path, stay):
    task = asyncio.current_task()
    signals = []

    def cancel(number):
        if not signals:  # a second one must not cut the clean-up
            task.cancel()
        signals.append(number)

    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, cancel, number)
    folder = Folder(path)
    width = max(len(name) for name in ["provision", *(place.name for place in folder.places)])
    clusters = contextlib.ExitStack()
    is_done = False
    try:
        with clusters:
            async with Processes(folder.places) as processes:

                def print_line(name, text):
                    click.echo(f"{processes.seconds():7.3f}  {name:{width}}  {printable(text)}")

                runner = Runner(folder, processes, print_line, lambda: _database(clusters))
                await runner.run()
                is_done = True
                if stay:
                    print_line("start", "each UE has its outcome; everything runs until Ctrl-C")
                    await asyncio.Event().wait()
                print_line("start", "each UE has its outcome")
                await runner.end()
    except asyncio.CancelledError:
        if not signals:
            raise
        return 0 if stay and is_done else 128 + signals[0]
    return 0


def _database(clusters):
    """The URL of an empty database of PostgreSQL, which ends with the clusters."""
    try:
        from msgin5g_tools.postgresql_cluster import PostgresqlCluster, PostgresqlError
    except ImportError:
        text = "PostgreSQL needs psycopg: pip install 'msgin5g-firmware[postgresql]'"
        raise DemoError(text) from None
    try:
        return clusters.enter_context(PostgresqlCluster()).create("msgin5g")
    except PostgresqlError as error:
        raise DemoError(str(error)) from None
