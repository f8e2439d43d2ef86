"""settings.json: read, validated, with defaults; one clear line for a mistake.

secrets.json beside it has the secret values, by the same keys: {"wifi": {"key": ...}}. A key in
it outside of all groups is left to the application. The values of secrets.json are never printed.

docs/settings.md describes all keys. A key that is not known is ignored and listed in `unknown`,
so that a person notices a typing error.
"""

import os

from micropython import const
from msgin5g.coap.retransmission import Parameters
from msgin5g.config.json import JsonError, loads
from msgin5g.settings.rules import SettingsError, error, take_all

# See rules. confirm auto: lasting when an application runs beside the role, else at_once.
_KEYS = const("""\
role c ue relay gateway seal-c
ue_id u 1 248
bind a 0
next_hop a 1
next_hop_is c relay gateway server
server.recipient u 1 255 coap://scm.example
server.address a 1
server.host t 1 255
server.path_prefix t 1 200
service_id t 1 255 msgin5g
ue_vendor t 1 200
ue_type t 8 8
ue_snr t 1 6
recipient_option n 300 65535 65020
content_format n 0 65535 65001
check_source_port f 1
security.mode c none oscore
security.master_secret h 16 16
security.master_salt h 1 32
security.sender_id h 0 7
security.recipient_id h 0 7
security.id_context h 0 16
observe f 1
report_refused f
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
apply_interval_s n 0 3600 5
on_deleted c keep remove
watchdog_s n 0 600 0
button_pin n 0 63
prompt f
gc_percent n 1 100 25
application t 1 64
log c text json
trace f
transmission:ack_timeout_ms n 1 60000 2000
transmission:ack_random_percent n 100 300 150
transmission:max_retransmit n 0 8 4
transmission:nstart n 1 10000""")

# A UE ignores the groups of an intermediary: a file may be used for one role after the other.
_INTERMEDIARY_KEYS = const(" bulk links strict_codes relay gateway seal_c own_configuration ")
_MAX_SEGMENTS = const(16)  # of path_prefix
_MAX_API_ROOT_SIZE = const(512)  # with the longest IDs of UE and document a request still fits
_MAX_FILE_SIZE = const(16384)  # bytes of settings.json; hundreds of links


class Settings:
    """The settings as attributes, without methods: main drops this module after the start."""


def settings_of(values):
    """The Settings of a dict; SettingsError for the first value that is wrong."""
    settings = Settings()
    # A copy: each known key is removed from it, so what is left is unknown.
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}
    take_all(settings, values, _KEYS)
    is_ue = settings.role == "ue"
    if settings.ue_id is None:
        raise error("ue_id", "is missing: the MSGin5G UE ID, a URI")
    settings.bind = settings.bind or ("0.0.0.0", 65401)
    _check_api_root(settings)
    if settings.ue_type and not settings.ue_type.encode().isdigit():
        raise error("ue_type", "must be 8 digits")
    if settings.ue_snr:
        if not settings.ue_snr.encode().isdigit():
            raise error("ue_snr", "must be 1 to 6 digits")
        if not settings.ue_type:
            raise error("ue_snr", "needs ue_type, the first 8 digits of the same IMEI")
    if settings.refresh_min_s > settings.refresh_max_s:
        raise error("refresh.min_s", "must not be above refresh.max_s")
    settings.radio = None
    if "wifi" in values or "access_point" in values or "espnow" in values:
        from msgin5g.settings.radio import radio_of

        settings.radio = radio_of(values, is_ue)
    if not is_ue:
        from msgin5g.settings.intermediary import take_intermediary

        take_intermediary(settings, values)
    elif settings.next_hop is None and not (settings.radio and settings.radio.peers):
        raise error("next_hop", "is missing: [host, port] of the relay or gateway")
    settings.parameters = Parameters(
        settings.ack_timeout_ms,
        settings.ack_random_percent,
        settings.max_retransmit,
        settings.nstart or 1,
    )
    # Behind a relay or gateway a response must name its recipient.
    settings.require_recipient = is_ue and settings.next_hop_is != "server"
    settings.peer_key = None  # set by the builder, when check_source_port is off
    settings.unknown = unknown = []
    for key, value in values.items():
        if not is_ue or " " + key + " " not in _INTERMEDIARY_KEYS:
            unknown += [key + "." + k for k in value] if isinstance(value, dict) else [key]
    return settings


