"""libcoap's client at our relay and server, our UE and relay at libcoap's server."""

from threading import Thread

import cbor2
import pytest
from peers import (
    PORT,
    QUICK,
    SERVER_URI,
    LibcoapServer,
    ScmProcess,
    coap_client,
    configuration,
    document,
    host,
    relay,
    ue,
)
from scm_setup import (
    ACK,
    BLOCK2,
    COLLECTION,
    CON,
    CONTENT_FORMAT,
    NON,
    OBSERVE,
    PUT,
    RECIPIENT,
    RST,
    UE7,
    UE8,
    Client,
)
from etsi_pairs import is_cancelled
from proxy import Proxy

from msgin5g_tools.scm_server.store import Store

DENIED = "urn:x-msgin5g:ue:0013"
TO_SERVER = ("-O", f"{RECIPIENT},{SERVER_URI}")
OF_UE7 = f"{COLLECTION}?ue-uri={UE7}"
DOC7 = f"{COLLECTION}/ue-0007"
LARGE = "n" * 3000


@pytest.fixture(scope="module")
def scm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scm")
    with ScmProcess(folder) as server:
        server.put("ue-0007", document())
        with Store(folder / "scm.db") as store:
            store.deny(DENIED)
        yield server


@pytest.fixture(scope="module")
def our_relay(tmp_path_factory, scm):
    links = {ue_id: (host(), PORT) for ue_id in (UE7, UE8, DENIED)}
    with relay(tmp_path_factory.mktemp("relay"), scm.address, links) as role:
        yield role
        role.counters()


@pytest.fixture(scope="module")
def theirs():
    """libcoap's server, which makes resources by PUT."""
    with LibcoapServer("-d", "100") as server:
        yield server


def ask(our_relay, ue_id, *options, path=None):
    """libcoap's client at a linked address."""
    here, port = our_relay.links[ue_id]
    path = path or f"{COLLECTION}?ue-uri={ue_id}"
    return coap_client(our_relay.address, path, "-a", here, "-p", port, *TO_SERVER, *options)


def put(server, path, made):
    text = "".join(f"%{byte:02x}" for byte in cbor2.dumps(made))
    coap_client(server.address, path, "-m", "put", "-t", "60", "-e", text)


# libcoap's client and our relay


def test_a_linked_client_gets_its_document_through_the_relay(our_relay):
    (made,) = cbor2.loads(ask(our_relay, UE7).removesuffix(b"\n"))
    assert made == document() | {"ueConfigDocId": "ue-0007"}


def test_403_and_404_come_through_the_relay(our_relay):
    assert ask(our_relay, DENIED).startswith(b"4.03")
    assert ask(our_relay, UE8).startswith(b"4.04")


def test_a_non_confirmable_request_stays_one_on_both_sides(our_relay, tmp_path, scm):
    with (
        Proxy(scm.address) as above,
        relay(tmp_path, above.address, {UE7: (at := (host(), PORT))}) as role,
        Proxy(role.address, at) as below,
    ):
        coap_client(below.address, OF_UE7, "-N", *TO_SERVER)
        for proxy in (below, above):
            ((_, request), (_, answer)) = proxy.passed()
            assert (request.type, answer.type, answer.code) == (NON, NON, "2.05")
            assert answer.token == request.token and answer.options[RECIPIENT] == [UE7.encode()]


def test_blocks_come_through_the_relay_each_with_its_recipient(scm, our_relay):
    large = document(UE8, configName=LARGE)
    scm.put("ue-0008", large)
    with Proxy(our_relay.address, our_relay.links[UE8]) as proxy:
        got = coap_client(proxy.address, f"{COLLECTION}?ue-uri={UE8}", "-b", "128", *TO_SERVER)
        answers = [message for up, message in proxy.passed() if not up]
    scm.delete("ue-0008")
    assert cbor2.loads(got.removesuffix(b"\n")) == [large | {"ueConfigDocId": "ue-0008"}]
    assert len(answers) > 20
    for answer in answers:
        assert answer.options[RECIPIENT] == [UE8.encode()] and len(answer.options[BLOCK2]) == 1


