"""One simulation: all UEs start together, and time passes until each has its response."""

import gc
import random
from array import array
from collections import Counter, namedtuple

from msgin5g_tools.simulate import intermediary, population
from msgin5g_tools.simulate.population import CONFIGURED, FORBIDDEN, NONE, NOT_FOUND, SimulatedUe
from msgin5g_tools.simulate.server import VirtualServer
from msgin5g_tools.simulate.fast_network_sim import FastNetworkSim

LIMIT_S = 7200
MIN_DELAY_MS, MAX_DELAY_MS = 5, 40  # of a datagram on its way, each way, on each side
# ended_ms: {outcome: ascending times}; requests_ms: when datagrams were sent to the server.
Curves = namedtuple("Curves", "ended_ms requests_ms")
WAYS = ("ue_to_hop", "hop_to_ue", "hop_to_server", "server_to_hop")


class Simulation:
    """Identities (see population) behind a relay or gateway with these Settings.

    loss: percent of the datagrams, in each direction. ended: called with the number of UEs that
    have their final response, each time it grows. `curves`: what happened when, in ms.
    """

    def __init__(self, identities, settings, loss, seed, ended):
        self.role = settings.role
        ended_ms = {outcome: array("l") for outcome in (CONFIGURED, NOT_FOUND, FORBIDDEN)}
        self.curves = Curves(ended_ms, array("l"))
        self._n_ended = 0
        self._report_end = ended
        self._traffic = {way: [0, 0] for way in WAYS}  # datagrams, bytes
        self._network = sim = FastNetworkSim(_lossy_link(loss, seed), 500, on_send=self._sent)
        chance = random.Random(seed + 1)
        role = intermediary.role_of(settings, lambda: chance.getrandbits(8), sim.now)
        self._intermediary = intermediary.Measured(role)
        self._server = VirtualServer(lambda: chance.getrandbits(8), (intermediary.HOST,))
        population.fill(self._server.store, identities)
        self._ues = [
            SimulatedUe(each, intermediary.ADDRESS, seed, sim.now, self._ended)
            for each in identities
        ]
        sim.add(intermediary.SERVER, self._server)
        sim.add(intermediary.ADDRESS, self._intermediary)
        for ue in self._ues:
            identity = ue.identity
            role.link_up(identity.ue_id.encode(), 0, identity.address)
            sim.add(identity.address, ue)

    def run(self):
        """Run it, and return the figures: a dict of plain values."""
        # What is there stays until the end: collections during the run need not look at it.
        gc.freeze()
        try:
            self._network.run(lambda: self._n_ended == len(self._ues), LIMIT_S * 1000)
            return self._figures()
        finally:
            gc.unfreeze()
            self._server.close()

    def _ended(self, ue):
        self._n_ended += 1
        if ue.outcome in self.curves.ended_ms:
            self.curves.ended_ms[ue.outcome].append(self._network.elapsed_ms)
        self._report_end(self._n_ended)

    def _sent(self, source, destination, datagram):
        if source == intermediary.SERVER:
            way = "server_to_hop"
        elif destination == intermediary.SERVER:
            way = "hop_to_server"
            self.curves.requests_ms.append(self._network.elapsed_ms)
        else:
            way = "hop_to_ue" if source == intermediary.ADDRESS else "ue_to_hop"
        counted = self._traffic[way]
        counted[0] += 1
        counted[1] += len(datagram)

    def _figures(self):
        server = self._server
        outcomes = Counter(ue.outcome for ue in self._ues)
        configured_ms = self.curves.ended_ms[CONFIGURED]
        return {
            "role": self.role,
            "ok": all(ue.outcome == ue.identity.expected for ue in self._ues),
            "outcomes": {
                "configured": outcomes[CONFIGURED],
                NOT_FOUND: outcomes[NOT_FOUND],
                FORBIDDEN: outcomes[FORBIDDEN],
                "not_its_own": sum(
                    ue.outcome not in (NONE, ue.identity.expected) for ue in self._ues
                ),
                NONE: outcomes[NONE],
            },
            "seconds": self._network.elapsed_ms / 1000,
            "configured_median_s": _quantile(configured_ms, 0.5),
            "configured_p99_s": _quantile(configured_ms, 0.99),
            "configured_last_s": _quantile(configured_ms, 1),
            "requests": server.n_requests,
            "bulk_requests": len(server.bulks),
            "later_blocks": server.n_blocks,
            "single_requests": server.n_requests - len(server.bulks) - server.n_blocks,
            "repeated_requests": self._traffic["hop_to_server"][0] - server.n_requests,
            "ues_per_bulk": max(server.bulks, default=0),
            "largest_bulk_bytes": server.largest_bulk,
            "turned_away": sum(ue.n_busy for ue in self._ues),
            "timeouts": sum(ue.n_timeouts for ue in self._ues),
            "datagrams": {way: n for way, (n, _) in self._traffic.items()},
            "bytes": {way: size for way, (_, size) in self._traffic.items()},
            "peaks": self._intermediary.peaks,
            "discarded": dict(sorted(self._intermediary.role.counters.items())),
        }


def _lossy_link(loss, seed):
    """Each datagram is lost by chance, or arrives after a random delay."""
    chance = random.Random(seed)

    def link_model(n, datagram):
        if chance.random() * 100 < loss:
            return ()
        return (chance.randint(MIN_DELAY_MS, MAX_DELAY_MS),)

    return link_model


def _quantile(times_ms, share):
    """The time in seconds at which this share of the UEs was configured; None when none was."""
    if not times_ms:
        return None
    return times_ms[max(round(len(times_ms) * share + 0.499999), 1) - 1] / 1000
