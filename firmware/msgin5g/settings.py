"""settings.json: read, checked against one table, with defaults; one clear line for a mistake.

The keys and their meaning are in the README. A key that is not in the table is ignored and
listed in `unknown`, so that a typing error is seen.
"""

import json

from msgin5g.coap.transmission import Parameters

_ROLES = ("ue", "relay", "gateway")
_MAX_URI = 255  # bytes in one CoAP option
_MAX_UE_ID = 248  # 255 less `ue-uri=`

# (key, attribute, default, kind, low, high); low and high are the range of a number, or of the
# UTF-8 length of a text. A dotted key is a key in an object.
_TABLE = (
    ("role", "role", "ue", _ROLES, 0, 0),
    ("ue_id", "ue_id", None, "uri", 1, _MAX_UE_ID),
    ("bind", "bind", ("0.0.0.0", 65401), "address", 0, 65535),
    ("next_hop", "next_hop", None, "address", 1, 65535),
    ("next_hop_is", "next_hop_is", "relay", ("relay", "gateway", "server"), 0, 0),
    ("server.recipient", "server_recipient", "coap://scm.example", "uri", 1, _MAX_URI),
    ("server.address", "server_address", None, "address", 1, 65535),
    ("service_id", "service_id", "msgin5g", "text", 1, _MAX_URI),
    ("bulk.id", "bulk_id", "msgin5g-bulk", "text", 1, 240),
    ("bulk.count", "bulk_count", 20, "int", 1, 1000),
    ("bulk.window_s", "bulk_window_s", 2, "int", 0, 60),
    ("ue_vendor", "ue_vendor", None, "text", 1, 200),
    ("ue_type", "ue_type", None, "digits", 8, 8),
    ("recipient_option", "recipient_option", 65020, "int", 1, 65535),
    ("content_format", "content_format", 65001, "int", 0, 65535),
    ("links", "links", {}, "links", 1, 65535),
    ("strict_codes", "strict_codes", False, "bool", 0, 0),
    ("check_source_port", "check_source_port", True, "bool", 0, 0),
    ("security.mode", "security_mode", "none", ("none",), 0, 0),
    ("wifi.ssid", "wifi_ssid", None, "text", 1, 32),
    ("wifi.key", "wifi_key", None, "text", 8, 64),
    ("observe", "observe", True, "bool", 0, 0),
    ("start_delay_s", "start_delay_s", 3, "int", 0, 3600),
    ("block_size", "block_size", 1024, (16, 32, 64, 128, 256, 512, 1024), 0, 0),
    ("max_document_size", "max_document_size", 8192, "int", 64, 1048576),
    ("refresh.min_s", "refresh_min_s", 60, "int", 1, 86400),
    ("refresh.max_s", "refresh_max_s", 86400, "int", 1, 86400),
    ("retry.first_s", "retry_first_s", 5, "int", 1, 86400),
    ("retry.max_s", "retry_max_s", 3600, "int", 1, 86400),
    ("retry.jitter_percent", "retry_jitter_percent", 50, "int", 0, 100),
    ("retry.probing_rate", "probing_rate", 8, "int", 1, 1000000),
    ("transmission.ack_timeout_ms", "ack_timeout_ms", 2000, "int", 1, 60000),
    ("transmission.ack_random_percent", "ack_random_percent", 150, "int", 100, 300),
    ("transmission.max_retransmit", "max_retransmit", 4, "int", 0, 8),
    ("transmission.nstart", "nstart", None, "int", 1, 1000),
    ("relay.max_links", "max_links", 32, "int", 1, 10000),
    ("relay.max_flows", "max_flows", 16, "int", 1, 10000),
    ("relay.max_observations", "max_observations", 32, "int", 0, 10000),
    ("relay.max_rate", "max_rate", 20, "int", 1, 1000),
    ("own_configuration", "own_configuration", False, "bool", 0, 0),
    ("log", "log", "text", ("text", "json"), 0, 0),
)


class SettingsError(Exception):
    """A setting that cannot be used; the text names the key and the rule in one line."""


