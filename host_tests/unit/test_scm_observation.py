"""The configuration client observes a document: registration, notifications, their end."""

from scm_fetcher import BODY, Fetcher, observing
from default_settings import DATA, UE_ID
from msgin5g_testkit.documents import document
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.numbers import CON, CONTENT, ECHO, ETAG, NOT_FOUND, OBSERVE, UNAUTHORIZED, VALID


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
