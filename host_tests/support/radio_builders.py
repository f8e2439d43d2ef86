"""Nodes with radios in a NetworkSim, with scripted modules in place of a board's."""

import sys

from msgin5g_testkit.shim import espnow, network

from msgin5g_testkit.checks import xorshift
from msgin5g.builder.radio import start_radios
from msgin5g.settings import settings_of
from builders import FakeConfiguration, ue_settings


def new_radios(**settings):
    """Radios as the builder starts them, with the scripted modules in place of a board's."""
    sys.modules["network"] = network
    sys.modules["espnow"] = espnow
    try:
        return start_radios(settings_of(settings).radio, xorshift(11))
    finally:
        del sys.modules["network"], sys.modules["espnow"]


def radio_ue(sim, remote, **settings):
    from msgin5g.ue import ConstrainedUe

    return ConstrainedUe(
        ue_settings(**settings), xorshift(3), FakeConfiguration(), remote, sim.now
    )


class Driven:
    """A node in a NetworkSim whose events are polled at once, as the loop does.

    index: of its transport that is ESP-NOW, which does not go through the NetworkSim.
    """

    def __init__(self, node, index=None):
        self.node = node
        self.index = index
        self.transport = None if index is None else node.transports[index]
        self.emitted = []

    def receive(self, transport, datagram, remote, now):
        self.node.receive(transport, datagram, remote, now)

    def step(self, now):
        while self.transport is not None:
            arrived = self.transport.receive()
            if arrived is None:
                break
            self.node.receive(self.index, arrived[0], arrived[1], now)
        self.node.step(now)
        while True:
            event = self.node.poll()
            if event is None:
                return
            if "reasons" in event:
                self.emitted.append((event["event"], event["reasons"][0]))

    def transmit(self, now):
        while True:
            out = self.node.transmit(now)
            if out is None or out[0] != self.index:
                return out
            self.transport.send(out[1], out[2])

    def wait_ms(self, now):
        if self.transport is not None and self.transport.socket.any():
            return 0
        return self.node.wait_ms(now)
