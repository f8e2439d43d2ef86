"""Each verb of each role without memory, at each place in turn: what is lost is only time."""

from builders import DATA, SERVER, UE_ID, document, new_sim
from msgin5g_testkit.checks import load
from full_heap import starve
from gateway_builders import CLIENT, doc, new, new_ues, separated
from oscore_server import protect_server, protect_ue

load("msgin5g.relay", "msgin5g.ue", "msgin5g.scm.ue_config_doc", "msgin5g_testkit.servers",
     "bulk_servers", "msgin5g.gateway.gateway", "msgin5g.gateway.scm_client_node")  # fmt: skip

_LONG_MS = 4000000  # several refreshes, and the longest back-off
_QUIET_MS = 400000  # longer than a message ID is remembered


def behind_relay():
    """(sim, {name: role}, done): a UE observes a document of three blocks behind a relay."""
    doc_ = document(UE_ID, DATA, padding="p" * 150)
    sim, ue, relay, server = new_sim(
        None, {UE_ID: doc_}, {"observe": True, "block_size": 128}, None, {"max_age_s": 3600}
    )

    def done():
        return ue.configuration.data == DATA.encode() and ue.client.observing

    def change():
        server.change(UE_ID, document(UE_ID, DATA.replace("user-7", "user-8")))

    def changed():
        return ue.configuration.data == DATA.replace("user-7", "user-8").encode()

    return sim, {"ue": ue, "relay": relay}, (done, change, changed)


def protected():
    """The same, and all of it is protected by OSCORE."""
    sim, roles, dones = behind_relay()
    protect_ue(roles["ue"], UE_ID)
    protect_server(sim.nodes[SERVER], (UE_ID,))
    return sim, roles, dones


def behind_gateway():
    """The same with three UEs behind a gateway, whose configuration client is separated."""
    numbers = (1, 2, 3)
    sim, gateway, server, _ = separated(
        new, numbers, [doc(n) for n in numbers], {"max_age_s": 3600}, (), bulk_count=3
    )
    ues = new_ues(sim, numbers, observe=True)

    def done():
        return all(ue.configuration.data and ue.client.observing for ue in ues)

    def change():
        new_doc = doc(2)
        new_doc["ueConfigs"][0]["configData"] = '{"who":"new"}'
        server.change("doc-2", new_doc)

    def changed():
        return ues[1].configuration.data == b'{"who":"new"}'

    roles = {"gateway": gateway, "seal-c": sim.nodes[CLIENT]}
    return sim, roles, (done, change, changed)


def check(make, which, n_datagrams):
    n_lost = 0
    for verb in ("receive", "step", "transmit"):
        for at in range(n_datagrams):
            n = 0
            while True:
                what = (which, verb, at, n)
                sim, roles, (done, change, changed) = make()
                role = roles[which]
                starve(role, verb, at, n)
                assert sim.run(done, _LONG_MS), what
                lost = role.counters.pop("no_memory", 0)
                change()
                assert sim.run(changed, _LONG_MS), what
                if n % 8 == at % 8:
                    sim.run(None, _QUIET_MS)
                    check_tables(which, role, what)
                if not lost:
                    break
                n_lost += 1
                n += 1
    assert n_lost > 20, n_lost


def check_tables(which, role, what):
    """Nothing is left but the observations."""
    endpoint = role.endpoint
    assert not endpoint.exchanges and not endpoint.outbox, what
    assert endpoint.n_incoming == len(endpoint.answered), what
    if which == "relay":
        assert len(role.flows()) == role.n_observing <= 1, what
        for ue in role.links:
            assert ue.n_requests == 0, what
    elif which == "gateway":
        pending = role.pending_requests
        assert pending.n_waiting == pending.held_size == 0, what
        assert not role.transfers.under_way and not role.responder.ready, what
        shared = role.shared_documents
        assert shared.confirmations == {}, what
        assert all(d.observers and not d.n_confirmations for d in shared.documents.values()), what
        assert not role.scheduler.collecting + role.scheduler.singles + role.scheduler.queued, what
    elif which == "seal-c":
        assert all(request.is_observing for request in role.pending_requests), what


def test_a_ue_without_memory_ends_with_its_configuration_all_the_same():
    check(behind_relay, "ue", 5)


def test_a_ue_with_a_key_and_without_memory_ends_with_its_configuration_all_the_same():
    check(protected, "ue", 5)


def test_a_relay_without_memory_serves_its_ue_all_the_same():
    check(behind_relay, "relay", 8)


def test_a_gateway_without_memory_serves_its_ues_all_the_same():
    check(behind_gateway, "gateway", 8)


def test_a_configuration_client_without_memory_serves_its_gateway_all_the_same():
    check(behind_gateway, "seal-c", 6)
