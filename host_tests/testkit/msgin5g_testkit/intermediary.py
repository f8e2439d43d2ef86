"""Relays and gateways of a Network: the firmware's roles, with the links to their UEs."""

from msgin5g.coap.retransmission import Parameters
from msgin5g.coap.ticks import shorter
from msgin5g.relay import Relay
from msgin5g_testkit.board_settings import settings_from
from msgin5g_testkit.checks import xorshift


class Switch:
    """A role as a node of a Network. role: the firmware's. is_silent: it neither takes nor sends
    anything, as if switched off.
    """

    def __init__(self, role) -> None:
        self.role = role
        self.is_silent = False

    @property
    def counters(self) -> dict:
        """{name: count}: what it has dropped, and why."""
        return self.role.counters

    def receive(self, transport, datagram, remote, now):
        if not self.is_silent:
            self.role.receive(transport, datagram, remote, now)

    def step(self, now):
        self.role.step(now)
        while self.role.poll() is not None:
            pass

    def transmit(self, now):
        out = self.role.transmit(now)
        while self.is_silent and out is not None:
            out = self.role.transmit(now)
        return out

    def wait_ms(self, now):
        return self.role.wait_ms(now)


class Intermediary(Switch):
    """A relay or a gateway of a Network. ue_id: its own; address: its (host, port)."""

    def __init__(self, network, role, ue_id: str, address: tuple) -> None:
        Switch.__init__(self, role)
        self.ue_id = ue_id
        self.address = address
        self._network = network
        self._espnow = None  # an EspNowLink
        self._inspector = network.inspector

    def link_up(self, ue) -> None:
        """The one-to-one link to a UE comes up: it is served from now on."""
        if self._inspector:
            self._inspector.may_ask(self.address, ue.ue_id)
        if ue.is_on_espnow:
            self._espnow_link().link_up(ue)
        else:
            self.role.link_up(ue.ue_id.encode(), 0, ue.address)

    def link_down(self, ue) -> None:
        """The link goes down: what was under way for this UE ends.

        A UE on ESP-NOW goes out of range, which is noticed when frames are not acknowledged.
        """
        if ue.is_on_espnow:
            self._espnow_link().link_down(ue)
        else:
            self.role.link_down(ue.ue_id.encode())

    @property
    def mac(self) -> bytes:
        """The MAC address of its ESP-NOW."""
        return self._espnow_link().mac

    def _espnow_link(self):
        if self._espnow is None:
            from msgin5g_testkit.espnow_link import EspNowLink

            self._espnow = EspNowLink(self._network, self, self._espnow_index())
        return self._espnow

    def _espnow_index(self):
        """The number of the transport that is ESP-NOW."""
        return 1

    def step(self, now):
        if self._espnow:
            self._espnow.step(now)
        Switch.step(self, now)

    def transmit(self, now):
        out = Switch.transmit(self, now)
        while self._espnow and out is not None and out[0] == self._espnow.index:
            self._espnow.send(out[1], out[2])
            out = Switch.transmit(self, now)
        return out

    def wait_ms(self, now):
        wait = Switch.wait_ms(self, now)
        if self._espnow is None:
            return wait
        return shorter(wait, self._espnow.wait_ms(now))


class RelayNode(Intermediary):
    """A relay of a Network; see Intermediary and Switch for what it can do."""

    def __init__(self, network, relay_id: str, address: tuple, server: tuple, settings: dict):
        made = role_settings("relay", relay_id, address, server, settings)
        role = Relay(made, xorshift(network.seed + 5), server, network.now)
        Intermediary.__init__(self, network, role, relay_id, address)


def role_settings(role: str, ue_id: str, address: tuple, server: tuple, settings: dict):
    """The Settings of a relay or a gateway, as its builder gets them."""
    values = {
        "role": role,
        "ue_id": ue_id,
        "bind": list(address),
        "server": {"recipient": "coap://scm.example", "address": list(server)},
    }
    values.update(settings)
    made = settings_from(values)
    made.parameters = Parameters(nstart=made.max_flows)
    return made
