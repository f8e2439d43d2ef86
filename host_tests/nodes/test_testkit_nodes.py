"""The test kit that users import: gateways, keys of OSCORE, UEs on ESP-NOW."""

from msgin5g_testkit import Datagram, Inspector, Network, raises
from msgin5g_testkit.gateway import SEAL_C
from msgin5g_testkit.network import SERVER

IDS = ["urn:x-msgin5g:ue:%04d" % n for n in (7, 8, 9)]
UE_ID = IDS[0]
OSCORE = 9


def configurations():
    return {ue_id: {"interval-s": 10 + i} for i, ue_id in enumerate(IDS)}


def configured(ues):
    for i, ue in enumerate(ues):
        ue.wait("applied")
        assert ue.configuration["interval-s"] == 10 + i, ue


def between(net, one, other):
    """The datagrams between two addresses, as Datagrams."""
    return [Datagram(row[3]) for row in net.log if {row[1], row[2]} == {one, other}]


def is_protected(datagrams):
    """Whether all messages with a code are protected, False when none is."""
    found = {bool(d.values(OSCORE)) for d in datagrams if d.code}
    assert len(found) == 1, found
    return found.pop()


def test_a_gateway_asks_once_for_all_its_ues_and_passes_a_change_on():
    for separated in (False, True):
        net = Network(loss=0.2, seed=4)
        server = net.server(configurations())
        gateway = net.gateway(separated=separated)
        ues = [net.ue(ue_id, gateway=gateway) for ue_id in IDS]
        configured(ues)
        named = [len(Datagram(row[3]).query("ue-uri")) for row in net.log if row[2] == SERVER]
        assert max(named) > 1, separated
        assert bool(between(net, *SEAL_C)) == separated == (gateway.client is not None)
        server.serve(UE_ID, {"interval-s": 99})
        ues[0].wait("applied")
        assert ues[0].configuration["interval-s"] == 99
        server.deny(IDS[1])
        ues[1].reset()
        assert ues[1].wait("rejected")["code"] == "4.03"


def test_a_gateway_serves_a_ue_while_its_link_is_up_and_while_it_is_on():
    net = Network()
    net.server(configurations())
    gateway = net.gateway(separated=True)
    ue = net.ue(UE_ID, gateway=gateway)
    gateway.link_down(ue)
    ue.wait("timeout")
    assert gateway.counters["not_linked"] > 0
    gateway.link_up(ue)
    gateway.client.is_silent = True
    ue.wait("rejected", "timeout")
    gateway.client.is_silent = False
    ue.wait("applied")


def test_a_key_protects_all_that_a_ue_asks_for_also_through_a_relay():
    for has_relay in (False, True):
        net = Network(loss=0.2, seed=2)
        server = net.server(configurations())
        relay = net.relay() if has_relay else None
        ue = net.ue(UE_ID, relay=relay, oscore=True)
        other = net.ue(IDS[1], relay=relay)
        configured([ue, other])
        hop = relay.address if relay else SERVER
        assert is_protected(between(net, ue.address, hop)), has_relay
        assert not is_protected(between(net, other.address, hop)), has_relay
        server.serve(UE_ID, {"interval-s": 99})
        ue.wait("applied")
        assert ue.configuration["interval-s"] == 99
        server.delete(UE_ID)
        assert ue.wait("rejected")["code"] == "4.04"


def test_numbers_of_a_key_are_on_the_flash_and_survive_power_cuts():
    for n in range(1, 5):
        net = Network(seed=n)
        server = net.server(configurations())
        ue = net.ue(UE_ID, oscore=True)
        ue.wait("applied")
        ue.flash.cut_at = n
        server.serve(UE_ID, {"interval-s": 99})
        assert net.run(lambda: bool(ue.configuration and ue.configuration["interval-s"] == 99)), n
        assert "oscore-a" in ue.flash.files and "oscore-b" in ue.flash.files


def test_a_gateway_is_an_end_of_oscore_on_both_sides_and_over_seal_c():
    for separated in (False, True):
        net = Network(loss=0.1, seed=3)
        net.server(configurations())
        gateway = net.gateway(separated=separated, oscore=True)
        ues = [net.ue(ue_id, gateway=gateway, oscore=i < 2) for i, ue_id in enumerate(IDS)]
        configured(ues)
        for i, ue in enumerate(ues):
            assert is_protected(between(net, ue.address, gateway.address)) == (i < 2)
        to_server = [Datagram(row[3]) for row in net.log if SERVER in row[1:3]]
        assert is_protected(to_server), separated
        if separated:
            assert is_protected(between(net, *SEAL_C))


