"""How the cost of a relay grows with what it has to keep.

    micropython -X heapsize=4M growth.py FIRMWARE_DIR ROUNDS

Each figure is a pair of microseconds, with little and with much in the tables:

renewal      a UE renews its observation, request and answer: of 10 UEs that observe, of 300
uplink       a request goes up: while no other one waits for the server, while 60 do
link_down    a link ends, with its observation: one of 10, one of 300

A figure is the best of all rounds, without garbage collections.
"""

import gc
import time

from measure import arguments, tell, unit

import frames
from msgin5g.port.system import random_byte
from msgin5g.relay import Relay
from msgin5g.settings import settings_of

_N_A_ROUND = 8


class Bench:
    """A relay with n_links UEs, of which n_observing observe and n_waiting wait for the server."""

    def __init__(self, n_links, n_observing, n_waiting):
        settings = {"role": "relay", "ue_id": "urn:x-msgin5g:relay:1"}
        settings["server"] = {"address": frames.SERVER_ADDRESS}
        settings["relay"] = {
            "max_links": 400,
            "max_flows": 80,
            "max_observations": 400,
            "max_rate": 1000,
        }
        self.relay = Relay(settings_of(settings), random_byte, frames.SERVER, 0)
        self._body = frames.body(0)
        self._mid = self.now = 0
        self.us = 0
        for number in range(n_links):
            self.link(number)
        for number in range(n_observing):
            self.observe(number)
        # Long enough ago that no message of those that observe is remembered any more.
        for _ in range(10):
            self.now += 30000
            self._deliver(bytes(3), frames.SERVER)
        for number in range(n_waiting):
            out = self.up(number + 1)
            self._deliver(bytes((0x60, 0, out[2], out[3])), frames.SERVER)
        self.now += 1500  # the relay acknowledges the requests that wait
        self._deliver(bytes(3), frames.SERVER)

    def link(self, number):
        self.relay.link_up(frames.ue_id(number), 0, frames.ue_remote(number))

    def _deliver(self, datagram, remote):
        """The last datagram that the relay sends for one that it receives; the time goes to us."""
        relay = self.relay
        now = self.now
        sent = None
        start = time.ticks_us()
        relay.receive(0, datagram, remote, now)
        relay.step(now)
        out = relay.transmit(now)
        while out is not None:
            sent = out[1]
            out = relay.transmit(now)
        relay.wait_ms(now)
        self.us += time.ticks_diff(time.ticks_us(), start)
        return sent

    def up(self, number, token=None):
        self._mid = (self._mid + 1) & 0xFFFF
        self.now = (self.now + 1) & 0x3FFFFFFF
        request = bytearray(frames.request(number, self._mid, token is not None))
        if token:
            request[4:8] = token
        return self._deliver(bytes(request), frames.ue_remote(number))

    def observe(self, number):
        """Register, or renew the registration; with the same token each time."""
        asked = self.up(number, b"ob" + bytes((number >> 8, number & 255)))
        answer = frames.answer(number, asked, self._body, True)
        assert self._deliver(answer, frames.SERVER)[1] == 0x45

    # What is measured

    def renewal(self, number):
        self.us = 0
        self.observe(number)
        return self.us

    def uplink(self, number):
        self.us = 0
        asked = self.up(0)
        us = self.us
        self._deliver(frames.answer(0, asked, self._body), frames.SERVER)
        return us

    def link_down(self, number):
        start = time.ticks_us()
        self.relay.link_down(frames.ue_id(number))
        us = time.ticks_diff(time.ticks_us(), start)
        self.link(number)
        self.observe(number)
        return us


def best_of(rounds, function):
    """The shortest time of some calls in a row, per call."""
    best = None
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        us = 0
        for number in range(_N_A_ROUND):
            us += function(number)
        gc.enable()
        if best is None or us < best:
            best = us
    return best / _N_A_ROUND


def units(rounds):
    best = None
    for _ in range(rounds):
        start = time.ticks_us()
        unit(100, frames.REQUEST)
        us = time.ticks_diff(time.ticks_us(), start) / 100
        if best is None or us < best:
            best = us
    return best


def main():
    rounds = int(arguments()[0])
    few = Bench(10, 10, 0)
    many = Bench(300, 300, 0)
    idle = Bench(70, 0, 0)
    waiting = Bench(70, 0, 60)
    found = {}
    for name, one, other in (
        ("renewal", few.renewal, many.renewal),
        ("uplink", idle.uplink, waiting.uplink),
        ("link_down", few.link_down, many.link_down),
    ):
        found[name] = (best_of(rounds, one), best_of(rounds, other))
    tell({"unit": units(rounds), "us": found, "counters": many.relay.counters})


main()
