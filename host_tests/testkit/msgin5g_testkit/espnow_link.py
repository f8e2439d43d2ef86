"""The ESP-NOW of a relay or gateway of a Network: the firmware's transport on the shim's radio."""

from msgin5g.port.espnow import EspNowTransport


class EspNowLink:
    """mac: the MAC address of this node. index: the number of its transport."""

    def __init__(self, network, node, index):
        self._network = network
        self._node = node
        self._radio = network.espnow()
        self._peers = {}
        self._ues = {}  # {MAC address: Ue}
        self.index = index
        self.mac = b"\x02kit\x00" + bytes((int(node.address[0].split(".")[2]),))
        self._transport = None

    def link_up(self, ue):
        """A UE comes into range; one that is new becomes a peer."""
        mac = ue.board.unique_id
        self._radio.apart.discard((self.mac, mac))
        if mac in self._peers:
            return
        self._peers[mac] = (None, ue.ue_id)
        self._ues[mac] = ue
        self._radio.here = self.mac
        socket = self._radio.ESPNow()
        socket.active(False)
        self._transport = EspNowTransport(socket, None, self._peers)
        role = self._node.role
        self._transport.on_up = lambda peer, now, again: role.link_up(
            peer.ue_id.encode(), self.index, peer.mac
        )
        self._transport.on_down = lambda peer: role.link_down(peer.ue_id.encode())

    def link_down(self, ue):
        """A UE goes out of range."""
        self._radio.apart.add((self.mac, ue.board.unique_id))

    def step(self, now):
        """Take what has come, and do what is due."""
        transport = self._transport
        if transport is None:
            return
        transport.socket.is_active = not self._node.is_silent
        if self._node.is_silent:
            return
        while True:
            arrived = transport.receive()
            if arrived is None:
                break
            ue = self._ues[arrived[1]]
            self._network.note(ue.address, self._node.address, arrived[0])
            self._node.role.receive(self.index, arrived[0], arrived[1], now)
        transport.step(now)

    def send(self, datagram, remote):
        """Send one datagram to the UE of this MAC address."""
        self._network.note(self._node.address, self._ues[remote].address, bytes(datagram))
        self._transport.send(datagram, remote)

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do; None: nothing by itself."""
        if self._transport is None or self._node.is_silent:
            return None
        return 0 if self._transport.socket.any() else self._transport.wait_ms(now)
