"""A UE that fetches very often through a relay, in virtual time, and the heap in use meanwhile.

    micropython -X heapsize=512K many_fetches.py FIRMWARE_DIR TESTS_DIR N [observe]

Both directories as msgin5g_tools.build.mpy makes them, or both of sources.

The UE keeps its own schedule and its configuration in the real store, on a flash in RAM. Most
fetches are refreshes (2.03); some bring a new document (2.05, applied), some the same
configuration in a new representation (2.05, unchanged), some a rejection (4.03, 4.04), some are
slow. With `observe` new documents are pushed, and the UE asks only when something went wrong or
its registration grows old. One datagram in 97 is lost, one in 89 comes twice. The clock wraps
every 12 days.

After 1,000 fetches, and at ten more points up to N, the UE pauses until nobody remembers anything
about its last fetch; then the heap in use is taken. Prints one JSON object.
"""

import gc
import json
import sys

tests = sys.argv[2]
sys.path[:] = [sys.argv[1], tests + "/support", tests + "/testkit"] + [
    p for p in sys.path if p.startswith(".")
]

from msgin5g_testkit.memory_flash import MemoryFlash  # noqa: E402
from msgin5g.config.manager import ConfigurationManager  # noqa: E402
from msgin5g.config.schema import Schema  # noqa: E402
from msgin5g.config.store import Store  # noqa: E402
from builders import UE_ID, document, new_sim  # noqa: E402

FIRST = 1000
POINTS = 10
N = int(sys.argv[3])
OBSERVE = len(sys.argv) > 4
COUNTERS = ("duplicate", "unmatched_response", "unmatched_empty", "answer_reset", "answer_timeout",
            "server_timeout", "old_notification")  # fmt: skip
OUTCOMES = ("applied", "unchanged", "rejected", "refused", "timeout")


def link_model(n, datagram):
    """A link model with two periods: over time it affects every datagram of a fetch."""
    if n % 97 == 0:
        return ()
    return (10, 30) if n % 89 == 0 else (10,)


class Story:
    """The changes of the document while the UE fetches."""

    def __init__(self):
        self.sim, self.ue, self.relay, self.server = new_sim(
            link_model,
            ue={"retry_first_s": 1, "retry_max_s": 1, "observe": OBSERVE},
            server={"max_age_s": 60},
            record=False,
        )
        for node in (self.ue, self.relay, self.server):
            for name in COUNTERS:
                node.counters[name] = 0  # a counter takes heap when it is first used
        self.manager = ConfigurationManager(Store(MemoryFlash()), Schema(8192), 0, 0)
        self.manager.start(self.sim.now)
        self.ue.configuration = self.manager
        self.counts = {}
        self.n = 0
        self._version = 0

    def run(self, n):
        """Let the UE fetch until it has done so n times."""
        self.ue.fetch(self.sim.now)
        while self.n < n:
            self.goal = self.n + 1
            self._change(self.n)
            assert self.sim.run(self._told, 3600000), "no fetch within an hour"

    def _told(self):
        while True:
            event = self.ue.poll()
            if event is None:
                return self.n >= self.goal
            name = event["event"]
            self.counts[name] = self.counts.get(name, 0) + 1
            self.n += name in OUTCOMES

    def _change(self, n):
        server = self.server
        server.requests.clear()
        server.denied = (UE_ID,) if n % 1000 == 500 else ()
        server.slow_ms = 3000 if n % 100 == 50 else 0
        if n % 1000 == 700:
            server.documents.pop(UE_ID)
        elif n % 20 == 0 or OBSERVE or UE_ID not in server.documents:
            # Or else only the representation is another one: that is quick, nothing is applied.
            self._version += n % 10 == 0 if OBSERVE else n % 100 != 60
            data = '{"MSGin5G-Server-address":"coap://m%05d.example","MSGin5G-UE-Service-id":"u"}'
            name = "n%06d" % n
            made = document(UE_ID, data % self._version, configName=name)
            if OBSERVE:
                server.change(UE_ID, made)
            server.documents[UE_ID] = made

    def rest(self):
        """The heap in use at rest: no message is remembered any more."""
        self.ue.stop()
        self.sim.run(None, 400000)
        self._told()
        for node in (self.ue, self.relay, self.server):
            node.endpoint.message.decode(b"\x40\x00\x00\x00")  # in place of the last datagram
        found = []
        for _ in range(4):
            # What a stale word on the C stack points to is kept by a collection, but not by all.
            self.sim.run(None, 1000)
            gc.collect()
            found.append(gc.mem_alloc())
        return min(found)


def main():
    story = Story()
    points = [0] * (POINTS + 1)
    for i in range(POINTS + 1):
        story.run(FIRST + (N - FIRST) * i // POINTS)
        points[i] = story.rest()
    print(
        json.dumps(
            {
                "fetches": story.n,
                "days": story.sim.elapsed_ms // 86400000,
                "in_use": points,
                "counts": story.counts,
                "ue_counters": story.ue.counters,
                "relay_counters": story.relay.counters,
                "requests": story.server.n_requests,
                "bodies": story.server.n_bodies,
            }
        )
    )


main()