def test_a_ue_with_a_key_needs_a_gateway_with_one_and_an_id_of_its_own():
    net = Network()
    gateway = net.gateway()
    with raises(AssertionError, "net.gateway(oscore=True)"):
        net.ue(UE_ID, gateway=gateway, oscore=True)
    net.server({})
    net.ue(UE_ID, oscore=True)
    with raises(AssertionError, "the last four letters"):
        net.ue("urn:x-msgin5g:other:0007", oscore=True)


def test_a_ue_on_espnow_reaches_a_relay_or_a_gateway_without_ip():
    for kind in ("relay", "gateway", "separated"):
        net = Network(loss=0.1, seed=5)
        server = net.server(configurations())
        hop = net.relay() if kind == "relay" else net.gateway(separated=kind == "separated")
        how = {"relay" if kind == "relay" else "gateway": hop, "link": "espnow"}
        ues = [net.ue(ue_id, **how) for ue_id in IDS[:2]]
        configured(ues)
        assert between(net, ues[0].address, hop.address), kind
        server.serve(UE_ID, {"interval-s": 99})
        ues[0].wait("applied")
        assert ues[0].configuration["interval-s"] == 99, kind
        ues[0].reset()
        ues[0].wait("applied", "unchanged")  # the older one, if a gateway has it in its cache
        assert net.run(lambda ues=ues: ues[0].configuration["interval-s"] == 99), kind


def test_a_ue_on_espnow_goes_out_of_range_and_comes_back():
    net = Network()
    server = net.server(configurations())
    relay = net.relay()
    ue = net.ue(UE_ID, relay=relay, link="espnow", espnow={"probe_s": 10})
    ue.wait("applied")
    net.sleep(5)
    server.serve(UE_ID, {"interval-s": 10, "name": "gate"})
    ue.wait("applied", limit_s=1)  # pushed, and the frame wakes the board
    relay.link_down(ue)
    ue.wait("link_down")
    server.serve(UE_ID, {"interval-s": 99})
    net.sleep(60)
    assert ue.configuration["interval-s"] == 10
    relay.link_up(ue)
    ue.wait("applied")
    assert ue.configuration["interval-s"] == 99
    relay.is_silent = True
    ue.wait("link_down")


def test_a_ue_on_espnow_may_have_a_key_and_an_application():
    waits = []

    class Application:
        pass

    app = Application()

    async def main(node):
        waits.append(await node.wait_changed())

    app.main = main
    net = Network()
    net.server(configurations())
    relay = net.relay()
    ue = net.ue(UE_ID, application=app, relay=relay, link="espnow", oscore=True)
    ue.wait("applied", limit_s=2)  # a frame wakes the loop of the application
    assert waits[0]["interval-s"] == 10
    assert is_protected(between(net, ue.address, relay.address))


GATEWAY = ("192.168.4.1", 65401)
UE = ("192.168.4.2", 65401)


def with_key(protected=True, gateway=False):
    """An Inspector that knows a UE at a relay, and a gateway; whether they have keys."""
    made = Inspector(SERVER, "coap://scm.example")
    made.add_ue(UE_ID, UE, protected)
    made.add_gateway("urn:x-msgin5g:gateway:1", [GATEWAY], gateway)
    for ue_id in IDS[:2]:
        made.may_ask(GATEWAY, ue_id)
    return made


def message(code, options, payload=b"x", mid=1, mtype=0, token=b"abcd"):
    from msgin5g.coap.message import encode

    buf = bytearray(2000)
    return bytes(buf[: encode(buf, mtype, code, mid, token, options, payload)])


PATHS = [(11, part) for part in (b"su-uc", b"v1", b"val-services", b"m", b"ue-configurations")]
SERVER_OPTION = (65020, b"coap://scm.example")
KID = b"\x09\x01" + UE_ID[-4:].encode()


def asked(*queries):
    return PATHS + [(15, query) for query in queries] + [SERVER_OPTION]


