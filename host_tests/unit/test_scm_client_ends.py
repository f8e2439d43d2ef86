"""How a fetch and an observation of the configuration client end, and what problem details say."""

from scm_fetcher import BODY, Fetcher, observing
from default_settings import DATA, UE_ID
from msgin5g_testkit.checks import unhex
from msgin5g_testkit.documents import document
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.numbers import CONTENT, FORBIDDEN, NOT_FOUND
from msgin5g.scm.client import problem_of


def is_observable(document_id):
    it = Fetcher()
    it.client.fetch()
    body = dumps([document(UE_ID, DATA, document_id)])
    assert it.response(it.request(), CONTENT, [], body).kind == "configuration"
    return it.client.document_id is not None


def test_a_document_whose_id_does_not_fit_a_uri_path_is_not_observed():
    assert is_observable("d" * 255) and not is_observable("d" * 256)


def test_without_a_response_the_fetch_ends_and_so_does_the_registration():
    it = Fetcher()
    client = it.client
    client.document_id = b"doc-1"
    client.fetch(True)
    it.request()
    while True:
        it.now += it.endpoint.wait_ms(it.now)
        exchange = it.endpoint.step(it.now)
        if exchange is not None:
            break
        it.endpoint.transmit(it.now)
    assert client.no_response(exchange, False).kind == "timeout"
    assert not client.busy and not client.observing and client.unanswered_size > 0
    assert client.fetch(True) and client.busy


def check_refusal_without_room(code):
    it, _ = observing()
    client = it.client
    client.fetch(True)
    request = it.request()
    client.request.start = lambda *_: None
    outcome = it.response(request, code)
    assert (outcome.kind, outcome.code) == ("rejected", code)
    assert client.individual and not client.busy and not client.observing


def test_without_room_to_ask_for_the_collection_the_refusal_of_the_document_is_the_outcome():
    for code in (FORBIDDEN, NOT_FOUND):
        check_refusal_without_room(code)  # apart: one client at a time


def test_a_fetch_that_has_ended_keeps_no_body_and_no_exchange():
    it = Fetcher()
    client = it.client
    assert client.fetch() and client.exchange is not None and client.block2 is not None
    assert it.response(it.request(), CONTENT, [], BODY).kind == "configuration"
    assert client.exchange is None and client.block2 is None
    client.fetch()
    exchange = client.exchange
    it.request()
    assert client.no_response(exchange, True).kind == "rejected"
    assert client.exchange is None and client.block2 is None
    assert client.no_response(exchange, True) is None, "that exchange is over"


def test_problem_details_are_found_among_keys_of_other_kinds():
    for text, title, detail in (
        ("a1 20 61 74", "t", None),
        ("a2 61 78 01 20 61 74", "t", None),  # {"x": 1, -1: "t"}
        ("a3 61 78 01 20 61 74 21 61 64", "t", "d"),
        ("a2 00 01 20 61 74", "t", None),  # {0: 1, -1: "t"}
        ("a2 82 01 02 01 21 61 64", None, "d"),  # {[1, 2]: 1, -2: "d"}
        ("bf 61 78 01 20 61 74 ff", "t", None),
        ("a2 20 61 74 20 61 75", None, None),  # the title twice
    ):
        assert problem_of(unhex(text)) == (title, detail), text
