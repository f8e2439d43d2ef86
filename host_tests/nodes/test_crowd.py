"""A thousand UEs behind one relay, switched on together: the server is spared, nobody starves."""

import gc

from msgin5g_testkit.checks import load
from fast_network_sim import FastNetworkSim
from builders import DATA, SERVER, document, drain, new_relay, new_server, new_ue
from msgin5g_testkit.network_sim import chance

load("msgin5g.relay", "msgin5g.ue", "msgin5g.scm.ue_config_doc")

# A UE takes 4 KiB: on MicroPython the crowd is a small one, and the relay as much smaller.
# host/test_block_heap.py runs it in a heap that has room for 30.
N, RATE, MAX_FLOWS, MAX_OBSERVATIONS = 1000, 20, 16, 32
if hasattr(gc, "mem_free"):
    N, RATE, MAX_FLOWS, MAX_OBSERVATIONS = 30, 3, 3, 4
    if gc.mem_free() + gc.mem_alloc() < 300000:
        N, RATE, MAX_FLOWS, MAX_OBSERVATIONS = 6, 2, 2, 3
if hasattr(gc, "threshold"):
    gc.threshold(4096)  # else what lives a little longer lies scattered over all of the heap


class Counted:
    """A node in front of the server that notes when a request comes, and when it comes again."""

    def __init__(self, sim, node):
        self.step = node.step
        self.wait_ms = node.wait_ms
        self.transmit = node.transmit
        self.at = []  # of the first copy of each
        self.all_at = []
        self._sim = sim
        self._node = node
        self._seen = set()

    def receive(self, transport, datagram, remote, now):
        if datagram[1] == 1:
            self.all_at.append(self._sim.elapsed_ms)
            mid = datagram[2] << 8 | datagram[3]
            if mid not in self._seen:
                self._seen.add(mid)
                self.at.append(self._sim.elapsed_ms)
        self._node.receive(transport, datagram, remote, now)


class Crowd:
    """UEs, a relay and a server; called, it looks at them, and is true when all are configured."""

    def __init__(
        self, link_model=None, start_delay_s=0, relay=None, max_age_s=86400, slow_ms=0, **ue
    ):
        self.sim = sim = FastNetworkSim(link_model)
        ids = ["urn:x-msgin5g:ue:" + str(10000 + n) for n in range(N)]
        at = [("10.0." + str(n // 250) + "." + str(n % 250 + 1), 65401) for n in range(N)]
        self.ues = [
            new_ue(sim, at[n], 7919 * n + 1, ue_id=ids[n], start_delay_s=start_delay_s, **ue)
            for n in range(N)
        ]
        settings = {"max_links": N, "max_rate": RATE, "max_flows": MAX_FLOWS}
        settings["max_observations"] = MAX_OBSERVATIONS
        settings.update(relay or {})
        self.max_flows = settings["max_flows"]
        self.relay = new_relay(sim, {ids[n]: at[n] for n in range(N)}, **settings)
        documents = {i: document(i, DATA, "doc-" + i[-5:]) for i in ids}
        self.server = new_server(
            sim, documents, max_age_s=max_age_s, max_incoming=2 * MAX_FLOWS, slow_ms=slow_ms
        )
        self.counted = Counted(sim, self.server)
        sim.add(SERVER, self.counted)
        self.told = {}
        self.left = self.ues

    def __call__(self):
        relay = self.relay
        endpoint = relay.endpoint
        assert relay.n_requests <= self.max_flows
        assert relay.n_observing <= MAX_OBSERVATIONS
        assert len(relay.held_back) <= min(RATE, self.max_flows)
        assert endpoint.n_incoming <= self.max_flows + 16
        assert len(endpoint.exchanges) <= 2 * (self.max_flows + MAX_OBSERVATIONS) + 4
        assert relay.counters.get("exchanges_full") is relay.counters.get("outbox_full") is None
        for ue in self.ues:
            for event in drain(ue):
                name = event["event"]
                self.told[name] = self.told.get(name, 0) + 1
                if name == "rejected":
                    assert (event["code"], event["title"]) == ("5.03", "Relay is busy")
                elif name == "backing_off":
                    assert event["seconds"] >= 1
        self.left = [ue for ue in self.left if not ue.configuration.n_applied]
        return not self.left

    def all_within_s(self, seconds):
        assert self.sim.run(self, 1000 * seconds), (len(self.left), self.told)
        assert self.told["applied"] == N


def at_most(rate, at):
    for i in range(len(at) - rate):
        assert at[i + rate] - at[i] >= 1000, (i, at[i : i + rate + 1])


def test_all_at_once_each_is_turned_away_once_and_served_at_the_full_rate():
    crowd = Crowd()
    crowd.all_within_s(N // RATE * 13 // 10 + 5)
    at_most(RATE, crowd.counted.all_at)
    assert len(crowd.counted.all_at) == N == crowd.server.n_requests
    assert crowd.relay.counters["busy"] == crowd.told["rejected"] <= N + N // 5


def test_with_the_settings_of_a_board_and_push():
    crowd = Crowd(start_delay_s=3, observe=True)
    crowd.all_within_s(2 * N // RATE * 13 // 10 + 10)
    crowd.sim.run(lambda: crowd() and False, 60000)
    at_most(RATE, crowd.counted.all_at)
    assert crowd.server.n_requests == 2 * N
    observing = [ue for ue in crowd.ues if ue.client.observing]
    assert len(observing) == MAX_OBSERVATIONS == len(crowd.server.observers)
    assert crowd.relay.counters["observations_full"] == N - MAX_OBSERVATIONS


def test_a_slow_server_takes_longer_and_still_nobody_starves():
    crowd = Crowd(slow_ms=3000)
    crowd.all_within_s(N * 3 // MAX_FLOWS * 13 // 10 + 20)
    at_most(RATE, crowd.counted.all_at)
    assert crowd.server.n_requests == N


def test_with_loss_each_way_the_requests_keep_the_rate_and_the_repetitions_are_few():
    crowd = Crowd(chance(3, loss=10))
    crowd.all_within_s(N // RATE * 2 + 120)
    assert len(crowd.counted.all_at) < N * 14 // 10 + 5
    assert "timeout" not in crowd.told or crowd.told["timeout"] <= 2
    at_most(RATE * 15 // 10 + 3, crowd.counted.all_at)


def test_refreshes_are_as_far_apart_as_the_first_requests_were():
    crowd = Crowd(max_age_s=600)
    crowd.all_within_s(N // RATE * 13 // 10 + 5)
    n_busy = crowd.relay.counters["busy"]
    crowd.sim.run(lambda: crowd() and False, 2 * 540000)
    at_most(RATE, crowd.counted.all_at)
    assert crowd.told["unchanged"] >= N and crowd.server.n_bodies == N
    assert crowd.relay.counters["busy"] - n_busy <= N // 5
