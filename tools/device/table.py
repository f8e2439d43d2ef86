"""A table of boards: each row names one, by port or unique_id, and gives it its own settings.

    CSV    port,unique_id,label,role,ue_id,next_hop,wifi.ssid,secrets.psk
           /dev/ttyACM0,,Door 1,ue,urn:x-msgin5g:ue:0001,192.168.4.1:65401,plant,0a1b
    JSON   [{"unique_id": "e6616407e3", "settings": {"ue_id": ...}, "secrets": {"psk": ...}}]

A column is a setting by its dotted name, or `secrets.` and a name; an empty cell is left out.
The settings that all boards share come from a file beside it. Commas, semicolons or tabs
separate the cells of CSV. In CSV everything is text: a cell
becomes a number, a list or an address where the firmware's own rules ask for one.
"""

import csv
import io
import json
import re
from collections import namedtuple

from msgin5g_tools.device.settings_check import checked_secrets, checked_settings
from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.person_file import FileError, parse_json

# number: of the row, as a person counts, without the heading. settings: bytes. parsed: Settings.
Row = namedtuple("Row", "number port unique_id label settings secrets parsed")

_DELIMITERS = (",", ";", "\t")
_OWN = ("port", "unique_id", "label")
_ID = re.compile(r"(?:[0-9a-f]{2}){2,16}$")
_ADDRESS = re.compile(r"([^\s:\[\]]+):(\d{1,5})$")
_JSON_CELL = re.compile(r"[\[{]|-?\d+$|true$|false$|null$")


def read_table(text, base, source=""):
    """(rows, faults): a list of Rows and one of lines; rows is to be used when faults is empty.

    base: the dict of settings that all rows share.
    """
    try:
        entries = (
            _json_entries(text, source) if text.lstrip()[:1] in ("[", "{") else _csv_entries(text)
        )
    except FileError as error:
        raise DeviceError(WRONG_INPUT, str(error)) from None
    except csv.Error as error:
        text = f"{source}: not CSV: {error}: is a quotation mark missing?"
        raise DeviceError(WRONG_INPUT, text) from None
    except ValueError as error:
        raise DeviceError(WRONG_INPUT, f"{source}: {error}") from None
    if not entries:
        raise DeviceError(WRONG_INPUT, f"{source}: it names no board")
    rows, faults = [], []
    for number, (own, settings, secrets, from_text) in enumerate(entries, 1):
        merged = _merge(base, settings)
        try:
            data, parsed = _settled(merged, from_text)
            secret = checked_secrets(json.dumps(secrets).encode(), data) if secrets else None
            if parsed.unknown:
                faults.append(f"row {number}: {', '.join(parsed.unknown)}: no such setting")
            rows.append(
                Row(
                    number,
                    own.get("port") or None,
                    (own.get("unique_id") or "").lower().replace(":", "") or None,
                    own.get("label") or "",
                    data,
                    secret,
                    parsed,
                )
            )
        except DeviceError as error:
            faults.append(f"row {number}: {str(error).removeprefix('settings: ')}")
    return rows, faults + list(_faults(rows))


def _faults(rows):
    """What is wrong between the rows, or with the way they name their boards."""
    for row in rows:
        if not row.port and not row.unique_id:
            yield f"row {row.number}: port or unique_id is missing"
        elif row.unique_id and not _ID.match(row.unique_id):
            yield f"row {row.number}: unique_id: must be bytes in hex, as msgin5g doctor prints it"
    for key, value_of in (
        ("port", lambda row: row.port),
        ("unique_id", lambda row: row.unique_id),
        # A separated gateway and its SEAL-C have the same one.
        ("ue_id", lambda row: None if row.parsed.role == "seal-c" else row.parsed.ue_id),
        ("ue_id", lambda row: row.parsed.ue_id if row.parsed.role == "seal-c" else None),
        ("bind", lambda row: _own_address(row.parsed.bind)),
        ("secrets", lambda row: row.secrets),
    ):
        first = {}
        for row in rows:
            value = value_of(row)
            if value is None:
                continue
            if value in first:
                shown = "the same secrets as" if key == "secrets" else f"{_text(value)} is also in"
                yield f"row {row.number}: {key}: {shown} row {first[value]}"
            else:
                first[value] = row.number


def _own_address(bind):
    return None if bind[0] == "0.0.0.0" else bind


def _text(value):
    return f"{value[0]}:{value[1]}" if isinstance(value, tuple) else value


def _settled(settings, from_text):
    """(bytes, Settings); a value from a CSV cell takes the form that the rules ask for."""
    tried = set()
    while True:
        try:
            return checked_settings(json.dumps(settings).encode())
        except DeviceError as error:
            key = str(error).removeprefix("settings: ").split(":")[0]
            if key in tried or key not in from_text:
                raise
            tried.add(key)
            address = _ADDRESS.match(from_text[key])
            if "must be [host, port]" in str(error) and address:
                _put(settings, key, [address[1], int(address[2])])
            else:
                _put(settings, key, from_text[key])


def _csv_entries(text):
    heading = next((line for line in text.splitlines() if line.strip()), "")
    # A spreadsheet writes semicolons where the comma is a decimal sign, or tabs.
    delimiter = max(_DELIMITERS, key=heading.count)
    reader = csv.DictReader(io.StringIO(text), restkey="", strict=True, delimiter=delimiter)
    names = [name.strip() for name in reader.fieldnames or ()]
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise ValueError(f"the heading has {name} twice")
    rows = [row for row in reader if any(row.values())]
    return [_entry_of_cells(number, row) for number, row in enumerate(rows, 1)]


def _entry_of_cells(number, cells):
    own, settings, secrets, from_text = {}, {}, {}, {}
    for name, cell in cells.items():
        name = (name or "").strip()
        if isinstance(cell, list) or (not name and cell):
            raise ValueError(f"row {number}: has more cells than the heading")
        cell = (cell or "").strip()
        if not cell:
            continue
        if name in _OWN:
            own[name] = cell
        elif name.startswith("secrets."):
            _put(secrets, name.removeprefix("secrets."), cell)
        else:
            from_text[name] = cell
            _put(settings, name, _json_value(cell))
    return own, settings, secrets, from_text


def _json_value(cell):
    if _JSON_CELL.match(cell):
        try:
            return json.loads(cell)
        except ValueError:
            pass
    return cell


def _json_entries(text, source):
    found = parse_json(text, source)
    if isinstance(found, dict):
        found = found.get("boards")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError("must be a JSON array of objects")
    entries = []
    for number, entry in enumerate(found, 1):
        own = {key: entry.pop(key) for key in _OWN if key in entry}
        for key, value in own.items():
            if not isinstance(value, str):
                raise ValueError(f"row {number}: {key}: must be a text")
        secrets, settings = entry.pop("secrets", {}), entry.pop("settings", {})
        for key, value in (("secrets", secrets), ("settings", settings)):
            if not isinstance(value, dict):
                raise ValueError(f"row {number}: {key}: must be an object")
        settings = dict(settings)
        for key, value in entry.items():
            _put(settings, key, value)
        entries.append((own, settings, secrets, {}))
    return entries


def _put(target, dotted, value):
    *groups, last = dotted.split(".")
    for group in groups:
        inner = target.setdefault(group, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{dotted}: {group} is not a group of settings")
        target = inner
    target[last] = value


def _merge(base, more):
    merged = dict(base)
    for key, value in more.items():
        inner = merged.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        merged[key] = _merge(inner, value) if both else value
    return merged
