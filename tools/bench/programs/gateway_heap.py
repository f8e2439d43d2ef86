"""Heap that a gateway takes for each UE.

    micropython -X heapsize=1M gateway_heap.py FIRMWARE_DIR N_UES

link: an established link without a request. waiting: a request, on top of the link, that was
acknowledged and waits for the bulk request.
"""

from measure import arguments, heap_in_use, tell

import frames
from msgin5g.port.system import random_byte
from msgin5g.gateway.gateway import Gateway
from msgin5g.gateway.scm_local import LocalScmClient
from msgin5g.settings import settings_of


def main():
    n = int(arguments()[0])
    values = {"role": "gateway", "ue_id": "urn:x-msgin5g:gateway:1"}
    values["server"] = {"address": frames.SERVER_ADDRESS}
    values["bulk"] = {"count": 1000}
    values["relay"] = {"max_links": n, "max_flows": n}
    settings = settings_of(values)
    gateway = Gateway(settings, random_byte, 0)
    gateway.connect(LocalScmClient(settings, gateway.endpoint, 0, frames.SERVER))
    empty = heap_in_use()
    for i in range(n):
        gateway.link_up(frames.ue_id(i), 0, frames.ue_remote(i))
    linked = heap_in_use()
    n_acknowledged = 0
    for i in range(n):
        gateway.receive(0, frames.request(i, i), frames.ue_remote(i), 0)
        while True:
            out = gateway.transmit(0)
            if out is None:
                break
            n_acknowledged += out[1][0] >> 4 == 6
            out = None
    waiting = heap_in_use()
    tell(
        {
            "link": (linked - empty) // n,
            "waiting": (waiting - linked) // n,
            "n_acknowledged": n_acknowledged,
            "unknown": settings.unknown,
            "counters": gateway.counters,
        }
    )


main()