class Settings:
    """The settings as attributes, named in the table above."""

    def __init__(self, values):
        self.unknown = _unknown_keys(values)
        for key, attribute, default, kind, low, high in _TABLE:
            value = _lookup(values, key)
            if value is None:
                value = default
            elif isinstance(kind, tuple):
                if value not in kind or isinstance(value, bool):
                    raise _error(key, "must be one of " + ", ".join([str(k) for k in kind]))
            else:
                value = _CHECKS[kind](key, value, low, high)
            setattr(self, attribute, value)
        if self.ue_id is None:
            raise _error("ue_id", "is missing: the MSGin5G UE ID, a URI")
        if self.role == "ue":
            if self.next_hop is None:
                raise _error("next_hop", "is missing: [host, port] of the relay or gateway")
        elif self.server_address is None:
            raise _error("server.address", "is missing: [host, port] of the server")
        if self.refresh_min_s > self.refresh_max_s:
            raise _error("refresh.min_s", "must not be above refresh.max_s")
        if self.nstart is None:
            # A relay or gateway speaks to the server for many UEs at once.
            self.nstart = 1 if self.role == "ue" else self.max_flows
        # Behind a relay or gateway an answer must say whose it is.
        self.require_recipient = self.role == "ue" and self.next_hop_is != "server"
        self.peer_key = None  # set by main, when check_source_port is off
        self.parameters = Parameters(
            self.ack_timeout_ms, self.ack_random_percent, self.max_retransmit, self.nstart
        )


def parse(text):
    """Settings from JSON text (str or bytes); SettingsError for anything that is wrong."""
    try:
        values = json.loads(text)
    except (ValueError, UnicodeError):
        raise SettingsError("settings: not JSON, or cut off")
    if not isinstance(values, dict):
        raise SettingsError("settings: must be a JSON object")
    return Settings(values)


def _error(key, rule):
    return SettingsError("settings: " + key + ": " + rule)


def _lookup(values, key):
    if "." not in key:
        return values.get(key)
    outer, inner = key.split(".")
    group = values.get(outer)
    if group is None:
        return None
    if not isinstance(group, dict):
        raise _error(outer, "must be an object")
    return group.get(inner)


def _unknown_keys(values):
    known = [row[0] for row in _TABLE]
    groups = [key.split(".")[0] for key in known if "." in key]
    unknown = []
    for key in values:
        if key in groups:
            if isinstance(values[key], dict):
                unknown.extend([key + "." + k for k in values[key] if key + "." + k not in known])
        elif key not in known:
            unknown.append(key)
    return unknown


def _int(key, value, low, high):
    if not isinstance(value, int) or isinstance(value, bool):
        raise _error(key, "must be a whole number")
    if not low <= value <= high:
        raise _error(key, str(value) + " is not " + str(low) + " to " + str(high))
    return value


def _bool(key, value, low, high):
    if value is not True and value is not False:
        raise _error(key, "must be true or false")
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


def _digits(key, value, low, high):
    _text(key, value, 0, 255)
    if not low <= len(value) <= high or not value.isdigit():
        raise _error(key, "must be " + str(low) + " digits")
    return value


def _uri(key, value, low, high):
    """The shape of RFC 3986: a scheme, a colon, something, and no blanks."""
    _text(key, value, low, high)
    scheme = value.split(":")[0]
    plain = scheme.replace("+", "").replace("-", "").replace(".", "")
    if (
        len(scheme) + 1 >= len(value)
        or " " in value
        or not scheme[0:1].isalpha()
        or not all(c.isalpha() or c.isdigit() for c in plain)
    ):
        raise _error(key, "must be a URI such as urn:x-msgin5g:ue:0007")
    return value


def _address(key, value, low, high):
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise _error(key, "must be [host, port]")
    _text(key, value[0], 1, 253)
    if not isinstance(value[1], int) or isinstance(value[1], bool):
        raise _error(key, "port must be a whole number")
    if not low <= value[1] <= high:
        raise _error(key, "port " + str(value[1]) + " is not " + str(low) + " to " + str(high))
    return (value[0], value[1])


def _links(key, value, low, high):
    if not isinstance(value, dict):
        raise _error(key, "must be an object of UE ID: [host, port]")
    links = {}
    for ue_id in value:
        _uri(key, ue_id, 1, _MAX_UE_ID)
        links[ue_id] = _address(key + " " + ue_id, value[ue_id], low, high)
    return links


_CHECKS = {
    "int": _int,
    "bool": _bool,
    "text": _text,
    "digits": _digits,
    "uri": _uri,
    "address": _address,
    "links": _links,
}
