"""The states of the configuration client: of a fetch, and of the observation."""

from builders import DATA, UE_ID, document
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.numbers import (
    BLOCK2,
    CON,
    CONTENT,
    ECHO,
    ETAG,
    FORBIDDEN,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
    VALID,
)
from scm_fetcher import BODY, Fetcher, observing


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


def test_an_observation_is_registered_active_and_ended():
    it = Fetcher()
    client = it.client
    client.fetch()
    assert it.response(it.request(), CONTENT, [], BODY).kind == "configuration"
    assert client.document_id and not client.individual and not client.observing
    assert client.fetch(True)
    registration = it.request()
    assert registration.uint(OBSERVE) == 0 and not client.observing
    assert it.response(registration, CONTENT, [(OBSERVE, b"\x05")], BODY).kind == "configuration"
    assert client.observing and not client.busy and client.individual
    # A notification gives an Outcome without a fetch; an older one does not.
    newer = it.response(registration, CONTENT, [(OBSERVE, b"\x07")], BODY, CON)
    assert newer.kind == "configuration" and not client.busy
    assert it.response(registration, CONTENT, [(OBSERVE, b"\x06")], BODY, CON) is None
    assert client.observing and it.endpoint.counters == {"old_notification": 1}
    # The collection shows whether another document has taken the place of one that is gone.
    assert it.response(registration, NOT_FOUND, mtype=CON) is None
    assert not client.observing and client.busy and not client.individual
    ended = it.response(it.request(), NOT_FOUND)
    assert ended.kind == "rejected" and not client.observing and not client.busy


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


def test_a_registration_is_repeated_with_its_observe_and_etag_when_the_server_asks_for_echo():
    it = Fetcher()
    it.client.fetch()
    it.response(it.request(), CONTENT, [(ETAG, b"e")], BODY)
    it.client.fetch(True)
    first = it.request()
    assert first.uint(OBSERVE) == 0
    assert it.response(first, UNAUTHORIZED, [(ECHO, b"fresh")]) is None and it.client.busy
    again = it.request()
    assert again.uint(OBSERVE) == 0 and again.option(ECHO) == b"fresh"
    assert again.option(ETAG) == first.option(ETAG)
    assert it.response(again, CONTENT, [(OBSERVE, b"\x05")], BODY).kind == "configuration"
    assert it.client.observing


def test_a_document_with_another_id_in_it_is_observed_under_the_id_that_was_asked_for():
    it, registration = observing()
    other = dumps(document(UE_ID, DATA, "doc-2"))
    newer = it.response(registration, CONTENT, [(OBSERVE, b"\x07")], other, CON)
    assert newer.kind == "configuration"
    assert it.client.observing and it.client.document_id == b"doc-1"
    # The collection names the one that is to be observed.
    it.client.fetch()
    assert it.response(it.request(), CONTENT, [], other).kind == "configuration"
    assert not it.client.observing and it.client.document_id == b"doc-2"


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
    it, _ = observing()
    it.client.drop_half_done()
    assert it.client.observing
    it.endpoint.cancel(it.endpoint.exchange)
    it.client.drop_half_done()
    assert not it.client.observing and it.client.fetch(True)
    assert it.request().uint(OBSERVE) == 0


def test_a_notification_is_about_the_individual_document_whatever_was_asked_last():
    it, registration = observing()
    it.client.fetch(False)
    assert it.response(it.request(), CONTENT, [], BODY).kind == "configuration"
    assert it.response(registration, NOT_FOUND, mtype=CON) is None
    assert it.client.busy and not it.client.individual


def test_after_a_notification_a_document_may_change_three_times():
    it, registration = observing()
    changed = [(ETAG, b"other")]
    notified = [(ETAG, b"other"), (OBSERVE, b"\x06")]
    assert it.response(registration, VALID, notified, mtype=CON) is None
    for _ in range(2):
        assert it.response(it.request(), VALID, changed) is None
    assert it.response(it.request(), VALID, changed).kind == "refused"