def watched(passed):
    """Whether the server has said that it will tell of changes."""
    return any(not up and OBSERVE in message.options for up, message in passed)


def test_an_observation_through_the_relay_is_told_of_a_change_and_ends(scm, our_relay):
    with Proxy(our_relay.address, our_relay.links[UE7]) as proxy:
        options = ("-s", "1", "-A", "60", *TO_SERVER)
        client = Thread(target=coap_client, args=(proxy.address, f"{DOC7}?ue-uri={UE7}", *options))
        client.start()
        proxy.wait(watched)
        scm.put("ue-0007", document(name="changed"))
        client.join()
        proxy.wait(is_cancelled)  # what the client has sent may still be on its way
        passed = proxy.passed()
        scm.put("ue-0007", document())
    (notified,) = [m for up, m in passed if not up and m.type == CON]
    assert (notified.code, notified.options[RECIPIENT]) == ("2.05", [UE7.encode()])
    assert b"changed@example.com" in notified.payload
    assert (True, ACK, notified.mid) in [(up, m.type, m.mid) for up, m in passed]
    ended = [m for up, m in passed if up and m.options.get(OBSERVE) == [b"\x01"]]
    assert len(ended) == 1 and ended[0].token == notified.token


def test_a_client_without_a_link_is_not_answered_and_counted(tmp_path, scm):
    with relay(tmp_path, scm.address, {UE7: (host(), PORT)}) as role:
        got = coap_client(role.address, OF_UE7, "-a", host(), "-p", PORT, *TO_SERVER, timeout_s=1)
        assert got.strip() == b""
        assert role.counters() == {"not_linked": 1}


def test_a_ping_is_answered_with_a_reset_by_relay_server_and_ue(tmp_path, scm, our_relay, theirs):
    with ue(tmp_path, theirs.address, next_hop_is="server") as role:
        for address in (our_relay.address, scm.address, role.address):
            with Client(address) as client:
                client.send(bytes((0x40, 0, 0x12, 0x34)))
                answer = client.receive()
                assert (answer.type, answer.mid, answer.size) == (RST, 0x1234, 4), address


def test_discovery_at_the_relay(our_relay):
    here, port = our_relay.links[UE7]
    got = coap_client(our_relay.address, ".well-known/core", "-a", here, "-p", port)
    assert got.strip() == b"</.well-known/core>;ct=40"


# libcoap's client and our server: more of it is in test_scm_peers.py


def test_libcoap_s_client_at_our_server(scm):
    put(scm, f"{COLLECTION}/mine", document(UE8, name="eight"))
    for options in ((), ("-N",), ("-b", "32"), ("-T", "longtokn")):
        got = coap_client(scm.address, f"{COLLECTION}?ue-uri={UE8}", *options)
        assert b"eight@example.com" in got, options
    coap_client(scm.address, f"{COLLECTION}/mine", "-m", "delete")
    assert coap_client(scm.address, f"{COLLECTION}/mine").startswith(b"4.04")


# Our UE and libcoap's server


def test_a_ue_is_rejected_by_a_server_that_has_no_document(tmp_path, theirs):
    with ue(tmp_path, theirs.address, next_hop_is="server", service_id="other") as role:
        event = role.event("rejected", "timeout", "refused", "applied")
        assert (event["event"], event["code"]) == ("rejected", "4.04")


def test_a_ue_repeats_what_a_lossy_server_loses(tmp_path):
    with LibcoapServer("-l", "30%") as lossy, Proxy(lossy.address) as proxy:
        for n in range(5):
            with ue(tmp_path, proxy.address, next_hop_is="server", transmission=QUICK) as role:
                event = role.event("rejected", "timeout", "refused", "applied")
                assert (event["event"], event["code"]) == ("rejected", "4.04"), n
        mids = [message.mid for up, message in proxy.passed() if up]
        assert len(set(mids)) == 5, "what is repeated keeps its message ID"


