"""ETSI's interoperability catalogue, CORE: a test a step, each with libcoap and with aiocoap.

What runs where, and the steps that do not apply: ETSI.md.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from etsi_checks import check_pair, check_separate, documents, of, once, path_of
from etsi_pairs import ClientPair
from etsi_setup import CBOR, CLIENTS, CLIENT_PAIRS, PAIRS, EtsiSetup
from peers import QUICK, document
from scm_setup import (
    ACCEPT,
    ACK,
    COLLECTION,
    CON,
    CONTENT_FORMAT,
    ETAG,
    RST,
    UE7,
    UE8,
    URI_PATH,
    URI_QUERY,
    uint,
)

IF_MATCH, IF_NONE_MATCH, LOCATION_QUERY = 1, 5, 20
AS_CBOR = (CONTENT_FORMAT, CBOR)
SLOW_UES = [f"urn:x-msgin5g:ue:{n:04}" for n in range(7, 15)]
SLOW = ("libcoap relay", "aiocoap relay", "aiocoap ue")


@pytest.fixture(scope="module")
def etsi(tmp_path_factory):
    with EtsiSetup(tmp_path_factory.mktemp("core")) as made:
        yield made


@pytest.fixture(scope="module")
def slow_intermediary(etsi):
    """A relay before aiocoap's server, which takes its time; libcoap's has no such documents."""
    server = etsi.server("aiocoap")
    server.put(COLLECTION, [document()], wait_s=1.3, recipient=True)  # the relay waits for 1 s
    return etsi.relay(server.address, SLOW_UES, transmission=QUICK)


def token(pair):
    """The token that the client must use; a UE chooses its own by chance."""
    return {"token": b"8 bytes."} if isinstance(pair, ClientPair) else {}


def four(passed):
    """Whether the four messages of a GET with a separate response have passed."""
    return len(passed) == 4


def run_all(etsi, runs, **how):
    """Transactions at the same time; gives the pairs, of which `log`, `lost` and `passed` tell.

    runs: list of (name of a pair, UE ID, arguments of ClientPair.run).
    """
    with ThreadPoolExecutor(len(runs)) as pool:
        pairs = [etsi.pair(name, ue_id, **how) for name, ue_id, _ in runs]
        started = [pool.submit(p.run, **run[2]) for p, run in zip(pairs, runs, strict=True)]
        for pair, future in zip(pairs, started, strict=True):
            pair.passed = future.result()
    return pairs


def quick(name):
    """That a pair sends again soon what it gets no answer for; libcoap's client cannot."""
    return {"transmission": QUICK} if name.endswith("ue") else {"hasty": True}


def test_td_coap_core_01_get(pair):
    request, answer = check_pair(pair.run(), "get", ["2.05"])
    assert path_of(request) == pair.path and answer.payload and pair.displays(answer.payload)


def test_td_coap_core_05_get_non(client_pair):
    _, answer = check_pair(client_pair.run(non=True), "get", ["2.05"], non=True)
    assert answer.payload and client_pair.displays(answer.payload)


def test_td_coap_core_09_get_separate(etsi, slow_intermediary):
    runs = [(name, ue_id, {"until": four}) for name, ue_id in zip(SLOW, SLOW_UES)]
    for pair in run_all(etsi, runs, intermediary=slow_intermediary, wait_s=0.4):
        request, answer = check_separate(pair.passed)
        assert path_of(request) == pair.path and pair.displays(answer.payload)


def test_td_coap_core_10_get_with_token(pair):
    request, answer = check_pair(pair.run(**token(pair)), "get", ["2.05"])
    assert 1 <= len(request.token) <= 8 and answer.payload and pair.displays(answer.payload)


def test_td_coap_core_11_get_separate_with_token(etsi, slow_intermediary):
    runs = [
        (name, ue_id, {"until": four, **({} if name.endswith("ue") else {"token": b"8 bytes."})})
        for name, ue_id in zip(SLOW, SLOW_UES)
    ]
    for pair in run_all(etsi, runs, intermediary=slow_intermediary, wait_s=0.4):
        request, answer = check_separate(pair.passed)
        assert 1 <= len(request.token) <= 8 and pair.displays(answer.payload)


@pytest.mark.parametrize("name", [name for name in CLIENT_PAIRS if name.startswith("aiocoap")])
def test_td_coap_core_12_get_with_empty_token(etsi, name):
    pair = etsi.pair(name)  # libcoap's client has no empty tokens
    request, answer = check_pair(pair.run(token=b""), "get", ["2.05"])
    assert request.token == b"" and answer.payload and pair.displays(answer.payload)


def test_td_coap_core_13_get_with_several_uri_paths(pair):
    request, answer = check_pair(pair.run(), "get", ["2.05"])
    parts = request.options[URI_PATH]
    assert len(parts) == 5 and not any(b"/" in part for part in parts)
    assert path_of(request) == pair.path and pair.displays(answer.payload)


