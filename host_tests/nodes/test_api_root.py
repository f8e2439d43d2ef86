"""Path prefix and host of apiRoot (TS 24.546 C.1.1), at every role that asks."""

from builders import (
    DATA,
    SERVER,
    UE_ID,
    FakeConfiguration,
    document,
    names,
    new_server,
    new_sim,
    relay_settings,
    ue_address,
)
from msgin5g_testkit.checks import load, unhex, xorshift
from gateway_builders import doc, new_bulk_server, new_gateway, new_ues, separated
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import OBSERVE, URI_HOST, URI_PATH, URI_QUERY
from msgin5g.scm.request import ScmRequest
from msgin5g_testkit.network_sim import NetworkSim
from msgin5g_testkit.servers import option_values

load("msgin5g.relay", "msgin5g.ue", "msgin5g.gateway.gateway", "bulk_servers")

ROOT = {"server_host": "scm.example", "server_path_prefix": "root/scm"}
PATH = [b"root", b"scm", b"su-uc", b"v1", b"val-services", b"msgin5g", b"ue-configurations"]


def of_server(message):
    """Whether a request has the host and the path of ROOT."""
    path = option_values(message, URI_PATH)
    return message.option(URI_HOST) == b"scm.example" and path[: len(PATH)] == PATH


def requests_to(sim, destination):
    """The GETs that were sent to an address."""
    found = [Message(128).decode(d) for _, _, to, d in sim.log if to == destination]
    return [message for message in found if message.code == 1]


def test_the_bytes_of_a_request_with_host_and_path_prefix():
    request = ScmRequest("s", [b"urn:x"], None, host="h", path_prefix="a/b")
    expected = [(3, b"h"), (4, b"e"), (6, b""), (11, b"a"), (11, b"b"), (11, b"su-uc"),
                (11, b"v1"), (11, b"val-services"), (11, b"s"), (11, b"ue-configurations"),
                (11, b"d"), (15, b"ue-uri=urn:x"), (17, unhex("fde9"))]  # fmt: skip
    assert request.options(b"d", b"e", 0) == expected


def test_a_ue_asks_with_host_and_path_prefix_and_the_relay_passes_them_on():
    settings = {"observe": True}
    settings.update(ROOT)
    sim, ue, relay, _ = new_sim(None, None, settings, None, {"max_age_s": 3600})
    assert sim.run(lambda: ue.client.observing)
    assert names(ue) == ["applied", "unchanged"] and relay.counters == {}
    got = requests_to(sim, SERVER)
    assert len(got) == 2 and all(of_server(message) for message in got)
    assert list(got[1].numbers[:3]) == [URI_HOST, OBSERVE, URI_PATH]


def test_a_relay_asks_for_its_own_configuration_with_them():
    from msgin5g.relay import Relay
    from msgin5g.ue import ConstrainedUe

    sim = NetworkSim()
    settings = relay_settings(ue_id=UE_ID, start_delay_s=0, observe=False, **ROOT)
    relay = Relay(settings, xorshift(5), SERVER, sim.now)
    own = ConstrainedUe(
        settings, xorshift(6), FakeConfiguration(), SERVER, sim.now, 0, relay.endpoint
    )
    relay.own = own
    sim.add(ue_address(1), relay)
    new_server(sim, {UE_ID: document(UE_ID, DATA)})
    assert sim.run(lambda: relay.own.events)
    assert names(relay) == ["applied"]
    assert [of_server(message) for message in requests_to(sim, SERVER)] == [True]


def test_a_gateway_takes_requests_with_them_and_asks_in_bulk_with_them():
    for remote in (False, True):
        sim = NetworkSim()
        server = new_bulk_server(sim, [doc(1), doc(2)])
        gateway = (separated if remote else plain)(new_gateway, sim, (1, 2), **ROOT)
        ues = new_ues(sim, (1, 2), **ROOT)
        assert sim.run(lambda: all(ue.events for ue in ues))
        assert [names(ue) for ue in ues] == [["applied"], ["applied"]], remote
        (bulk,) = server.bulks
        assert len(bulk) == 2
        got = requests_to(sim, SERVER)
        assert got and all(of_server(message) for message in got), remote
        assert gateway.counters == {}, remote


def plain(function, *arguments, **named):
    return function(*arguments, **named)


def test_a_gateway_refuses_another_path_with_a_code_that_removes_no_configuration():
    sim = NetworkSim()
    server = new_bulk_server(sim, [doc(1)])
    new_gateway(sim, (1,), **ROOT)
    (ue,) = new_ues(sim, (1,))
    assert sim.run(lambda: ue.events)
    assert ue.events[0]["code"] == "5.05" and server.n_requests == 0


def test_a_bulk_request_with_the_longest_names_has_room_for_its_ids():
    settings = {"server_host": 200 * "h", "server_path_prefix": "/".join(16 * ["segment-10."])}
    sim = NetworkSim()
    numbers = range(1, 41)
    server = new_bulk_server(sim, [doc(n) for n in numbers])
    new_gateway(sim, numbers, bulk_count=40, **settings)
    ues = new_ues(sim, numbers, **settings)
    assert sim.run(lambda: all(ue.events for ue in ues))
    assert all(names(ue) == ["applied"] for ue in ues)
    assert len(server.bulks) > 1 and 1040 < server.largest <= 1152
    assert max([len(option_values(m, URI_QUERY)) for m in requests_to(sim, SERVER)]) > 2
