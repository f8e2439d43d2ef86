"""What the relay counts in its tables, whatever happens; and its own configuration beside them."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import Message, encode, insert, uint_bytes
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET, NON, OBSERVE, RST
from msgin5g.coap.ticks import add
from msgin5g.intermediary.numbers import BAD_GATEWAY
from msgin5g.relay import Relay
from msgin5g.scm.request import ScmRequest
from msgin5g.ue import ConstrainedUe
from builders import (
    DATA,
    RELAY,
    SERVER,
    UE_ID,
    FakeConfiguration,
    document,
    new_server,
    relay_settings,
    ue_address,
)
from msgin5g_testkit.network_sim import NetworkSim

START = 0x3FFFFFFF - 5000  # the clock wraps meanwhile
DAY_MS = 86400000


def name(n):
    return b"urn:x:ue:%d" % n


class Peers:
    """A relay with linked UEs, and both sides as a test plays them.

    asked: (UE, token at the server, message ID) of the requests that went up, the oldest first.
    told: (remote, message ID) of what went to UEs in a message of its own. answers: all to UEs.
    """

    def __init__(self, n_ues, **settings):
        self.now = START
        self.relay = Relay(relay_settings(**settings), xorshift(5), SERVER, self.now)
        self.addresses = {}
        for n in range(n_ues):
            self.link(n, ue_address(20 + n))
        self.mid = 0
        self.asked = []
        self.told = []
        self.answers = []

    def link(self, n, address):
        assert self.relay.link_up(name(n), 0, address)
        self.addresses[n] = address

    def get(self, n, token, observe=None, mtype=CON, mid=None):
        """UE n asks; how many requests go up."""
        self.mid += 1
        options = ScmRequest("msgin5g", [name(n)], b"coap://scm.example").options(b"d")
        if observe is not None:
            insert(options, OBSERVE, uint_bytes(observe))
        mid = self.mid if mid is None else mid
        datagram = packet(mtype, GET, mid, token, options)
        self.relay.receive(0, datagram, self.addresses[n], self.now)
        return self.send()

    def answer(self, asked, sequence=None, code=CONTENT, mtype=CON, size=1, recipient=None):
        """The server answers a request that went up, or notifies of it."""
        self.mid += 1
        n, token, mid = asked
        options = [] if sequence is None else [(OBSERVE, uint_bytes(sequence))]
        options.append((65020, recipient or name(n)))
        if mtype != ACK:
            mid = self.mid
        datagram = packet(mtype, code, mid, token, options, bytes(size))
        self.relay.receive(0, datagram, SERVER, self.now)
        self.send()

    def empty(self, mtype, mid, remote):
        """An empty message comes: an acknowledgement or a Reset."""
        datagram = bytes((0x40 | mtype << 4, 0, mid >> 8, mid & 255))
        self.relay.receive(0, datagram, remote, self.now)
        self.send()

    def send(self):
        """Take what the relay has to send; how many requests are among it."""
        n_requests = 0
        while True:
            item = self.relay.transmit(self.now)
            if item is None:
                return n_requests
            message = Message(32).decode(bytes(item[1]))
            if item[2] == SERVER:
                if message.code == GET:
                    n_requests += 1
                    n = int(message.option(15)[len(b"ue-uri=urn:x:ue:") :])
                    self.asked.append((n, message.token(), message.mid))
            elif message.code:
                self.answers.append(message)
                if message.mtype != ACK:
                    self.told.append((item[2], message.mid))

    def wait(self, ms):
        """Let time pass as an event loop does."""
        left = ms
        while left > 0:
            wait_ms = self.relay.wait_ms(self.now)
            wait_ms = left if wait_ms is None else max(min(wait_ms, left), 1)
            self.now = add(self.now, wait_ms)
            left -= wait_ms
            self.relay.step(self.now)
            self.send()


def packet(mtype, code, mid, token, options, payload=b""):
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, mtype, code, mid & 0xFFFF, token, options, payload)])


def check_tables(relay, case):
    """What is counted is what is there."""
    flows = relay.flows()
    waiting = [flow for flow in flows if not flow.observing]
    assert relay.n_requests == len(waiting), case
    assert relay.n_observing == len(flows) - len(waiting), case
    for ue in relay.links:
        assert ue.n_requests == len([flow for flow in waiting if flow.ue is ue]), case
        assert len([flow for flow in ue.flows if flow.wants_observe]) <= 2, case
    for flow in relay.held_back:
        assert flow.request is not None and flow in flows, case
    assert relay.n_requests <= 6 and relay.n_observing <= 5 and len(relay.held_back) <= 3, case
    endpoint = relay.endpoint
    tokens = [flow.exchange.token for flow in flows if flow.exchange is not None]
    assert sorted(tokens) == sorted(endpoint.by_token), case
    assert endpoint.n_incoming <= endpoint.max_incoming, case
    n_open = len([flow for flow in flows if flow.incoming.open])
    assert endpoint.n_incoming - len(endpoint.answered) == n_open, case


def do_something(peers, random, n_ues):
    """One thing that happens at a relay, by chance."""
    relay = peers.relay
    what = random() % 16
    n = random() % n_ues
    if what < 5:
        observe = (None, 0, 0, 1)[random() % 4]
        mtype = NON if random() % 4 == 0 else CON
        peers.get(n, b"tok%d" % (random() % 3), observe, mtype)
    elif what < 10 and peers.asked:
        asked = peers.asked[-1 - random() % min(len(peers.asked), 8)]
        kind = random() % 8
        peers.answer(
            asked,
            random() if kind < 5 else None,
            0x84 if kind == 6 else CONTENT,
            (CON, NON, ACK)[random() % 3],
            1100 if kind == 7 else 1,
        )
        if kind == 5:
            peers.empty(RST, asked[2], SERVER)
    elif what < 12 and peers.told:
        remote, mid = peers.told[-1 - random() % min(len(peers.told), 4)]
        peers.empty(RST if random() % 3 == 0 else ACK, mid, remote)
    elif what < 14:
        peers.wait(random() * (10 if random() % 8 else 500))
    elif what == 14:
        relay.link_down(name(n))
        peers.link(n, ue_address(20 + n + 10 * (random() & 1)))
    elif random() % 4 == 0:
        relay.lose(peers.now)


def test_whatever_happens_the_tables_hold_what_is_counted_and_end_empty():
    n_ues = 4
    for seed in range(1, 13):
        random = xorshift(seed * 7919)
        peers = Peers(n_ues, max_flows=6, max_observations=8, max_links=4, max_rate=3)
        relay = peers.relay
        for n in range(150):
            do_something(peers, random, n_ues)
            check_tables(relay, (seed, n))
        for n in range(n_ues):
            relay.link_down(name(n))
        endpoint = relay.endpoint
        assert relay.flows() == [] and relay.held_back == [], seed
        assert (relay.n_requests, relay.n_observing) == (0, 0), seed
        assert endpoint.exchanges == [] and endpoint.by_token == {}, seed
        # Not one place is lost: as many observe as at first.
        peers.wait(300000)
        peers.asked = []
        for n in range(n_ues):
            peers.link(n, ue_address(40 + n))
            for token in (b"1", b"2"):
                assert peers.get(n, token, 0) == 1, (seed, n)
                peers.answer(peers.asked[-1], 1, CONTENT, ACK)
                peers.wait(1000)
        assert relay.n_observing == 8 and relay.n_requests == 0, seed
        assert "observations_full" not in relay.counters, seed


def test_a_place_of_an_observation_is_taken_from_the_request_on_and_after_want_of_memory_too():
    peers = Peers(3, max_observations=2)
    for n in (0, 1):
        assert peers.get(n, b"t", 0) == 1
    for n_lost in (0, 1):
        if n_lost:
            peers.relay.lose(peers.now)
        assert peers.get(2, b"u%d" % n_lost, 0) == 1
        assert peers.relay.counters["observations_full"] == n_lost + 1
    assert [flow.wants_observe for flow in peers.relay.flows()].count(True) == 2


def test_a_relay_that_was_idle_for_more_than_six_days_asks_at_once():
    peers = Peers(2, max_rate=1)
    assert peers.get(0, b"t") == 1
    peers.answer(peers.asked[-1], None, CONTENT, ACK)
    # Longer than moments can be compared; a node looks at the clock meanwhile.
    for _ in range(14):
        peers.wait(DAY_MS // 2)
    assert peers.get(1, b"t") == 1 and peers.relay.held_back == []


def test_requests_that_are_held_back_go_up_in_the_order_in_which_they_came():
    peers = Peers(6, max_rate=3)
    for n in (0, 1, 2, 4, 3, 5):
        peers.get(n, b"t")
    assert len(peers.asked) == 3 == len(peers.relay.held_back)
    peers.wait(1500)
    assert [asked[0] for asked in peers.asked] == [0, 1, 2, 4, 3, 5]


def test_the_moment_of_an_acknowledgement_is_one_second_after_the_request():
    peers = Peers(2)
    peers.get(0, b"t")
    peers.get(1, b"t", None, NON)  # this one gets none
    assert peers.relay.wait_ms(peers.now) == 1000
    for ms, n_sent in ((999, False), (1, True), (900, False)):
        peers.now = add(peers.now, ms)
        peers.relay.step(peers.now)
        item = peers.relay.transmit(peers.now)
        assert (item is not None) == n_sent, ms
        assert item is None or (item[2] == peers.addresses[0] and item[1][1] == 0)
        assert peers.relay.transmit(peers.now) is None


def test_beyond_twice_its_flows_the_oldest_slow_request_is_acknowledged_early():
    peers = Peers(2, max_flows=2)
    peers.get(0, b"t")
    # One that is answered keeps its place until those before it have been acknowledged.
    for n in range(4):
        assert [message.code for message in peers.answers] == n * [CONTENT]
        assert peers.relay.links.of_ue(name(0)).flows[0].incoming.acknowledged is (n > 3)
        peers.get(1, b"t%d" % n)
        peers.answer(peers.asked[-1], None, CONTENT, ACK)
    assert peers.relay.links.of_ue(name(0)).flows[0].incoming.acknowledged
    assert peers.relay.links.of_ue(name(0)).n_requests == 1 and peers.relay.counters == {}


def new_own():
    """(sim, relay, own, server): a relay with a configuration of its own."""
    sim = NetworkSim()
    settings = relay_settings(ue_id=UE_ID, start_delay_s=0, observe=False)
    relay = Relay(settings, xorshift(5), SERVER, sim.now)
    relay.own = own = ConstrainedUe(
        settings, xorshift(6), FakeConfiguration(), SERVER, sim.now, 0, relay.endpoint
    )
    sim.add(RELAY, relay)
    return sim, relay, own, new_server(sim, {UE_ID: document(UE_ID, DATA)})


def next_request(sim, relay):
    """The next request of the relay for itself, as Message."""
    relay.step(sim.now)
    return Message(32).decode(bytes(relay.transmit(sim.now)[1]))


def test_a_reset_of_the_server_for_a_request_is_5_02_for_its_ue_at_once():
    peers = Peers(2)
    for n, mtype in ((0, CON), (1, NON)):
        peers.get(n, b"t%d" % n, None, mtype)
        peers.empty(RST, peers.asked[-1][2], SERVER)
        answer = peers.answers[-1]
        assert (answer.code, answer.token()) == (BAD_GATEWAY, b"t%d" % n)
        assert b"Reset by the server" in answer.payload()
        assert len(peers.answers) == n + 1 and peers.relay.flows() == []
    assert peers.relay.n_requests == 0


def test_a_reset_or_a_time_out_of_its_own_request_is_its_own_event():
    sim, relay, own, _ = new_own()
    mid = next_request(sim, relay).mid
    relay.receive(0, bytes((0x70, 0, mid >> 8, mid & 255)), SERVER, sim.now)
    event = relay.poll()
    assert event is not None and event["event"] != "timeout"
    sim, relay, own, _ = new_own()
    sim.remove(SERVER)
    assert sim.run(lambda: own.events, 100000)
    assert relay.poll()["event"] == "timeout" and 90000 < sim.elapsed_ms <= 93000
    assert relay.counters == {}


def test_a_reset_for_its_own_request_at_a_relay_that_has_none_harms_nobody():
    sim, relay, own, _ = new_own()
    request = next_request(sim, relay)
    relay.own = None
    answer = packet(ACK, CONTENT, request.mid, request.token(), [(65020, UE_ID.encode())])
    relay.receive(0, bytes((0x70, 0, request.mid >> 8, request.mid & 255)), SERVER, sim.now)
    relay.receive(0, answer, SERVER, sim.now)
    assert own.events == [] and relay.poll() is None


def test_what_the_relay_wants_for_itself_waits_a_minute_for_memory():
    sim, relay, own, server = new_own()
    fetch = own.client.fetch

    def out_of_memory(*_):
        raise MemoryError

    own.client.fetch = out_of_memory
    relay.step(sim.now)
    own.client.fetch = fetch
    assert relay.counters == {"no_memory": 1}
    assert not sim.run(lambda: server.n_requests, 59000)
    assert sim.run(lambda: own.events, 2000) and own.configuration.n_applied == 1
