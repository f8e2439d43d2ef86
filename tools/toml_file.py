"""A TOML file that a person has written: read, with the line and column of what is wrong in it."""

import difflib
import re

from msgin5g_tools.person_file import FileError, read_text

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class TomlFile:
    """`values` is its content; FileError names line and column of what is not TOML.

    text: what is in the file, from whoever has read it already.
    """

    def __init__(self, path, text=None):
        self.path = path
        self._text = (read_text(path) if text is None else text).replace("\r\n", "\n")
        try:
            self.values = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(str(error)) from None
        except RecursionError:
            raise FileError(f"{path}: not TOML: nested too deep") from None

    def fault(self, table, key, what, word=None, known=()):
        """FileError about a key of a table, or of none; a word that is not one of the known."""
        if known:
            similar = difflib.get_close_matches(word, known, 1)
            what += (
                f"; did you mean {similar[0]!r}?" if similar else f"; known: {', '.join(known)}"
            )
        return FileError(f"{self.path}: {self._place(table, key)}: {what}")

    def _syntax(self, text):
        place = _PLACE.search(text)
        if place:
            where = f"line {place[1]}, column {place[2]}"
        else:  # "... (at end of document)"
            lines = self._text.split("\n")
            where = f"line {len(lines)}, column {len(lines[-1]) + 1}"
        return FileError(f"{self.path}: {where}: not TOML: {text.partition(' (at ')[0]}")

    def _place(self, table, key):
        """`line 3, column 1` of a key in a table, or of the table for the key None."""
        inside = None
        wanted = [name for name in (table, key) if name is not None]
        for number, line in enumerate(self._text.split("\n"), 1):
            header = _TABLE.match(line)
            if header:
                inside = _names(header[1])
                found = key is None and inside == [table]
            else:
                names = _names(line.partition("=")[0])
                found = bool(names) and [*(inside or ()), *names][: len(wanted)] == wanted
            if found:
                return f"line {number}, column {len(line) - len(line.lstrip()) + 1}"
        # In a form that is read here as something else, such as a table within one line.
        return f"line {1 + self._text.count(chr(10), 0, max(self._text.find(wanted[-1]), 0))}"


def _names(dotted):
    """The parts of a key: `run.settings`, "run" . 'settings'."""
    parts = [part.strip().strip("\"'") for part in dotted.strip().split(".")]
    return parts if all(_BARE.fullmatch(part) for part in parts) else []
