"""Observations at the gateway: which one ends, and whose place is taken.

An observation is named by peer and token. The requests are written by hand.
"""

from msgin5g_testkit.checks import load, xorshift
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, uint_bytes
from msgin5g.coap.numbers import ACK, CON, CONTENT, NON, OBSERVE, RST
from builders import SERVER, raw_get
from gateway_builders import (
    GATEWAY,
    SEAL_C,
    address,
    gateway_settings,
    name,
    new,
    new_bulk_server,
    new_gateway,
    packet,
    shared,
)
from msgin5g_testkit.network_sim import NetworkSim

load("msgin5g.gateway.gateway")

UE = address(42)


class RawPeer:
    """A UE that sends what a test gives it, and acknowledges what comes while `acknowledges`."""

    def __init__(self, sim, n=42):
        self.sim = sim
        self.address = address(n)
        self.messages = []
        self.acknowledges = True
        self._out = []
        sim.add(self.address, self)

    def send(self, datagram):
        self._out.append(datagram)

    def empty(self, mtype, mid):
        self.send(bytes((0x40 | mtype << 4, 0, mid >> 8, mid & 255)))

    def wait(self, limit_ms=10000):
        """Wait for one more response; gives it."""
        n = len(self.responses())
        assert self.sim.run(lambda: len(self.responses()) > n, limit_ms)
        return self.responses()[-1]

    def responses(self):
        return [message for message in self.messages if message.code]

    def receive(self, transport, datagram, remote, now):
        message = Message(32).decode(bytes(datagram))
        self.messages.append(message)
        if message.mtype == CON and self.acknowledges:
            self.empty(ACK, message.mid)

    def step(self, now):
        pass

    def transmit(self, now):
        return (0, self._out.pop(0), GATEWAY) if self._out else None

    def wait_ms(self, now):
        return 0 if self._out else None


def observed(names=None, **settings):
    """(sim, gateway, server, a RawPeer that has not asked yet); the document is `d`."""
    sim = NetworkSim()
    names = names or [name(42)]
    gateway = new_gateway(sim, [int(n[-4:]) for n in names], **settings)
    server = new_bulk_server(sim, [shared(names, "d")], max_age_s=3600)
    return sim, gateway, server, RawPeer(sim)


def change(server, text, names=None):
    server.change("d", shared(names or [name(42)], "d", text))


def test_an_old_answer_that_is_reset_or_never_acknowledged_ends_no_newer_observation():
    for way in ("reset", "time-out"):
        sim, gateway, server, ue = observed()
        ue.acknowledges = False
        ue.send(raw_get("0001", "6f6c6431"))
        old = ue.wait()
        assert (old.mtype, old.code, old.token()) == (CON, CONTENT, b"old1")
        ue.acknowledges = True
        ue.send(raw_get("9001", "6e657731", "d", 0))
        assert sim.run(lambda: ue.responses()[-1].token() == b"new1")
        assert ue.responses()[-1].find(OBSERVE) >= 0
        ue.acknowledges = False
        if way == "reset":
            ue.empty(RST, old.mid)
        sim.run(None, 1000 if way == "reset" else 100000)
        assert gateway.counters["reset" if way == "reset" else "not_acknowledged"] == 1
        ue.acknowledges = True
        for text in ("one", "two"):
            change(server, text)
            pushed = ue.wait()
            assert pushed.token() == b"new1" and pushed.find(OBSERVE) >= 0, way
        assert gateway.observers.n_observers == 1


def test_a_deregistration_with_another_token_ends_nothing():
    sim, gateway, server, ue = observed()
    ue.send(raw_get("9001", "6e657731", "d", 0))
    ue.wait()
    ue.send(raw_get("9002", "6f746872", "d", 1))
    answer = ue.wait()
    assert answer.token() == b"othr" and answer.find(OBSERVE) < 0
    change(server, "new")
    assert ue.wait().token() == b"new1" and gateway.observers.n_observers == 1
    # With its own token it ends, here and at the server.
    ue.send(raw_get("9003", "6e657731", "d", 1))
    assert ue.wait().find(OBSERVE) < 0 and gateway.observers.n_observers == 0
    change(server, "newer")
    sim.run(None, 5000)
    assert ue.responses()[-1].mid == 0x9003 and server.observers == []


def test_another_request_of_the_same_ue_ends_no_observation():
    sim, gateway, server, ue = observed()
    ue.send(raw_get("9001", "6e657731", "d", 0))
    ue.wait()
    for n, document_id in enumerate(("d", "e", "")):
        # The second one comes before the first one is answered.
        server.slow_ms = 500
        ue.send(raw_get("80%02x" % n, "6f6c643%d" % n, document_id))
        ue.send(raw_get("81%02x" % n, "6f6c654%d" % n, document_id))
        sim.run(None, 5000)
        change(server, str(n))
        assert ue.wait().token() == b"new1", document_id
    assert gateway.observers.n_observers == 1


