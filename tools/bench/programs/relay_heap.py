"""Heap that a relay takes for each UE.

    micropython -X heapsize=512K relay_heap.py FIRMWARE_DIR N_UES

link: an established link without a request. request: a pending request, on top of the link.
observation: an observation after its first response, on top of the link; resting: the same five
minutes later, when no message of it can be repeated any more.
"""

from measure import arguments, heap_in_use, tell

import frames
from msgin5g.port.system import random_byte
from msgin5g.relay import Relay
from msgin5g.settings import settings_of


def _deliver(relay, datagram, remote, now):
    """Deliver a datagram and drain what the relay sends; gives the last datagram sent."""
    relay.receive(0, datagram, remote, now)
    relay.step(now)
    sent = None
    while True:
        out = relay.transmit(now)
        if out is None:
            return sent
        sent = bytes(out[1])


def main():
    n = int(arguments()[0])
    settings = {"role": "relay", "ue_id": "urn:x-msgin5g:relay:1"}
    settings["server"] = {"address": frames.SERVER_ADDRESS}
    limits = ("max_links", "max_flows", "max_observations")
    settings["relay"] = dict.fromkeys(limits, n)
    settings["relay"]["max_rate"] = 1000
    relay = Relay(settings_of(settings), random_byte, frames.SERVER, 0)
    body = frames.body(1)
    sent = [bytes(8) for _ in range(n)]
    _deliver(relay, frames.request(0, 0), frames.ue_remote(0), 0)  # no UE is linked yet
    figures = [heap_in_use()]
    for i in range(n):
        relay.link_up(frames.ue_id(i), 0, frames.ue_remote(i))
    figures.append(heap_in_use())
    for i in range(n):
        sent[i] = _deliver(relay, frames.request(i, i, True), frames.ue_remote(i), i)[:8]
    figures.append(heap_in_use())
    for i in range(n):
        _deliver(relay, frames.answer(i, sent[i], body, True), frames.SERVER, 2 * n + i)
    figures.append(heap_in_use())
    for now in range(0, 400000, 10000):
        relay.step(now + 3 * n)
        relay.transmit(now + 3 * n)
    figures.append(heap_in_use())
    empty, linked, asked, observed, rested = figures
    tell(
        {
            "link": (linked - empty) // n,
            "request": (asked - linked) // n,
            "observation": (observed - linked) // n,
            "resting": (rested - linked) // n,
            "counters": relay.counters,
        }
    )


main()
