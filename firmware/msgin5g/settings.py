"""settings.json: read, checked, with defaults; one clear line for a mistake.

The keys and their meaning are in the README. A key that nobody asks for is ignored and listed in
`unknown`, so that a typing error is seen.
"""

from msgin5g.coap.transmission import Parameters
from msgin5g.configuration.strict_json import JsonFault
from msgin5g.configuration.strict_json import parse as parse_json
from msgin5g.unload import unload

# Keys that hold an object, and those that a UE has no use for; one text takes the least heap.
_GROUPS = (
    " server bulk security wifi access_point espnow refresh retry transmission relay gateway "
    "seal_c "
)
_HOP_KEYS = " bulk links strict_codes relay gateway seal_c own_configuration "

_MAX_URI = 255  # bytes in one CoAP option
_MAX_FILE = 16384  # bytes of settings.json; hundreds of links
_MAX_UE_ID = 248  # 255 less `ue-uri=`


class SettingsError(Exception):
    """A setting that cannot be used; the text names the key and the rule in one line."""


class _Values:
    """The JSON object; what is taken out of it was asked for, what stays is unknown."""

    def __init__(self, values):
        self.values = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}

    def take(self, key):
        group = self.values
        if "." in key:
            outer, key = key.split(".")
            group = group.get(outer)
            if group is None:
                return None
            if not isinstance(group, dict):
                raise _error(outer, "must be an object")
        return group.pop(key, None)

    def left(self, hop):
        """The keys that nobody has asked for; those of a hop are known to a UE, too."""
        unknown = []
        for key, value in self.values.items():
            if not hop and " " + key + " " in _HOP_KEYS:
                continue
            if isinstance(value, dict) and " " + key + " " in _GROUPS:
                unknown.extend([key + "." + k for k in value])
            else:
                unknown.append(key)
        return unknown

    def number(self, key, default, low, high):
        value = self.take(key)
        if value is None:
            return default
        return _number(key, value, low, high)

    def flag(self, key, default):
        value = self.take(key)
        if value is None:
            return default
        if value is not True and value is not False:
            raise _error(key, "must be true or false")
        return value

    def choice(self, key, *choices):
        value = self.take(key)
        if value is None:
            return choices[0]
        if value not in choices or isinstance(value, bool):
            raise _error(key, "must be one of " + ", ".join([str(c) for c in choices]))
        return value

    def text(self, key, default=None, high=_MAX_URI, low=1):
        value = self.take(key)
        return default if value is None else _text(key, value, low, high)

    def uri(self, key, default=None, high=_MAX_URI):
        value = self.take(key)
        return default if value is None else _uri(key, value, high)

    def address(self, key, default=None, low=1):
        value = self.take(key)
        return default if value is None else _address(key, value, low)


class Settings:
    """The settings as attributes; no code in it, so that this module can be unloaded."""


def settings_of(values):
    """Settings from a dict; SettingsError for the first value that is wrong."""
    settings = Settings()
    values = _Values(values)
    settings.role = role = values.choice("role", "ue", "relay", "gateway", "seal-c")
    settings.ue_id = values.uri("ue_id", None, _MAX_UE_ID)
    if settings.ue_id is None:
        raise _error("ue_id", "is missing: the MSGin5G UE ID, a URI")
    settings.bind = values.address("bind", ("0.0.0.0", 65401), 0)
    settings.next_hop = values.address("next_hop")
    next_hop_is = values.choice("next_hop_is", "relay", "gateway", "server")
    settings.server_recipient = values.uri("server.recipient", "coap://scm.example")
    settings.server_address = values.address("server.address")
    settings.service_id = values.text("service_id", "msgin5g")
    settings.ue_vendor = values.text("ue_vendor", None, 200)
    settings.ue_type = values.text("ue_type", None, 8, 8)
    if settings.ue_type and not settings.ue_type.isdigit():
        raise _error("ue_type", "must be 8 digits")
    settings.recipient_option = values.number("recipient_option", 65020, 1, 65535)
    settings.content_format = values.number("content_format", 65001, 0, 65535)
    settings.check_source_port = values.flag("check_source_port", True)
    settings.security_mode = values.choice("security.mode", "none")
    settings.radio = _radio(values, role)
    settings.observe = values.flag("observe", True)
    settings.start_delay_s = values.number("start_delay_s", 3, 0, 3600)
    settings.block_size = values.choice("block_size", 1024, 512, 256, 128, 64, 32, 16)
    settings.max_document_size = values.number("max_document_size", 8192, 64, 1048576)
    settings.refresh_min_s = values.number("refresh.min_s", 60, 1, 86400)
    settings.refresh_max_s = values.number("refresh.max_s", 86400, 1, 86400)
    if settings.refresh_min_s > settings.refresh_max_s:
        raise _error("refresh.min_s", "must not be above refresh.max_s")
    settings.retry_first_s = values.number("retry.first_s", 5, 1, 86400)
    settings.retry_max_s = values.number("retry.max_s", 3600, 1, 86400)
    settings.retry_jitter_percent = values.number("retry.jitter_percent", 50, 0, 100)
    settings.probing_rate = values.number("retry.probing_rate", 8, 1, 1000000)
    # auto: at_once, or lasting when an application runs beside the role
    settings.confirm = values.choice(
        "confirm", "auto", "at_once", "lasting", "ping", "application"
    )
    settings.trial_s = values.number("trial_s", 300, 10, 86400)
    settings.watchdog_s = values.number("watchdog_s", 0, 0, 600)
    settings.button_pin = values.number("button_pin", None, 0, 63)
    settings.prompt = values.flag("prompt", False)
    settings.application = values.text("application", None, 64)
    settings.log = values.choice("log", "text", "json")
    settings.trace = values.flag("trace", False)
    nstart = 1
    if role != "ue":
        # What a UE has no use for is in a module of its own, which a UE does not load.
        from msgin5g.settings_hop import take_hop

        take_hop(settings, values)
        nstart = settings.max_flows  # it speaks to the server for many UEs at once
    settings.parameters = Parameters(
        values.number("transmission.ack_timeout_ms", 2000, 1, 60000),
        values.number("transmission.ack_random_percent", 150, 100, 300),
        values.number("transmission.max_retransmit", 4, 0, 8),
        values.number("transmission.nstart", nstart, 1, 10000),
    )
    if role == "ue":
        if settings.next_hop is None and not (settings.radio and settings.radio.peers):
            raise _error("next_hop", "is missing: [host, port] of the relay or gateway")
    # Behind a relay or gateway an answer must say whose it is.
    settings.require_recipient = role == "ue" and next_hop_is != "server"
    settings.peer_key = None  # set by main, when check_source_port is off
    settings.unknown = values.left(role != "ue")
    return settings


