"""The radios of a board: their drivers are started, and collected in Radios."""

from msgin5g.port.remote import host_of
from msgin5g.port.resolver import TransportError
from msgin5g.services.radios import Radios

_NO_ESPNOW = "link: ESP-NOW is not on this board"


def start_radios(radio, random):
    """Start the drivers of RadioSettings: Radios. random: a function that gives a random byte.

    A machine without a radio uses the network that it has. TransportError when ESP-NOW, which
    nothing can replace, is not there, or when a driver refuses its settings. An interface that
    the settings do not name is switched off: a soft reset leaves the radio as it was.
    """
    radios = Radios(random, host_of)
    try:
        import network

        kind = network.WLAN
    except (ImportError, AttributeError):
        if radio.peers:
            raise TransportError(_NO_ESPNOW)
        print("wifi: this machine has no radio, the setting is ignored")
        return radios
    try:
        if radio.ssid is None:
            wlan = kind(kind.IF_STA)
            if wlan.isconnected():
                wlan.disconnect()
            if wlan.active():
                wlan.active(False)
        if radio.access_point_ssid is None:
            wlan = kind(kind.IF_AP)
            if wlan.active():
                wlan.active(False)
        if radio.ssid is not None:
            from msgin5g.port.wlan import Station

            radios.add_station(Station(network, random, radio.ssid, radio.key, radio.address))
        if radio.access_point_ssid is not None:
            from msgin5g.port.wlan import AccessPoint

            radios.add_access_point(
                AccessPoint(
                    network,
                    radio.access_point_ssid,
                    radio.access_point_key,
                    radio.access_point_channel,
                    radio.stations,
                )
            )
        if radio.peers:
            radios.add_espnow(_start_espnow(kind, radio))
    except (OSError, RuntimeError) as error:
        raise TransportError("link: the radio refuses: " + str(error))
    return radios


def _start_espnow(kind, radio):
    try:
        import espnow
    except ImportError:
        raise TransportError(_NO_ESPNOW)
    from msgin5g.port.espnow import EspNowTransport

    if radio.ssid is None:
        wlan = kind(kind.IF_STA)
        wlan.active(True)  # ESP-NOW sends nothing without an active interface
        # Without one of its own the channel is that of our access point; else the last one stays.
        channel = radio.channel or (1 if radio.access_point_ssid is None else None)
        if channel is not None:
            wlan.config(channel=channel)
    return EspNowTransport(espnow.ESPNow(), radio.pmk, radio.peers, radio.probe_s * 1000)
