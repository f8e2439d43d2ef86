"""A file that a person has written: in UTF-8 or UTF-16, with or without a byte order mark."""

import codecs
import json
import sys
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class FileError(Exception):
    """A file that cannot be used; the text names it in one line."""


def read_text(path):
    """The text of a file, or of stdin for `-`, without a byte order mark."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = f"{path}: line {line}: byte {error.start} is not UTF-8: save the file as UTF-8"
        raise FileError(text) from None


def _encoding(data):
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    # Without a mark: a file of ours begins with an ASCII character.
    if data[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if data[:1] == b"\0" else "utf-8"


def parse_json(text, path):
    """The value of a JSON text; FileError with line and column."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FileError(f"{path}: not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise FileError(f"{path}: not JSON: nested too deep") from None