def test_a_reset_of_its_own_notification_ends_an_observation_and_only_that():
    names = [name(42), name(43)]
    sim, gateway, server, ue = observed(names)
    other = RawPeer(sim, 43)
    ue.send(raw_get("9001", "6e657731", "d", 0))
    ue.wait()
    other.send(_of(43, 0x9001, b"new1"))
    other.wait()
    ue.acknowledges = False
    change(server, "new", names)
    pushed = ue.wait()
    ue.empty(RST, pushed.mid)
    sim.run(None, 5000)
    assert gateway.observers.n_observers == 1 and gateway.counters["reset"] == 1
    change(server, "newer", names)
    other.wait()
    assert ue.responses()[-1] is pushed


def _of(n, mid, token, document_id=b"d", observe=b"", mtype=CON):
    """A GET of UE n."""
    path = (b"su-uc", b"v1", b"val-services", b"msgin5g", b"ue-configurations", document_id)
    options = [] if observe is None else [(OBSERVE, observe)]
    options += [(11, segment) for segment in path]
    options += [(15, b"ue-uri=" + name(n).encode()), (65020, b"coap://scm.example")]
    return packet(mtype, 1, mid, token, options)


def test_one_ue_with_forty_tokens_leaves_room_for_the_observation_of_the_next_one():
    names = [name(42), name(43)]
    sim, gateway, server, ue = observed(names, max_observations=32, max_links=32)
    other = RawPeer(sim, 43)
    for n in range(40):
        ue.send(raw_get("%04x" % (0x9001 + n), "746f%04x" % n, "d", 0))
        assert ue.wait().find(OBSERVE) >= 0
    assert gateway.observers.n_observers == 1
    other.send(_of(43, 7, b"tokn"))
    assert other.wait().find(OBSERVE) >= 0
    assert gateway.observers.n_observers == 2 and len(server.observers) == 1
    change(server, "new", names)
    assert ue.wait().token() == b"to\x00\x27"
    sim.run(None, 1000)
    assert other.responses()[-1].token() == b"tokn" and len(other.responses()) == 2


def test_a_full_gateway_lets_a_ue_observe_another_document_in_place_of_its_own():
    sim, gateway, server, ue = observed(max_observations=1)
    server.documents.append(shared([name(42)], "e"))
    server.max_age_s = 2
    for n, document_id in enumerate(("d", "e", "d")):
        ue.send(raw_get("900%d" % n, "6e65773%d" % n, document_id, 0))
        assert ue.wait().find(OBSERVE) >= 0 and server.asked[-1][3] == 0
        sim.run(None, 5000)  # what the gateway has is not fresh any more
    assert len(server.asked) == 3 and gateway.observers.n_observers == 1
    change(server, "new")
    assert ue.wait().token() == b"new2"


def test_a_deregistration_stops_a_notification_that_is_not_acknowledged():
    sim, gateway, server, ue = observed()
    ue.send(raw_get("9001", "6e657731", "d", 0))
    ue.wait()
    ue.acknowledges = False
    change(server, "new")
    assert ue.wait().mtype == CON
    ue.send(raw_get("9002", "6e657731", "d", 1))
    assert ue.wait().mid == 0x9002
    n = len(ue.responses())
    sim.run(None, 100000)
    assert len(ue.responses()) == n and gateway.endpoint.exchanges == []
    assert "not_acknowledged" not in gateway.counters


def test_an_observation_that_there_was_no_memory_for_leaves_the_former_one():
    sim, gateway, server, ue = observed()
    ue.send(raw_get("9001", "6e657731", "d", 0))
    ue.wait()
    observers = gateway.observers
    remove = observers.remove
    observers.remove = out_of_memory
    ue.send(raw_get("9002", "6e657732", "d", 0))
    sim.run(None, 1000)
    observers.remove = remove
    assert gateway.counters["no_memory"] == 1 and observers.n_observers == 1
    change(server, "new")
    assert ue.wait().token() == b"new1"
    # When the request is repeated it takes the place of the former one.
    ue.send(raw_get("9002", "6e657732", "d", 0))
    ue.wait()
    change(server, "newer")
    assert ue.wait().token() == b"new2" and observers.n_observers == 1


def out_of_memory(*_, **__):
    raise MemoryError


def test_an_observation_of_another_document_with_the_same_token_takes_its_place():
    _, gateway, server, ue = observed(max_observations=64, max_links=16)
    server.documents.append(shared([name(42)], "e"))
    for n, document_id in enumerate(("d", "e")):
        ue.send(raw_get("900%d" % n, "6e657731", document_id, 0))
        assert ue.wait().find(OBSERVE) >= 0
    assert gateway.observers.n_observers == 1
    assert [d.document_id for d in gateway.shared_documents.documents.values()] == [b"e"]
    # With tokens of their own both of them are observed.
    ue.send(raw_get("9009", "6e657732", "d", 0))
    assert ue.wait().find(OBSERVE) >= 0 and gateway.observers.n_observers == 2


