"""Nodes whose peers have host names: before there is an address, after it, and at another one."""

from msgin5g_testkit.checks import xorshift
from builders import (
    DATA,
    OTHER_ID,
    RELAY,
    SERVER,
    UE_ID,
    FakeConfiguration,
    document,
    names,
    new_relay,
    new_server,
    new_ue,
    relay_settings,
    ue_address,
    ue_settings,
)
from gateway_builders import (
    CLIENT,
    SEAL_C,
    ManualClient,
    answered,
    doc,
    new,
    new_bulk_server,
    new_gateway,
    separated,
)
from msgin5g.node import Node
from msgin5g.relay import Relay
from msgin5g.services.name_lookup import NameLookup
from msgin5g.ue import ConstrainedUe
from msgin5g_testkit.network_sim import NetworkSim

UE = ue_address(2)
NEW_UE = ue_address(22)
NEW_RELAY = ("192.168.4.11", 65401)
NEW_SERVER = ("192.0.2.11", 5683)


def sent_to(sim, address):
    return [entry for entry in sim.log if entry[2] == address]


def move(sim, old, new_address):
    """A node of the simulation has another address from now on."""
    node = sim.nodes[old]
    sim.remove(old)
    sim.add(new_address, node)


def test_a_ue_asks_as_soon_as_its_next_hop_has_an_address():
    sim = NetworkSim()
    new_server(sim)
    new_relay(sim, {UE_ID: UE})
    ue = new_ue(sim, UE, remote=None)
    assert not sim.run(lambda: ue.events, 600000) and sim.log == []
    ue.set_next_hop(RELAY, sim.now)
    assert sim.run(lambda: ue.events, 1000) and names(ue) == ["applied"]


def test_a_name_lookup_tells_a_node_its_next_hop():
    sim = NetworkSim()
    new_server(sim)
    new_relay(sim, {UE_ID: UE})
    ue = new_ue(sim, UE, remote=None)
    node = Node(ue, [None])
    known = {}
    lookup = NameLookup(
        lambda host, port, remote: known.get(host), lambda: True, lambda: sim.now, xorshift(4)
    )
    lookup.add("next_hop", "relay.example", 65401, ue.set_next_hop)
    lookup.join(node)
    sim.add(UE, node)
    assert not sim.run(lambda: ue.events, 60000) and sim.log == []
    assert node.poll()["event"] == "unresolved"
    known["relay.example"] = RELAY
    assert sim.run(lambda: ue.configuration.n_applied, 200000)


def test_a_ue_follows_its_next_hop_to_another_address_and_observes_it_there():
    sim = NetworkSim()
    server = new_server(sim)
    new_relay(sim, {UE_ID: UE})
    ue = new_ue(sim, UE, observe=True)
    assert sim.run(lambda: ue.client.observing, 60000)
    move(sim, RELAY, NEW_RELAY)
    ue.set_next_hop(NEW_RELAY, sim.now)
    n_old = len(sent_to(sim, RELAY))
    sim.run(None, 10000)
    assert ue.client.observing and len(sent_to(sim, RELAY)) == n_old
    n_applied = ue.configuration.n_applied
    server.change(UE_ID, document(UE_ID, DATA.replace("user-7", "user-8")))
    assert sim.run(lambda: ue.configuration.n_applied > n_applied, 10000)


def test_a_ue_counts_the_fetches_that_its_next_hop_has_not_answered():
    sim = NetworkSim()
    ue = new_ue(sim, UE)
    assert ue.n_timeouts == 0
    assert sim.run(lambda: ue.events, 200000) and ue.n_timeouts == 1


def test_a_relay_is_busy_until_its_server_has_an_address():
    sim = NetworkSim()
    new_server(sim)
    relay = Relay(relay_settings(), xorshift(5), None, sim.now)
    relay.link_up(UE_ID.encode(), 0, UE)
    sim.add(RELAY, relay)
    ue = new_ue(sim, UE)
    assert sim.run(lambda: ue.events, 10000)
    assert ue.events[0]["event"] == "rejected" and ue.events[0]["code"] == "5.03"
    assert sent_to(sim, SERVER) == []
    relay.set_server(SERVER, sim.now)
    assert sim.run(lambda: ue.configuration.n_applied, 60000)