def test_td_coap_core_14_get_with_several_uri_queries(pair):
    if isinstance(pair, ClientPair):
        passed = pair.run(query="&ue-vendor=acme&ue-type=35291110")
    else:
        passed = pair.run(ue_vendor="acme", ue_type="35291110")
    request, answer = check_pair(passed, "get", ["2.05"])
    wanted = [f"ue-uri={UE7}".encode(), b"ue-vendor=acme", b"ue-type=35291110"]
    assert request.options[URI_QUERY] == wanted and pair.displays(answer.payload)


@pytest.mark.parametrize("peer", CLIENTS)
def test_td_coap_core_15_get_in_a_lossy_context(etsi, peer):
    runs = [
        (name, ue_id, {"lose": once(lose)})  # not quick: a slow peer is not asked a third time
        for name in PAIRS
        for ue_id, lose in ((UE7, is_request), (UE8, is_response))
        if name.startswith(peer)
    ]
    for pair in run_all(etsi, runs):
        sent = [(p.up, p.message) for p in pair.log]
        _, answer = check_pair([sent[0], sent[-1]], "get", ["2.05"])
        requests = [p.datagram for p in pair.log if p.up]
        assert len(requests) == 2 and len(set(requests)) == 1, "the same again"
        assert pair.displays(answer.payload)


def is_request(up, message):
    return up and message.code == "0.01"


def is_empty(up, message):
    return not up and (message.type, message.code) == (ACK, "0.00")


def is_response(up, message):
    return not up and message.code == "2.05"


def is_last(up, message):
    return up and (message.type, message.code) == (ACK, "0.00")


def is_over(passed):
    return of(passed, is_last)


def is_answered_twice(passed):
    return len(of(passed, is_response)) > 1


def test_td_coap_core_16_get_separate_in_a_lossy_context(etsi, slow_intermediary):
    untils = dict.fromkeys((is_request, is_empty, is_response), is_over)
    untils[is_last] = is_answered_twice
    names = [(name, *case) for name in SLOW for case in untils.items()]
    runs = [
        (name, ue_id, {"lose": once(lose), "until": until, **quick(name)})
        for (name, lose, until), ue_id in zip(names, SLOW_UES + SLOW_UES[:4], strict=True)
    ]
    pairs = run_all(etsi, runs, intermediary=slow_intermediary, wait_s=0.4)
    for pair, (_, lost, _) in zip(pairs, names, strict=True):
        sent = [(p.up, p.message) for p in pair.log]
        requests, responses = of(sent, is_request), of(sent, is_response)
        assert (
            len(pair.lost)
            == len({m.mid for m in requests})
            == len({m.mid for m in responses})
            == 1
        )
        assert of(sent, is_empty)[-1].mid == requests[0].mid
        assert of(sent, is_last)[-1].mid == responses[0].mid
        assert responses[0].type == CON and responses[0].token == requests[0].token
        assert pair.displays(responses[0].payload)
        if lost is is_request:
            assert len(requests) > 1
        elif lost is is_empty:
            assert not of(sent[sent.index((False, responses[0])) :], is_request), "it has stopped"
        else:
            assert len(responses) > 1


def test_td_coap_core_17_get_separate_non(etsi, slow_intermediary):
    runs = [(name, ue_id, {"non": True}) for name, ue_id in zip(SLOW[:2], SLOW_UES)]
    for pair in run_all(etsi, runs, intermediary=slow_intermediary):
        request, answer = check_pair(pair.passed, "get", ["2.05"], non=True)
        assert answer.mid != request.mid and answer.payload


def test_td_coap_core_20_get_with_accept(client_pair):
    for number in (uint(65001), CBOR):
        passed = client_pair.run(options=[(ACCEPT, number)])
        request, answer = check_pair(passed, "get", ["2.05"])
        assert request.options[ACCEPT] == answer.options[CONTENT_FORMAT] == [number]
        assert client_pair.displays(answer.payload) and documents(answer.payload)


@pytest.mark.parametrize("name", [*CLIENT_PAIRS, "aiocoap ue"])
def test_td_coap_core_21_get_with_etag(etsi, name):
    """libcoap's server gives no ETag to what was put."""
    pair = etsi.pair(name)
    first, second, third = pair.revalidate()
    asked, answer = first
    assert ETAG not in asked.options and answer.code == "2.05" and answer.payload
    (tag,) = answer.options[ETAG]
    asked, answer = second
    assert asked.options[ETAG] == answer.options[ETAG] == [tag]
    assert answer.code == "2.03" and answer.payload == b""
    asked, answer = third
    assert asked.options[ETAG] == [tag] and answer.code == "2.05" and answer.payload
    assert len(answer.options[ETAG]) == 1 and answer.options[ETAG] != [tag]


@pytest.mark.parametrize("name", PAIRS)
def test_td_coap_core_31_ping(etsi, name):
    (_, request), (_, answer) = etsi.pair(name).ping()
    assert (request.type, request.code, request.size) == (CON, "0.00", 4)
    assert (answer.type, answer.code, answer.size) == (RST, "0.00", 4)
    assert answer.mid == request.mid
