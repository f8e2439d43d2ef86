"""The states of a fetch of the configuration client."""

from scm_fetcher import BODY, Fetcher, observing
from default_settings import DATA
from msgin5g_testkit.documents import document
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.numbers import (
    BLOCK2,
    CONTENT,
    ETAG,
    FORBIDDEN,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
)


def test_a_fetch_that_pauses_goes_on_with_the_same_block():
    it = Fetcher()
    client = it.client
    assert not client.busy and client.fetch() and client.busy
    assert it.block(it.request(), 0) is None and client.busy
    assert it.response(it.request(), SERVICE_UNAVAILABLE).kind == "paused" and not client.busy
    assert client.fetch() and client.busy
    request = it.request()
    assert request.uint(BLOCK2) == 1 << 4 | 2
    number = 1
    while True:
        outcome = it.block(request, number)
        if outcome is not None:
            break
        request = it.request()
        number += 1
    assert (
        outcome.kind == "configuration"
        and bytes(outcome.texts[0]) == DATA.encode()
        and not client.busy
    )


def test_a_document_that_is_for_other_ues_now_makes_it_ask_for_the_collection():
    for code in (FORBIDDEN, NOT_FOUND):
        it = Fetcher()
        client = it.client
        client.fetch()
        it.response(it.request(), CONTENT, [], BODY)
        client.fetch(True)
        assert it.response(it.request(), code) is None and not client.individual
        request = it.request()
        assert request.find(OBSERVE) < 0 and request.option(ETAG) is None
        assert it.response(request, CONTENT, [], BODY).kind == "configuration", code


def test_a_document_that_the_server_refuses_and_lists_is_not_asked_for_in_circles():
    it = Fetcher()
    client = it.client
    client.fetch()
    it.response(it.request(), CONTENT, [], BODY)
    client.fetch(True)
    assert it.response(it.request(), NOT_FOUND) is None
    outcome = it.response(it.request(), CONTENT, [(ETAG, b"\x0a")], BODY)
    assert outcome.kind == "configuration" and outcome.etag == b"\x0a"
    assert client.document_id is None and not client.observing
    # The next fetch is for the collection again, and only then for the document. It has no ETag:
    # a 2.03 would not bring the ID of the document, and it would never be observed again.
    client.fetch(True)
    request = it.request()
    assert request.find(OBSERVE) < 0 and request.find(ETAG) < 0
    assert it.response(request, CONTENT, [(ETAG, b"\x0a")], BODY).kind == "configuration"
    assert client.document_id == b"doc-1"


def test_an_individual_document_that_is_for_others_makes_it_ask_for_the_collection():
    it = Fetcher()
    client = it.client
    client.fetch()
    it.response(it.request(), CONTENT, [], BODY)
    client.fetch(True)
    others = dumps(document("urn:x:other", DATA))
    assert it.response(it.request(), CONTENT, [], others) is None and not client.individual
    assert it.response(it.request(), CONTENT, [], BODY).kind == "configuration"


def test_after_a_memory_error_only_what_waits_for_nothing_ends():
    it = Fetcher()
    client = it.client
    client.fetch()
    client.drop_half_done()
    assert client.busy, "its request is under way"
    assert it.block(it.request(), 0) is None
    assert it.response(it.request(), SERVICE_UNAVAILABLE).kind == "paused"
    client.drop_half_done()
    client.fetch()
    request = it.request()
    assert request.uint(BLOCK2) == 1 << 4 | 2, "what has paused goes on"
    it.endpoint.cancel(client.exchange)
    client.drop_half_done()
    assert not client.busy


def test_after_a_memory_error_an_observation_goes_on_until_its_exchange_has_ended():
    it, _ = observing()
    it.client.drop_half_done()
    assert it.client.observing
    it.endpoint.cancel(it.endpoint.exchange)
    it.client.drop_half_done()
    assert not it.client.observing and it.client.fetch(True)
    assert it.request().uint(OBSERVE) == 0