def test_a_relay_and_its_own_ue_follow_the_server_to_another_address():
    sim = NetworkSim()
    relay_id = relay_settings().ue_id
    new_server(sim, {UE_ID: document(UE_ID, DATA), relay_id: document(relay_id, DATA)})
    relay = new_relay(sim, {UE_ID: UE})
    relay.own = own = ConstrainedUe(
        ue_settings(ue_id=relay_id, require_recipient=False),
        xorshift(6),
        FakeConfiguration(),
        SERVER,
        sim.now,
        0,
        relay.endpoint,
    )
    ue = new_ue(sim, UE)
    assert sim.run(lambda: ue.configuration.n_applied and own.configuration.n_applied, 60000)
    move(sim, SERVER, NEW_SERVER)
    n_old = len(sent_to(sim, SERVER))
    names(own)
    relay.set_server(NEW_SERVER, sim.now)
    assert sim.run(lambda: own.events, 10000) and names(own) == ["unchanged"]
    names(ue)
    ue.fetch(sim.now)
    assert sim.run(lambda: ue.events, 10000) and names(ue) == ["unchanged"]
    assert len(sent_to(sim, SERVER)) == n_old


def test_a_link_whose_name_has_no_address_leaves_the_other_links_alone():
    sim = NetworkSim()
    new_server(sim, {UE_ID: document(UE_ID, DATA), OTHER_ID: document(OTHER_ID, DATA)})
    relay = new_relay(sim, {UE_ID: UE})
    known = {}
    node = Node(relay, [None])
    lookup = NameLookup(
        lambda host, port, remote: known.get(host), lambda: True, lambda: sim.now, xorshift(4)
    )
    lookup.add(
        "links " + OTHER_ID,
        "ue8.example",
        65401,
        lambda remote, now: relay.link_up(OTHER_ID.encode(), 0, remote),
    )
    lookup.join(node)
    sim.add(RELAY, node)
    ue = new_ue(sim, UE)
    other = new_ue(sim, ue_address(3), 4, ue_id=OTHER_ID)
    assert sim.run(lambda: ue.configuration.n_applied, 60000)
    assert lookup.unresolved() == ["links " + OTHER_ID + ": ue8.example: not known"]
    assert not other.configuration.n_applied
    known["ue8.example"] = ue_address(3)
    assert sim.run(lambda: other.configuration.n_applied, 900000)


def test_when_the_name_of_a_link_has_another_address_nothing_goes_to_the_old_one():
    sim = NetworkSim()
    server = new_server(sim)
    relay = new_relay(sim, {UE_ID: UE})
    ue = new_ue(sim, UE, observe=True)
    assert sim.run(lambda: ue.client.observing, 60000)
    sim.run(None, 5000)
    assert relay.link_up(UE_ID.encode(), 0, NEW_UE)  # what a lookup of a link does
    n_old = len(sent_to(sim, UE))
    server.change(UE_ID, document(UE_ID, DATA.replace("user-7", "user-8")))
    sim.run(None, 100000)
    assert len(sent_to(sim, UE)) == n_old and len(relay.flows()) == 0


def test_requests_wait_in_a_gateway_until_its_server_has_an_address():
    for make in (new_gateway, lambda *args, **named: separated(new_gateway, *args, **named)):
        sim = NetworkSim()
        gateway = make(sim, (1, 2))
        remote = gateway.transfers.scm.remote
        gateway.set_server(None, sim.now)
        new_bulk_server(sim, [doc(1), doc(2)])
        clients = [ManualClient(sim, n) for n in (1, 2)]
        for client in clients:
            client.get()
        sim.run(None, 20000)
        assert not any(client.answers for client in clients)
        gateway.set_server(remote, sim.now)
        assert answered(sim, clients, 10000)
        assert [client.answers[0].code for client in clients] == [0x45, 0x45]


def test_a_separated_client_takes_requests_from_its_gateway_when_it_has_an_address():
    sim, _, _, clients = separated(new, (1,), [doc(1)])
    node = sim.nodes[CLIENT]
    node.set_gateway(None, sim.now)
    clients[0].get()
    sim.run(None, 10000)
    assert not clients[0].answers and node.counters["not_linked"]
    node.set_gateway(SEAL_C[0], sim.now)
    assert answered(sim, clients, 60000) and clients[0].answers[0].code == 0x45


def test_a_separated_client_whose_server_has_no_address_says_so():
    sim, _, _, clients = separated(new, (1,), [doc(1)])
    sim.nodes[CLIENT].set_server(None, sim.now)
    clients[0].get()
    assert answered(sim, clients, 10000) and clients[0].answers[0].code == 0xA3
