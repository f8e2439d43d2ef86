"""The settings of a board's radios: wifi, access_point, espnow. Only who has them loads this."""

from binascii import unhexlify

from msgin5g.settings import _MAX_UE_ID, _error, _uri


class RadioSettings:
    """The settings as attributes; no code in it, so that this module can be unloaded."""


def radio_of(values):
    """RadioSettings, or None without any of them; SettingsError for the first that is wrong."""
    radio = RadioSettings()
    radio.ssid = values.text("wifi.ssid", None, 32)
    radio.key = values.text("wifi.key", None, 64, 8)
    radio.address = values.text("wifi.address", None, 15, 7)
    if radio.address is not None and not _is_ipv4(radio.address):
        raise _error("wifi.address", "must be an IPv4 address such as 192.168.4.7")
    radio.ap_ssid = values.text("access_point.ssid", None, 32)
    radio.ap_key = values.text("access_point.key", None, 63, 8)
    radio.ap_channel = values.number("access_point.channel", None, 1, 13)
    stations = _object("access_point.stations", values.take("access_point.stations"))
    # {MAC address: UE ID}
    radio.stations = {_mac("access_point.stations", stations[u]): _ue_id(u) for u in stations}
    radio.pmk = _secret("espnow.pmk", values.take("espnow.pmk"))
    radio.channel = values.number("espnow.channel", None, 1, 13)
    radio.probe_s = values.number("espnow.probe_s", 10, 1, 15)
    radio.peers = {}  # {MAC address: (key or None, UE ID)}
    peers = _object("espnow.peers", values.take("espnow.peers"))
    for ue_id in peers:
        peer = peers[ue_id]
        if not isinstance(peer, (list, tuple)) or not 1 <= len(peer) <= 2:
            raise _error("espnow.peers", "must be an object of UE ID: [MAC address, key]")
        key = _secret("espnow.peers", peer[1]) if len(peer) == 2 else None
        radio.peers[_mac("espnow.peers", peer[0])] = (key, _ue_id(ue_id))
    # ESP-IDF's limits, in total and encrypted.
    n_keys = len([1 for key, _ in radio.peers.values() if key])
    if len(radio.peers) > 20 or n_keys > 6:
        raise _error("espnow.peers", "must be 20 at most, 6 of them with a key")
    if radio.ssid is None and radio.ap_ssid is None and not radio.peers:
        return None
    return radio


def _object(key, value):
    if value is not None and not isinstance(value, dict):
        raise _error(key, "must be an object")
    return value or {}


def _ue_id(value):
    return _uri("links", value, _MAX_UE_ID)


def _mac(key, value):
    try:
        mac = unhexlify(value.replace(":", ""))
    except (ValueError, AttributeError, TypeError):
        mac = b""
    if len(mac) != 6:
        raise _error(key, "must be a MAC address such as 24:0a:c4:00:00:07")
    return mac


def _secret(key, value):
    if value is None:
        return None
    try:
        secret = unhexlify(value)
    except (ValueError, TypeError):
        secret = b""
    if len(secret) != 16:
        raise _error(key, "must be a key of 32 hex digits")
    return secret


def _is_ipv4(text):
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)
