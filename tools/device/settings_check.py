"""Check settings and secrets by the firmware's own rules, before a board is touched."""

import json
from contextlib import contextmanager

from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.paths import import_firmware
from msgin5g_tools.person_file import FileError, parse_json, read_text

MAX_SETTINGS = 16384  # bytes; the firmware reads no more


def read_file(path):
    """The bytes of a file in JSON as a board gets them: in UTF-8, without a byte order mark."""
    return file_text(path).encode()


def file_text(path):
    """The text of a file; DeviceError names it."""
    try:
        return read_text(path)
    except FileError as error:
        raise DeviceError(WRONG_INPUT, str(error)) from None


def read_settings(path, role=None):
    """(data, Settings) of a file; DeviceError names the file and what is wrong in it."""
    with _in_file(path):
        return checked_settings(read_file(path), role)


def read_secrets(path, settings=None):
    """The bytes of a file of secrets, checked with the bytes of settings if there are any."""
    with _in_file(path):
        return checked_secrets(read_file(path), settings)


@contextmanager
def _in_file(path):
    try:
        yield
    except DeviceError as error:
        text = str(error)
        named = text if text.startswith(f"{path}: ") else f"{path}: {text}"
        raise DeviceError(error.status, named) from None


def checked_settings(data, role=None):
    """(data, Settings): data as it goes on the board, with `role` in place of its own."""
    if len(data) > MAX_SETTINGS:
        raise DeviceError(WRONG_INPUT, f"settings: {len(data)} bytes are above {MAX_SETTINGS}")
    import_firmware()
    from msgin5g.settings import SettingsError, parse

    try:
        settings = parse(data, role)
        if role and json.loads(data).get("role", "ue") != role:
            data = json.dumps({**json.loads(data), "role": role}).encode()
    except SettingsError as error:
        raise DeviceError(WRONG_INPUT, str(error)) from None
    return data, settings


def checked_secrets(data, settings=None):
    """The same bytes, when they are a JSON object; its values are never shown.

    settings: the bytes of the settings that they go with, or None; both are checked together by
    the firmware's rules.
    """
    try:
        if not isinstance(parse_json(data.decode("utf-8", "replace"), "secrets"), dict):
            raise DeviceError(WRONG_INPUT, "secrets: must be a JSON object")
    except FileError as error:
        raise DeviceError(WRONG_INPUT, str(error)) from None
    if settings is not None:
        import_firmware()
        from msgin5g.settings import SettingsError, parse

        try:
            parse(settings, None, data)
        except SettingsError as error:
            raise DeviceError(WRONG_INPUT, str(error)) from None
    return data


def asked_by(data):
    """HOST:PORT that a UE with these settings asks, or None."""
    try:
        settings = checked_settings(data)[1]
    except DeviceError:
        return None
    if settings.role != "ue" or settings.next_hop is None:
        return None
    return "{}:{}".format(*settings.next_hop)


def role_on_board(inventory):
    """The role that the settings on a board name, or None."""
    if inventory.settings is None:
        return None
    try:
        return checked_settings(inventory.settings)[1].role
    except DeviceError:
        return None