def test_a_ue_is_configured_by_libcoap_s_server(tmp_path, theirs):
    put(theirs, COLLECTION, [document() | {"ueConfigDocId": "d1"}])
    with ue(tmp_path, theirs.address, next_hop_is="server") as role:
        event = role.event("applied", "rejected", "timeout", "refused")
        assert event["configuration"] == configuration()


def test_a_ue_asks_a_server_below_a_path_prefix(tmp_path, theirs):
    path = "root/scm/" + COLLECTION.replace("msgin5g", "below")
    put(theirs, path, [document(name="below") | {"ueConfigDocId": "d1"}])
    root = {"recipient": SERVER_URI, "host": "scm.example", "path_prefix": "root/scm"}
    settings = {"next_hop_is": "server", "service_id": "below", "server": root}
    with ue(tmp_path, theirs.address, **settings) as role:
        event = role.event("applied", "rejected", "timeout", "refused")
        assert event["configuration"] == configuration("below")


def test_a_ue_asks_our_server_below_a_path_prefix_through_the_relay_and_observes_it(tmp_path):
    path = f"root/scm/{COLLECTION}/ue-0007"
    at = host()
    root = {"recipient": SERVER_URI, "host": "scm.example", "path_prefix": "root/scm"}
    with ScmProcess(tmp_path, "--path-prefix", "root/scm") as below, below.client() as client:
        made = cbor2.dumps(document())
        answer = client.ask(PUT, path, options=[(CONTENT_FORMAT, b"<")], payload=made)
        assert answer.code == "2.01"
        with (
            relay(tmp_path, below.address, {UE7: (at, PORT)}) as middle,
            ue(tmp_path, middle.address, host=at, server=root, observe=True) as role,
        ):
            assert role.event("applied")["configuration"] == configuration()
            role.event("unchanged")  # it observes
            made = cbor2.dumps(document(name="pushed"))
            client.ask(PUT, path, options=[(CONTENT_FORMAT, b"<")], payload=made)
            assert role.event("applied")["configuration"] == configuration("pushed")


def test_a_ue_takes_a_large_document_in_libcoap_s_blocks(tmp_path, theirs):
    path = COLLECTION.replace("msgin5g", "large")
    put(theirs, path, [document(configName=LARGE[:700]) | {"ueConfigDocId": "d1"}])
    with Proxy(theirs.address) as proxy:
        settings = {"next_hop_is": "server", "service_id": "large", "block_size": 128}
        with ue(tmp_path, proxy.address, **settings) as role:
            event = role.event("applied", "rejected", "timeout", "refused")
        assert event["configuration"] == configuration()
        blocks = [message.options[BLOCK2] for up, message in proxy.passed() if not up]
        assert len(blocks) == 8, blocks


def test_a_ue_observes_its_document_at_libcoap_s_server(tmp_path, theirs):
    path = COLLECTION.replace("msgin5g", "watched")
    put(theirs, path, [document() | {"ueConfigDocId": "d1"}])
    put(theirs, f"{path}/d1", document() | {"ueConfigDocId": "d1"})
    settings = {"next_hop_is": "server", "service_id": "watched", "observe": True}
    with Proxy(theirs.address) as proxy, ue(tmp_path, proxy.address, **settings) as role:
        role.event("applied")
        proxy.wait(watched)
        put(theirs, f"{path}/d1", document(name="pushed") | {"ueConfigDocId": "d1"})
        assert role.event("applied")["configuration"] == configuration("pushed")


# Our relay in front of libcoap's server


def test_answers_without_recipient_are_not_relayed_and_the_ue_is_told_of_a_timeout(
    tmp_path, theirs
):
    put(theirs, COLLECTION, [document()])
    at = (host(), PORT)
    quick = {"ack_timeout_ms": 50, "max_retransmit": 1}
    with relay(tmp_path, theirs.address, {UE7: at}, transmission=quick) as role:
        got = coap_client(role.address, OF_UE7, "-a", at[0], "-p", at[1], *TO_SERVER)
        assert got.startswith(b"5.04")
        counters = role.counters()
        assert counters["missing_recipient"] >= 1 and counters["server_timeout"] == 1
