"""The radios of a node, from settings: Wi-Fi as parts, ESP-NOW as a link too; see composition.

Radios(radio, random)      before there is a socket: the drivers start
radios.join(node)          when there is a node: parts, links that come up and go down, status
"""

from msgin5g.coap.ticks import add
from msgin5g.port.address import TransportError
from msgin5g.port.peer import host_of


class Radios:
    """radio: RadioSettings. `parts`: what the settings ask for; `espnow`: its link, or None.

    A machine without a radio is let alone: its host has a network. LinkError when ESP-NOW, which
    nothing can stand in for, is not there, or when a driver refuses what it is given.
    """

    def __init__(self, radio, random):
        self.parts = []
        self.espnow = None
        self._random = random
        self._station = self._access_point = None
        self._stations = radio.stations
        self._addresses = {}  # {UE ID: remote on link 0} of those that may associate
        try:
            import network

            self._begin(network, radio, random)
        except (ImportError, RuntimeError):
            if radio.peers:
                raise TransportError("link: ESP-NOW is not on this board")
            print("wifi: no radio on this machine, left alone")
        except OSError as error:
            raise TransportError("link: the radio refuses: " + str(error))

    def _begin(self, network, radio, random):
        if radio.ssid is not None:
            from msgin5g.port.wlan import Station

            self._station = Station(network, random, radio.ssid, radio.key, radio.address)
            self.parts.append(self._station)
        if radio.access_point_ssid is not None:
            from msgin5g.port.wlan import AccessPoint

            self._access_point = AccessPoint(
                network,
                radio.access_point_ssid,
                radio.access_point_key,
                radio.access_point_channel,
                radio.stations,
            )
            self.parts.append(self._access_point)
        if radio.peers:
            import espnow

            from msgin5g.port.espnow import EspNowTransport

            if radio.ssid is None:
                wlan = network.WLAN(network.WLAN.IF_STA)
                wlan.active(True)  # without an active interface nothing is sent
                if radio.channel is not None:
                    wlan.config(channel=radio.channel)
            self.espnow = EspNowTransport(
                espnow.ESPNow(), radio.pmk, radio.peers, radio.probe_s * 1000
            )
            self.parts.append(self.espnow)

    def awaits(self, ue_id, remote):
        """Whether a UE is a station of our access point, to be linked when it comes."""
        if self._access_point is None or ue_id not in self._stations.values():
            return False
        self._addresses[ue_id] = remote
        return True

    def peer_key(self, remote):
        """What a remote is known by when ports are not checked; see Endpoint."""
        return remote if remote in self.espnow.peers else host_of(remote)

    def join(self, node):
        """Tell a Node what happens."""
        addresses = self._addresses
        node.radios = self  # for whoever shows the status
        ue = node.ue
        role = node.role
        hop = role if hasattr(role, "link_up") else None

        def woken(now):
            # What has failed meanwhile waits for its back-off; within two seconds at random.
            if ue is not None:
                ue.fetch(add(now, self._random() * 8))

        for part in self.parts:
            part.tell = node.tell
            node.parts.append(part)
        if self._station is not None:
            self._station.on_up = woken
        if hop is not None and self._access_point is not None:

            def station_up(ue_id):
                if ue_id in addresses:
                    hop.link_up(ue_id.encode(), 0, addresses[ue_id])

            self._access_point.on_up = station_up
            self._access_point.on_down = lambda ue_id: hop.link_down(ue_id.encode())
        link = self.espnow
        if link is not None:
            index = node.links.index(link)

            def peer_up(peer, now, again):
                if hop is not None:
                    hop.link_up(peer.ue_id.encode(), index, peer.mac)
                elif again:
                    woken(now)

            link.on_up = peer_up
            if hop is not None:
                link.on_down = lambda peer: hop.link_down(peer.ue_id.encode())

    def status(self):
        """What a person wants to know of each, as a list of dicts."""
        return [part.status() for part in self.parts]