def test_a_reset_of_a_non_confirmable_notification_ends_its_observation_and_only_that():
    for n_pushed in (0, 2):
        for is_cached in (False, True):
            sim, gateway, server, ue = observed()
            ue.send(_of(42, 1, b"one", mtype=NON, observe=b"" if is_cached else None))
            other = ue.wait()
            ue.send(_of(42, 2, b"two", mtype=NON))
            first = pushed = ue.wait()
            assert pushed.mtype == NON and pushed.find(OBSERVE) >= 0
            for n in range(n_pushed):
                change(server, str(n))
                pushed = ue.wait()
            if not is_cached:
                ue.empty(RST, other.mid)
                sim.run(None, 1000)
                assert gateway.observers.n_observers == 1 and "reset" not in gateway.counters
            ue.empty(RST, pushed.mid)
            sim.run(None, 1000)
            assert gateway.observers.n_observers == 0, (n_pushed, is_cached)
            n = len(ue.responses())
            change(server, "last")
            sim.run(None, 5000)
            assert len(ue.responses()) == n and first.token() == b"two"
            assert server.observers == []


def test_of_non_confirmable_notifications_one_in_twelve_hours_is_confirmable():
    sim, _, server, ue = observed()
    ue.send(_of(42, 1, b"tokn", mtype=NON))
    assert ue.wait().mtype == NON
    mtypes = []
    for n in range(24):
        sim.run(None, 3600000)
        change(server, str(n))
        mtypes.append(ue.wait().mtype)
        sim.run(None, 1000)
    assert [n for n in range(24) if mtypes[n] == CON] == [11, 23]


def test_a_ue_that_is_gone_is_noticed_though_it_observes_non_confirmably():
    sim, gateway, server, ue = observed()
    ue.send(_of(42, 1, b"tokn", mtype=NON))
    ue.wait()
    sim.remove(UE)
    sim.run(None, 13 * 3600000)
    for n in range(9):
        assert gateway.observers.n_observers == 1
        change(server, str(n))
        sim.run(None, 10000)
    sim.run(None, 10000)
    assert gateway.observers.n_observers == 0 and gateway.counters["not_acknowledged"] == 1


def test_refused_requests_of_one_ue_do_not_push_the_time_to_retry_of_others_away():
    numbers = (1, 2, 3)
    sim, gateway, server, clients = new(numbers, [], max_waiting=1)
    server.slow_ms = 10**6
    clients[0].get()
    sim.run(None, 3000)  # the gateway is full now
    ages = set()
    for n in range(1000):
        gateway.receive(0, _of(2, n, b"tokn"), address(2), sim.now)
        while True:
            out = gateway.transmit(sim.now)
            if out is None:
                break
            if out[2] == address(2):
                ages.add(Message(32).decode(bytes(out[1])).uint(14))
    assert ages == {1} and gateway.counters["busy"] == 1000
    clients[2].get()
    assert sim.run(lambda: clients[2].answers)
    assert (clients[2].answers[0].code, clients[2].answers[0].uint(14)) == (0xA3, 2)


class ScmClient:
    """A configuration client apart, between a gateway and a server as a test plays them."""

    def __init__(self):
        from msgin5g.gateway.scm_client_node import ScmClientNode

        self.node = ScmClientNode(gateway_settings(), xorshift(5), SERVER, SEAL_C[0])

    def ask(self, mid, token, observe):
        """The gateway asks for the document `d`; the client's request to the server."""
        body = dumps([b"d", None, None, [name(42).encode()], []])
        options = [(OBSERVE, uint_bytes(observe)), (11, b"seal-c")]
        self.node.receive(1, packet(CON, 5, mid, token, options, body), SEAL_C[0], 0)
        return [message for message, to in self.sent() if to == SERVER]

    def tell(self, mid, token, sequence, body):
        """The server sends a notification; what the gateway then gets."""
        datagram = packet(CON, CONTENT, mid, token, [(OBSERVE, uint_bytes(sequence))], body)
        self.node.receive(0, datagram, SERVER, 0)
        return [message.payload() for message, to in self.sent() if to == SEAL_C[0]]

    def sent(self):
        out = []
        while True:
            item = self.node.transmit(0)
            if item is None:
                return out
            out.append((Message(32).decode(bytes(item[1])), item[2]))


def test_a_client_apart_passes_on_no_notification_older_than_the_last_one():
    client = ScmClient()
    (request,) = client.ask(1, b"tokn", 0)
    token = request.token()
    assert client.tell(1, token, 12, b"newer") == [b"newer"]
    assert client.tell(2, token, 11, b"older") == []
    assert client.node.counters == {"old_notification": 1}
    assert client.tell(3, token, 13, b"next") == [b"next"]


def test_a_client_apart_ends_an_observation_that_was_not_answered_yet_with_its_token():
    client = ScmClient()
    (request,) = client.ask(1, b"tokn", 0)
    (other,) = client.ask(2, b"else", 1)
    assert other.token() != request.token() and other.uint(OBSERVE) == 1
    (ending,) = client.ask(3, b"tokn", 1)
    assert ending.token() == request.token() and ending.uint(OBSERVE) == 1
    assert len(client.node.pending_requests) == 2
