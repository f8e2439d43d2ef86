"""The radios of a board: their drivers are started, and collected in Radios."""

from msgin5g.port.remote import host_of
from msgin5g.port.resolver import TransportError
from msgin5g.services.radios import Radios


def start_radios(radio, random):
    """Start the drivers of RadioSettings: Radios. random: a function that gives a random byte.

    A machine without a radio uses the network that it has. TransportError when ESP-NOW, which
    nothing can replace, is not there, or when a driver refuses its settings.
    """
    radios = Radios(random, host_of)
    try:
        import network

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
            radios.add_espnow(_start_espnow(network, radio))
    except (ImportError, RuntimeError):
        if radio.peers:
            raise TransportError("link: ESP-NOW is not on this board")
        print("wifi: this machine has no radio, the setting is ignored")
    except OSError as error:
        raise TransportError("link: the radio refuses: " + str(error))
    return radios


def _start_espnow(network, radio):
    import espnow

    from msgin5g.port.espnow import EspNowTransport

    if radio.ssid is None:
        wlan = network.WLAN(network.WLAN.IF_STA)
        wlan.active(True)  # ESP-NOW sends nothing without an active interface
        if radio.channel is not None:
            wlan.config(channel=radio.channel)
    return EspNowTransport(espnow.ESPNow(), radio.pmk, radio.peers, radio.probe_s * 1000)
