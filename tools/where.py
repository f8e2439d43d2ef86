"""`msgin5g where`: from the lines of a traceback on a board to the source.

On a board several modules are one file, without comments and with other line numbers (see
link_modules). What is said here holds for the sources of this checkout.
"""

import ast
import json
import re
import sys

import click

from tools.build_mpy import BuildError
from tools.check_manifests import ROLES
from tools.link_firmware import lines_of, link_firmware
from tools.paths import FIRMWARE, ROOT

_FRAME = re.compile(r'File "(msgin5g[\w.]*)", line (\d+)')
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Sources:
    """Where the lines of a role's files come from; nothing is built before somebody asks."""

    def __init__(self, role):
        self._role = role
        self._lines = None

    def of_line(self, text):
        """Of a line of a traceback: `firmware/msgin5g/coap/endpoint.py:88, Endpoint.receive`.

        None for another line, or when there is no such source.
        """
        found = _FRAME.search(text)
        return self.of(found[1], int(found[2])) if found else None

    def of(self, file, line):
        """Of a file, named as a traceback does, and a line; None when there is no such source."""
        if self._lines is None:
            try:
                self._lines = json.loads(lines_of(link_firmware(self._role)).read_text())
            except BuildError:
                self._lines = {}
        lines = self._lines.get(file, ())
        if not 0 < line <= len(lines) or lines[line - 1] is None:
            return None
        module, line = lines[line - 1]
        path = FIRMWARE.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        inside = ".".join(_names(ast.parse(path.read_text()), line))
        return f"{path.relative_to(ROOT).as_posix()}:{line}" + (f", {inside}" if inside else "")


def _names(node, line):
    """The class and the function that a line is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES) and child.lineno <= line <= child.end_lineno:
            return [child.name, *_names(child, line)]
    return []


@click.command()
@click.argument("file", required=False)
@click.argument("line", type=int, required=False)
@click.option("--role", type=click.Choice(ROLES), default="ue", help="Of the board.")
def where(file, line, role):
    """Say which source line LINE of FILE is, as a traceback of a board names them.

    Without FILE the traceback is read from the standard input and shown with the sources.
    """
    sources = Sources(role)
    if file:
        found = sources.of(file, line or 0)
        if found is None:
            raise click.ClickException(f"{file} has no line {line} on a board of role {role}")
        click.echo(found)
        return
    for text in sys.stdin:
        click.echo(text, nl=False)
        found = sources.of_line(text)
        if found:
            click.echo(f"    {found}")
