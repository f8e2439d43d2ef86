"""`msgin5g new`: a folder with an application, its test, settings and a Makefile."""

import shutil
from pathlib import Path

import click

from msgin5g_tools.text import printable

_TEMPLATE = Path(__file__).resolve().parent.parent / "project"
FILES = ("settings.json", "app.py", "test_app.py", "Makefile")


@click.command()
@click.argument("name", type=click.Path(path_type=Path))
def new(name):
    """Make the folder NAME with an application that runs at once.

    It gets settings.json, app.py, test_app.py and a Makefile with the targets test, run and flash.

    Exit status: 0 done   1 there is something of this name, or it cannot be written
    """
    try:
        name.mkdir()
        for file in FILES:
            shutil.copyfile(_TEMPLATE / file, name / file)
    except FileExistsError:
        raise click.ClickException(f"{name}: exists already: take another name") from None
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}") from None
    click.echo(f"{printable(str(name))}: {', '.join(FILES)}; next: make test, in that folder")
