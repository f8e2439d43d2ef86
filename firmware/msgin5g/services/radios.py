"""The radios of a node: which linked UE goes up and down with them, and their status.

The builder starts the drivers and adds them; `join` adds them to the node as services. ESP-NOW is
a transport as well.
"""

from msgin5g.coap.ticks import add


class Radios:
    """The radios that the settings name. `services`: their drivers; `espnow`: that one, or None.

    random: a function that gives a random byte. host_of: the host of a UDP remote, as a key.
    """

    def __init__(self, random, host_of):
        self.services = []
        self.espnow = None
        self._random = random
        self._host_of = host_of
        self._station = self._access_point = None
        self._addresses = {}  # {UE ID: remote on transport 0} of those that may associate

    def add_station(self, station):
        """Add a wlan.Station."""
        self._station = station
        self.services.append(station)

    def add_access_point(self, access_point):
        """Add a wlan.AccessPoint."""
        self._access_point = access_point
        self.services.append(access_point)

    def add_espnow(self, espnow):
        """Add an EspNowTransport."""
        self.espnow = espnow
        self.services.append(espnow)

    def is_up(self):
        """Whether there is a network: not while our station is not connected."""
        return self._station is None or self._station.is_up

    def links_later(self, ue_id, remote):
        """Whether a UE is to be linked later: it is a station of our access point, and away."""
        point = self._access_point
        if point is None or ue_id not in point.stations.values():
            return False
        self._addresses[ue_id] = remote
        return not point.is_present(ue_id)

    def peer_key(self, remote):
        """The key of a remote when source ports are not checked; see Endpoint."""
        return remote if remote in self.espnow.peers else self._host_of(remote)

    def join(self, node):
        """Become services of a Node: its events, its linked UEs, its next request."""
        node.radios = self
        for service in self.services:
            service.emit = node.emit
            node.services.append(service)
        ue = node.ue
        role = node.role if hasattr(node.role, "link_up") else None
        if self._station is not None and ue is not None:
            self._station.on_up = lambda now: self._fetch_soon(ue, now)
        if self._access_point is not None and role is not None:
            self._access_point.on_up = lambda ue_id: self._station_up(role, ue_id)
            self._access_point.on_down = lambda ue_id: role.link_down(ue_id.encode())
        if self.espnow is not None and role is not None:
            index = node.transports.index(self.espnow)
            self.espnow.on_up = lambda peer, now, again: role.link_up(
                peer.ue_id.encode(), index, peer.mac
            )
            self.espnow.on_down = lambda peer: role.link_down(peer.ue_id.encode())
        elif self.espnow is not None and ue is not None:
            self.espnow.on_up = lambda peer, now, again: again and self._fetch_soon(ue, now)

    def _fetch_soon(self, ue, now):
        """Ask now what failed meanwhile and waits for its back-off: within two seconds."""
        ue.fetch(add(now, self._random() * 8))

    def _station_up(self, role, ue_id):
        if ue_id in self._addresses:
            role.link_up(ue_id.encode(), 0, self._addresses[ue_id])

    def status(self):
        """The state of each radio, as a list of dicts."""
        return [service.status() for service in self.services]
