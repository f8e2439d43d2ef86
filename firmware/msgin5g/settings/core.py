"""settings.json: read, checked, with defaults; one clear line for a mistake.

secrets.json beside it has what nobody else is to see, by the same keys: {"wifi": {"key": ...}}.
What it has that is in no group is left to the application. Its values are never told.

The keys and their meaning are in the README. A key that nobody asks for is ignored and listed in
`unknown`, so that a typing error is seen.

A table has a key a line: `key kind low high default`. The kind is n, a whole number; t, a text,
or u, a URI, by their bytes; a, an address, by its port; f, a flag, set by default if there is a 1;
or c, a choice of what follows, the first by default. Without a default it is None. The attribute
of Settings is called as the key, `refresh_min_s` for refresh.min_s; after a colon is all of it.
"""

import os

from micropython import const
from msgin5g.coap.exchange import Parameters
from msgin5g.config.json import JsonError
from msgin5g.config.json import parse as parse_json

# confirm auto: at_once, or lasting when an application runs beside the role.
_KEYS = const("""\
role c ue relay gateway seal-c
ue_id u 1 248
bind a 0
next_hop a 1
next_hop_is c relay gateway server
server.recipient u 1 255 coap://scm.example
server.address a 1
service_id t 1 255 msgin5g
ue_vendor t 1 200
ue_type t 8 8
recipient_option n 300 65535 65020
content_format n 0 65535 65001
check_source_port f 1
security.mode c none
observe f 1
start_delay_s n 0 3600 3
block_size c 1024 512 256 128 64 32 16
max_document_size n 64 1048576 8192
refresh.min_s n 1 86400 60
refresh.max_s n 1 86400 86400
retry.first_s n 1 86400 5
retry.max_s n 1 86400 3600
retry.jitter_percent n 0 100 50
retry:probing_rate n 1 1000000 8
confirm c auto at_once lasting ping application
trial_s n 10 86400 300
watchdog_s n 0 600 0
button_pin n 0 63
prompt f
application t 1 64
log c text json
trace f
transmission:ack_timeout_ms n 1 60000 2000
transmission:ack_random_percent n 100 300 150
transmission:max_retransmit n 0 8 4
transmission:nstart n 1 10000""")

# What a UE has no use for; a hop's settings stay the same when it becomes a UE.
_HOP_KEYS = const(" bulk links strict_codes relay gateway seal_c own_configuration ")
_SCHEME = const("abcdefghijklmnopqrstuvwxyz0123456789+-.")
_MAX_FILE = const(16384)  # bytes of settings.json; hundreds of links


class SettingsError(Exception):
    """A setting that cannot be used; the text names the key and the rule in one line."""


class Settings:
    """The settings as attributes; no code in it, so that this module can be unloaded."""


def settings_of(values):
    """Settings from a dict; SettingsError for the first value that is wrong."""
    settings = Settings()
    # What is taken out of it was asked for, what stays is unknown.
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}
    *_, ack_timeout_ms, random_percent, max_retransmit, nstart = take_all(settings, values, _KEYS)
    is_ue = settings.role == "ue"
    if settings.ue_id is None:
        raise error("ue_id", "is missing: the MSGin5G UE ID, a URI")
    settings.bind = settings.bind or ("0.0.0.0", 65401)
    if settings.ue_type and not settings.ue_type.isdigit():
        raise error("ue_type", "must be 8 digits")
    if settings.refresh_min_s > settings.refresh_max_s:
        raise error("refresh.min_s", "must not be above refresh.max_s")
    settings.radio = None
    if "wifi" in values or "access_point" in values or "espnow" in values:
        from msgin5g.settings.radio import radio_of

        settings.radio = radio_of(values, is_ue)
    default = 1
    if not is_ue:
        # What a UE has no use for is in a module of its own, which a UE does not load.
        from msgin5g.settings.intermediary import take_hop

        take_hop(settings, values)
        default = settings.max_flows  # it speaks to the server for many UEs at once
    elif settings.next_hop is None and not (settings.radio and settings.radio.peers):
        raise error("next_hop", "is missing: [host, port] of the relay or gateway")
    settings.parameters = Parameters(
        ack_timeout_ms, random_percent, max_retransmit, nstart or default
    )
    # Behind a relay or gateway an answer must say whose it is.
    settings.require_recipient = is_ue and settings.next_hop_is != "server"
    settings.peer_key = None  # set by main, when check_source_port is off
    settings.unknown = unknown = []
    for key, value in values.items():
        if not is_ue or " " + key + " " not in _HOP_KEYS:
            unknown += [key + "." + k for k in value] if isinstance(value, dict) else [key]
    return settings


