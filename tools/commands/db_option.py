"""The option --db of the commands that use the server's database."""

import click

ENVIRONMENT = "MSGIN5G_DB"


def db_option(text, required=True):
    """A file of SQLite, or a postgresql:// URL; $MSGIN5G_DB is the default."""
    return click.option(
        "--db",
        metavar="FILE|URL",
        required=required,
        envvar=ENVIRONMENT,
        show_envvar=True,
        help=f"{text}: a file of SQLite, or postgresql://USER@HOST/NAME.",
    )
