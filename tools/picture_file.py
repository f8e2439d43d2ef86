"""Whether a picture can be written where a person wants it: known before the work for it."""

import os
from pathlib import Path

import click


def check_picture(option, path, formats):
    """ClickException when it could not be written. formats: the endings, such as (".svg",)."""
    folder = Path(path).parent
    if Path(path).suffix.lower() not in formats:
        raise click.UsageError(f"{option}: '{path}' does not end in {' or '.join(formats)}")
    if not folder.is_dir():
        raise click.ClickException(f"{option}: '{path}': there is no folder {folder}")
    if not os.access(folder, os.W_OK) or Path(path).is_dir():
        raise click.ClickException(f"{option}: '{path}' cannot be written")