def uris(*ue_ids):
    return [b"ue-uri=" + ue_id.encode() for ue_id in ue_ids]


def test_what_breaks_a_rule_of_oscore_or_of_bulk_requests_is_a_fault():
    protected = [(OSCORE, KID), SERVER_OPTION]
    bulk = uris(*IDS[:2]) + [b"bulkConfFlag=x"]
    for source, data, what in (
        (UE, message(2, protected), None),
        (UE, message(5, [(6, b"")] + protected), None),
        (UE, message(1, asked(*uris(UE_ID)), b""), "not protected, and its sender has a key"),
        (UE, message(1, protected), "the outer method must be POST"),
        (UE, message(2, protected, b""), "has a payload"),
        (UE, message(2, [(OSCORE, KID), PATHS[0], SERVER_OPTION]), "option 11 must be inside"),
        (UE, message(2, [(OSCORE, KID[:-1] + b"8"), SERVER_OPTION]), "is of None"),
        (UE, message(2, [(OSCORE, KID)]), "Recipient is []"),
        (GATEWAY, message(1, asked(*bulk), b""), None),
        (GATEWAY, message(1, asked(*uris(*IDS[:2])), b""), "bulkConfFlag"),
        (GATEWAY, message(1, asked(*(uris(UE_ID) + bulk[2:])), b""), "bulkConfFlag"),
        (GATEWAY, message(1, asked(*uris(IDS[2])), b""), "expected one of"),
        (GATEWAY, message(1, asked(*(bulk + uris(IDS[2]))), b""), "expected one of"),
        (GATEWAY, message(1, asked(*(bulk + 5 * [240 * b"q"])), b""), "more than 1152"),
    ):
        inspector = with_key()
        inspector.sent(0, source, SERVER, data)
        fault = inspector.fault or ""
        assert (what is None) == (fault == "") and (what or "") in fault, (what, fault)


def test_a_number_of_a_key_that_is_used_twice_is_a_fault():
    inspector = with_key()
    first = message(2, [(OSCORE, KID), SERVER_OPTION], b"one")
    inspector.sent(0, UE, SERVER, first)
    inspector.sent(9, UE, SERVER, first)
    assert inspector.fault is None
    inspector.sent(10, UE, SERVER, message(2, [(OSCORE, KID), SERVER_OPTION], b"two", 2))
    assert "used twice with one key" in inspector.fault


def test_a_response_that_does_not_belong_to_its_request_is_a_fault():
    mine = (65020, UE_ID.encode())
    bulk = uris(*IDS[:2]) + [b"bulkConfFlag=x"]
    protected = message(2, [(OSCORE, KID), SERVER_OPTION])
    for asker, request, response, what in (
        (UE, protected, message(0x44, [(OSCORE, b""), mine], mtype=2), None),
        (UE, protected, message(0x81, [], mtype=2), None),
        (UE, protected, message(0x44, [mine], mtype=2), "is not protected"),
        (UE, protected, message(0x81, [(65020, IDS[1].encode())], mtype=2), "Recipient is"),
        (GATEWAY, message(1, asked(*bulk), b""), message(0x45, [], mtype=2), None),
        (GATEWAY, message(1, asked(*bulk), b""), message(0x45, [mine], mtype=2), "Recipient is"),
    ):
        inspector = with_key()
        inspector.sent(0, asker, SERVER, request)
        assert inspector.fault is None
        inspector.sent(1, SERVER, asker, response)
        fault = inspector.fault or ""
        assert (what is None) == (fault == "") and (what or "") in fault, (what, fault)


def test_a_gateway_with_a_key_that_does_not_protect_its_request_is_a_fault():
    for has_key, what in ((False, ""), (True, "not protected, and its sender has a key")):
        inspector = with_key(gateway=has_key)
        bulk = uris(*IDS[:2]) + [b"bulkConfFlag=x"]
        inspector.sent(0, GATEWAY, SERVER, message(1, asked(*bulk), b""))
        assert what in (inspector.fault or "") and bool(what) == bool(inspector.fault), has_key


def test_a_key_does_not_ask_for_another_ue():
    inspector = with_key()
    inspector.inside(UE_ID, (UE_ID,))
    assert inspector.fault is None
    inspector.inside(UE_ID, (IDS[1],))
    assert "protected by " + UE_ID in inspector.fault