def _check_api_root(settings):
    """SettingsError for a host or path that is none, or that leaves no room in a request."""
    host = settings.server_host
    prefix = settings.server_path_prefix
    if host:
        # RFC 7252 section 6.4: in lower case.
        settings.server_host = host = host.lower()
        if host.strip("/?#@ ") != host or "/" in host or " " in host:
            raise error("server.host", "must be a host name such as scm.example")
    # RFC 7252 section 5.10.1: no segment is "." or "..".
    if settings.service_id in (".", ".."):
        raise error("service_id", "must not be . or ..")
    segments = prefix.split("/") if prefix else ()
    for segment in segments:
        if segment in ("", ".", "..") or len(segments) > _MAX_SEGMENTS:
            raise error("server.path_prefix", "must be 1 to 16 segments such as root/scm")
    size = len(settings.service_id.encode()) + len(settings.server_recipient.encode())
    size += len(host.encode()) if host else 0
    size += len(prefix.encode()) + prefix.count("/") if prefix else 0
    if size > _MAX_API_ROOT_SIZE:
        rule = "with path_prefix, recipient and service_id %d bytes, more than %d"
        raise error("server.host", rule % (size, _MAX_API_ROOT_SIZE))


def parse(text, role=None, secrets=None):
    """The Settings of JSON text, str or bytes; SettingsError for the first mistake."""
    values = _object("settings", text)
    group = values.get("security")
    if isinstance(group, dict) and ("master_secret" in group or "ues" in group):
        # settings.json is copied, shown and read back.
        raise SettingsError("settings: security: keys are for secrets.json only")
    secrets = _object("secrets", b"{}" if secrets is None else secrets)
    for group, inner in secrets.items():
        if isinstance(inner, dict) and isinstance(values.setdefault(group, {}), dict):
            values[group].update(inner)
    if role:
        values["role"] = role
    try:
        return settings_of(values)
    except SettingsError as mistake:
        # `links` has keys of its own: "links urn:x-msgin5g:ue:0007".
        if mistake.without_value and mistake.key.replace(" ", ".").partition(".")[0] in secrets:
            raise SettingsError(mistake.without_value)
        raise


def _object(name, text):
    text = text.encode() if isinstance(text, str) else text
    if text[:3] == b"\xef\xbb\xbf":  # the byte order mark of an editor
        text = text[3:]
    elif b"\0" in text[:2]:
        raise SettingsError("%s: not JSON: save the file as UTF-8, not as UTF-16" % name)
    try:
        values = loads(text)
    except JsonError as cause:
        rule, _, at = str(cause).rpartition(" at byte ")
        before = text[: int(at)].split(b"\n")
        place = (len(before), len(before[-1]) + 1)
        raise SettingsError("%s: not %s at line %d, column %d" % ((name, rule) + place))
    if not isinstance(values, dict):
        raise SettingsError("%s: must be a JSON object" % name)
    return values


def load(path, role=None):
    """The Settings of a file; None after printing one line that says what is wrong.

    role: overrides that of the file.
    """
    text = _read(path)
    if text is None:
        print("settings: %s: cannot be read" % path)
        return None
    try:
        settings = parse(text, role, _read(path[: path.rfind("/") + 1] + "secrets.json"))
    except SettingsError as mistake:
        print(mistake)
        return None
    if settings.unknown:
        print("settings: unknown, ignored: " + ", ".join(settings.unknown))
    served = settings.role == "ue" or settings.role == "seal-c" or settings.links
    if not served and not settings.radio and not settings.own_configuration:
        print("settings: links: none, so that no UE is served")
    return settings


def _read(path):
    try:
        with open(path, "rb") as file:
            # MicroPython allocates as many bytes as may be read.
            return file.read(min(os.stat(path)[6] or _MAX_FILE_SIZE, _MAX_FILE_SIZE))
    except OSError:
        return None