def _radio(values, role):
    """RadioSettings of a board that has any; see settings_radio."""
    for group in ("wifi", "access_point", "espnow"):
        if group in values.values:
            break
    else:
        return None
    from msgin5g.settings_radio import radio_of

    radio = radio_of(values)
    if radio and role == "ue" and len(radio.peers) > 1:
        raise _error("espnow.peers", "must be one, the next hop, for a UE")
    del radio_of
    unload("settings_radio")
    return radio


def parse(text, role=None):
    """Settings from JSON text (str or bytes); SettingsError for anything that is wrong."""
    try:
        values = parse_json(text.encode() if isinstance(text, str) else text)
    except JsonFault as fault:
        raise SettingsError("settings: not JSON: " + str(fault))
    if not isinstance(values, dict):
        raise SettingsError("settings: must be a JSON object")
    if role:
        values["role"] = role
    return settings_of(values)


def load(path, role=None):
    """Settings from a file, or None after one line that says what is wrong with them.

    role: in place of the file's own.
    """
    settings = None
    try:
        with open(path, "rb") as file:
            settings = parse(file.read(_MAX_FILE), role)
    except OSError:
        print("settings: " + path + ": cannot be read")
    except SettingsError as error:
        print(str(error))
    if settings is not None and settings.unknown:
        print("settings: unknown, ignored: " + ", ".join(settings.unknown))
    return settings


def _error(key, rule):
    return SettingsError("settings: " + key + ": " + rule)


def _number(key, value, low, high):
    if not isinstance(value, int) or isinstance(value, bool):
        raise _error(key, "must be a whole number")
    if not low <= value <= high:
        raise _error(key, str(value) + " is not " + str(low) + " to " + str(high))
    return value


def _text(key, value, low, high):
    if not isinstance(value, str):
        raise _error(key, "must be a text")
    size = len(value.encode())
    if not low <= size <= high:
        raise _error(key, str(size) + " bytes are not " + str(low) + " to " + str(high))
    for char in value:
        if ord(char) < 32 or ord(char) == 127:
            raise _error(key, "has a control character")
    return value


def _uri(key, value, high):
    """The shape of RFC 3986: a scheme, a colon, something, and no blanks."""
    _text(key, value, 1, high)
    scheme = value.split(":")[0]
    if (
        len(scheme) + 1 >= len(value)
        or " " in value
        or not scheme[0:1].isalpha()
        or not all(c.isalpha() or c.isdigit() or c in "+-." for c in scheme)
    ):
        raise _error(key, "must be a URI such as urn:x-msgin5g:ue:0007")
    return value


def _address(key, value, low):
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise _error(key, "must be [host, port]")
    _text(key, value[0], 1, 253)
    if not isinstance(value[1], int) or isinstance(value[1], bool):
        raise _error(key, "port must be a whole number")
    if not low <= value[1] <= 65535:
        raise _error(key, "port " + str(value[1]) + " is not " + str(low) + " to 65535")
    return (value[0], value[1])