def take_all(settings, values, table):
    """Set the attributes of a table, their values taken out of `values`; gives all of them."""
    taken = []
    for line in table.split("\n"):
        key, kind, *rule = line.split(" ")
        name = key.split(":")[-1].replace(".", "_")
        key = key.replace(":", ".")
        value = take(values, key)
        rule = [int(word) if word.isdigit() else word for word in rule]
        if value is not None:
            value = checked(key, kind, value, rule)
        elif kind == "f":
            value = bool(rule)
        elif kind == "c":
            value = rule[0]
        elif len(rule) > 2:
            value = rule[2]
        setattr(settings, name, value)
        taken.append(value)
    return taken


def take(values, key):
    """The value of a key, taken out; None without one. What is empty then was all asked for."""
    group, dot, inner = key.partition(".")
    value = values.pop(group, None)
    if dot and value is not None:
        found = value
        if not isinstance(found, dict):
            raise error(group, "must be an object")
        value = found.pop(inner, None)
        if found:
            values[group] = found
    return value


def checked(key, kind, value, rule):
    """The value of a key; SettingsError when it is not as kind and rule of a table say."""
    number = value
    what = ""
    if kind == "a":
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise error(key, "must be [host, port]")
        checked(key, "t", value[0], (1, 253))
        value = tuple(value)
        number = value[1]
        rule = (rule[0], 65535)
        what = "port "
    elif kind in "tu":
        if not isinstance(value, str):
            raise error(key, "must be a text")
        number = len(value.encode())
    elif kind == "f":
        if type(value) is not bool:
            raise error(key, "must be true or false")
        return value
    elif kind == "c":
        if value not in rule:
            raise error(key, "must be one of " + ", ".join(map(str, rule)))
        return rule[rule.index(value)]  # 64.0 is 64
    if type(number) is not int:
        raise error(key, what + "must be a whole number")
    if not rule[0] <= number <= rule[1]:
        what += "%d bytes are not %d to %d" if kind in "tu" else "%d is not %d to %d"
        raise error(key, what % (number, rule[0], rule[1]))
    if kind in "tu" and (min(value) < " " or "\x7f" in value):
        raise error(key, "has a control character")
    if kind == "u":
        # The shape of RFC 3986: a scheme, a colon, something, and no blanks.
        scheme, _, rest = value.lower().partition(":")
        if not rest or " " in rest or not scheme[:1].isalpha() or scheme.strip(_SCHEME):
            raise error(key, "must be a URI such as urn:x-msgin5g:ue:0007")
    return value


def error(key, rule):
    """The SettingsError of a key."""
    return SettingsError("settings: %s: %s" % (key, rule))


def parse(text, role=None, secrets=None):
    """Settings from JSON text (str or bytes); SettingsError for anything that is wrong."""
    values = _object("settings", text)
    for group, inner in _object("secrets", b"{}" if secrets is None else secrets).items():
        if isinstance(inner, dict) and isinstance(values.setdefault(group, {}), dict):
            values[group].update(inner)
    if role:
        values["role"] = role
    return settings_of(values)


def _object(name, text):
    try:
        values = parse_json(text.encode() if isinstance(text, str) else text)
    except JsonError as fault:
        raise SettingsError("%s: not JSON: %s" % (name, fault))
    if not isinstance(values, dict):
        raise SettingsError("%s: must be a JSON object" % name)
    return values


def load(path, role=None):
    """Settings from a file, or None after one line that says what is wrong with them.

    role: in place of the file's own.
    """
    text = _read(path)
    if text is None:
        print("settings: %s: cannot be read" % path)
        return None
    try:
        settings = parse(text, role, _read(path[: path.rfind("/") + 1] + "secrets.json"))
    except SettingsError as fault:
        print(fault)
        return None
    if settings.unknown:
        print("settings: unknown, ignored: " + ", ".join(settings.unknown))
    return settings


def _read(path):
    try:
        with open(path, "rb") as file:
            # It takes as much memory as it may read.
            return file.read(min(os.stat(path)[6] or _MAX_FILE, _MAX_FILE))
    except OSError:
        return None
