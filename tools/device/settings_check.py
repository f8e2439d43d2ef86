"""Check settings and secrets by the firmware's own rules, before a board is touched."""

import json
from pathlib import Path

from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.paths import import_firmware

MAX_SETTINGS = 16384  # bytes; the firmware reads no more


def read_file(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DeviceError(WRONG_INPUT, f"{path}: {error.strerror}") from None


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
        if not isinstance(json.loads(data), dict):
            raise DeviceError(WRONG_INPUT, "secrets: must be a JSON object")
    except (ValueError, RecursionError):
        raise DeviceError(WRONG_INPUT, "secrets: not JSON") from None
    if settings is not None:
        import_firmware()
        from msgin5g.settings import SettingsError, parse

        try:
            parse(settings, None, data)
        except SettingsError as error:
            raise DeviceError(WRONG_INPUT, str(error)) from None
    return data


def role_on_board(inventory):
    """The role that the settings on a board name, or None."""
    if inventory.settings is None:
        return None
    try:
        return checked_settings(inventory.settings)[1].role
    except DeviceError:
        return None
