"""The settings of a board's radios: wifi, access_point, espnow."""

from binascii import unhexlify

from micropython import const
from msgin5g.settings.rules import checked_ue_id, error, take, take_all

_KEYS = const("""\
wifi:ssid t 1 32
wifi:key t 8 64
wifi:address t 7 15
access_point.ssid t 1 32
access_point.key t 8 63
access_point.channel n 1 13 1
espnow:channel n 1 13
espnow:probe_s n 1 15 10""")


class RadioSettings:
    """The settings of radios as attributes, without methods: main drops this module."""


def radio_of(values, is_ue):
    """RadioSettings, or None without any of them; SettingsError for the first that is wrong."""
    radio = RadioSettings()
    take_all(radio, values, _KEYS)
    if radio.address is not None and not _is_ipv4(radio.address):
        raise error("wifi.address", "must be an IPv4 address such as 192.168.4.7")
    key = "access_point.stations"
    stations = _object(values, key)
    # {MAC address: UE ID}
    radio.stations = {_mac(key, stations[u]): checked_ue_id(key, u) for u in stations}
    radio.pmk = _secret("espnow.pmk", take(values, "espnow.pmk"))
    radio.peers = {}  # {MAC address: (key or None, UE ID)}
    peers = _object(values, "espnow.peers")
    for ue_id in peers:
        peer = peers[ue_id]
        if not isinstance(peer, (list, tuple)) or not 1 <= len(peer) <= 2:
            raise error("espnow.peers", "must be an object of UE ID: [MAC address, key]")
        key = _secret("espnow.peers", peer[1]) if len(peer) == 2 else None
        radio.peers[_mac("espnow.peers", peer[0])] = (key, checked_ue_id("espnow.peers", ue_id))
    # ESP-IDF's limits, in total and encrypted.
    n_keys = len([1 for key, _ in radio.peers.values() if key])
    if len(radio.peers) > 20 or n_keys > 6:
        raise error("espnow.peers", "must be 20 at most, 6 of them with a key")
    if is_ue and len(radio.peers) > 1:
        raise error("espnow.peers", "must be one, the next hop, for a UE")
    if radio.ssid is None and radio.access_point_ssid is None and not radio.peers:
        return None
    return radio


def _object(values, key):
    value = take(values, key)
    if value is not None and not isinstance(value, dict):
        raise error(key, "must be an object")
    return value or {}


def _mac(key, value):
    try:
        mac = unhexlify(value.replace(":", ""))
    except (ValueError, AttributeError, TypeError):
        mac = b""
    if len(mac) != 6:
        raise error(key, "must be a MAC address such as 24:0a:c4:00:00:07")
    return mac


def _secret(key, value):
    if value is None:
        return None
    try:
        secret = unhexlify(value)
    except (ValueError, TypeError):
        secret = b""
    if len(secret) != 16:
        raise error(key, "must be a key of 32 hex digits")
    return secret


def _is_ipv4(text):
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)
