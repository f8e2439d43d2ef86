"""The configuration client ends its observation by itself."""

from scm_fetcher import BODY, Fetcher, observing
from msgin5g.coap.numbers import CONTENT, NOT_FOUND, OBSERVE, URI_PATH


def test_stop_deregisters_with_the_token_of_the_registration():
    it = Fetcher()
    client = it.client
    client.stop()
    assert it.endpoint.transmit(0) is None
    client.document_id = b"doc-1"
    client.fetch(True)
    registration = it.request()
    it.response(registration, CONTENT, [(OBSERVE, b"\x05")], BODY)
    client.stop()
    request = it.request()
    assert request.uint(OBSERVE) == 1 and request.token() == registration.token()
    assert not client.observing and client.busy


def test_the_answer_to_a_deregistration_starts_nothing():
    it = Fetcher()
    client = it.client
    client.fetch()
    it.response(it.request(), CONTENT, [], BODY)
    client.fetch(True)
    it.response(it.request(), CONTENT, [(OBSERVE, b"\x05")], BODY)
    client.stop()
    assert it.response(it.request(), NOT_FOUND).kind == "rejected" and not client.busy


def test_what_is_deregistered_is_the_document_whatever_was_asked_last():
    it, registration = observing()
    assert registration.value(registration.find(URI_PATH) + 5) == b"doc-1"
    it.client.fetch(False)
    assert it.response(it.request(), CONTENT, [], BODY).kind == "configuration"
    it.client.stop()
    request = it.request()
    assert request.uint(OBSERVE) == 1 and request.token() == registration.token()
    assert request.value(request.find(URI_PATH) + 5) == b"doc-1"
