"""Datagrams that a relay passes on in a second, from its socket to its socket.

    micropython -X heapsize=192K throughput.py FIRMWARE_DIR RELAY_PORT UE_PORT SERVER_PORT

UE and server are two more sockets of this program; their work is not timed. The relay's clock is
set forward for each fetch, so that its limit of requests a second is none here.
"""

import time

from measure import arguments, tell

import frames
from msgin5g.port.resolver import bind, resolve
from msgin5g.port.system import random_byte
from msgin5g.port.udp import UdpTransport
from msgin5g.relay import Relay
from msgin5g.settings import settings_of

_ROUNDS = 20
_FETCHES = 50


def _arrived(transport):
    while True:
        arrived = transport.receive()
        if arrived is not None:
            return arrived


def _pass_on(relay, transport, now):
    """What the loop does when a datagram has come; the microseconds that it takes."""
    start = time.ticks_us()
    while True:
        arrived = transport.receive()
        if arrived is None:
            break
        relay.receive(0, arrived[0], arrived[1], now)
    relay.step(now)
    while True:
        out = relay.transmit(now)
        if out is None:
            break
        transport.send(out[1], out[2])
    relay.wait_ms(now)
    return time.ticks_diff(time.ticks_us(), start)


def main():
    ports = [int(port) for port in arguments()]
    transport, ue, server = [UdpTransport(bind("127.0.0.1", port)) for port in ports]
    relay_remote, ue_remote, server_remote = [resolve("127.0.0.1", p) for p in ports]
    settings = {"role": "relay", "ue_id": "urn:x-msgin5g:relay:1"}
    settings["server"] = {"address": frames.SERVER_ADDRESS}
    settings["relay"] = {"max_rate": 1000}
    relay = Relay(settings_of(settings), random_byte, server_remote, 0)
    relay.link_up(frames.ue_id(0), 0, ue_remote)
    body = frames.body(0)
    best = None
    now = 0
    for _ in range(_ROUNDS):
        taken = 0
        for _ in range(_FETCHES):
            now += 1
            ue.send(frames.request(0, now & 0xFFFF), relay_remote)
            taken += _pass_on(relay, transport, now)
            asked, _ = _arrived(server)
            server.send(frames.answer(0, asked, body), relay_remote)
            taken += _pass_on(relay, transport, now)
            answer, _ = _arrived(ue)
            assert answer[1] == 0x45
        if best is None or taken < best:
            best = taken
    tell({"datagrams_per_s": 2 * _FETCHES * 1000000 // best})


main()
