"""Cheap refresh, RFC 7252 section 5.6: the UE asks by itself, with the ETag of what it holds."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.message import Message, encode, uint_bytes
from msgin5g.coap.numbers import ACK, CONTENT, ETAG, GET, MAX_AGE, OBSERVE, URI_PATH, VALID
from msgin5g.ue import ConstrainedUe
from builders import (
    DATA,
    RELAY,
    UE_ID,
    FakeConfiguration,
    document,
    drain,
    names,
    new_sim,
    ue_address,
    ue_settings,
)
from ue_alone import alone, answer, asked, body
from msgin5g_testkit.network_sim import all_but

UE = ue_address(2)


def configured(link_model=None, max_age_s=3600, relay=None, documents=None, **ue):
    """(sim, ue, server) of a UE that has just been configured; its log is empty."""
    sim, ue, _, server = new_sim(link_model, documents, ue, relay, {"max_age_s": max_age_s})
    assert sim.run(lambda: ue.configuration.n_applied)
    assert names(ue) == ["applied"]
    sim.log.clear()
    return sim, ue, server


def until_told(sim, ue, limit_ms=200000000):
    """The events that the UE tells at once, next."""
    assert sim.run(lambda: ue.events, limit_ms)
    return drain(ue)


def of_ue(sim):
    """What the UE has sent and got: list of (up, message)."""
    return [
        (source == UE, Message(32).decode(datagram))
        for _, source, destination, datagram in sim.log
        if UE in (source, destination)
    ]


def test_one_request_with_etag_and_one_answer_without_body_before_the_age_is_over():
    sim, ue, server = configured()
    start = sim.elapsed_ms
    for n in range(1, 6):
        (event,) = until_told(sim, ue)
        assert event["event"] == "unchanged" and len(event["etag"]) == 16
        assert 3240000 * n <= sim.elapsed_ms - start <= 3240100 * n
        (_, request), (_, answer) = of_ue(sim)
        assert request.code == GET and len(request.option(ETAG)) == 8
        assert request.find(OBSERVE) < 0
        assert answer.code == VALID and answer.payload() == b""
        assert answer.option(ETAG) == request.option(ETAG)
        assert len(sim.log) == 4
        sim.log.clear()
    assert (server.n_requests, server.n_bodies) == (6, 1)
    assert ue.configuration.n_applied == 1


def test_max_age_counts_within_the_bounds_of_the_settings():
    bounds = {"refresh_min_s": 100, "refresh_max_s": 5000}
    cases = ((None, 100), (0, 100), (99, 100), (1000, 1000), (6000, 5000), (0xFFFFFFFF, 5000))
    for max_age_s, seconds in cases:
        sim, ue, _ = configured(max_age_s=max_age_s, **bounds)
        start = sim.elapsed_ms
        until_told(sim, ue)
        assert 0 <= sim.elapsed_ms - start - 900 * seconds < 100, max_age_s
    sim, ue, _ = configured(max_age_s=None)
    start = sim.elapsed_ms
    until_told(sim, ue)
    assert 0 <= sim.elapsed_ms - start - 54000 < 100  # RFC 7252 section 5.10.5: 60 s


def test_a_changed_document_is_applied_and_its_etag_is_the_one_that_counts():
    sim, ue, server = configured()
    server.documents[UE_ID] = document(UE_ID, DATA.replace("7", "8"))
    (event,) = until_told(sim, ue)
    assert event["event"] == "applied"
    new = event["etag"]
    (event,) = until_told(sim, ue)
    assert event == {"event": "unchanged", "etag": new}
    assert (server.n_requests, server.n_bodies) == (3, 2)


def test_a_lost_refresh_is_repaired_without_a_body():
    for lost in range(4, 8):
        sim, ue, server = configured(all_but(lost=(lost,)))
        (event,) = until_told(sim, ue)
        assert event["event"] == "unchanged" and server.n_bodies == 1, lost


def test_an_etag_is_offered_only_to_the_resource_it_belongs_to():
    sim, ue, _, _ = new_sim(None, None, {"observe": True}, None, {"max_age_s": 3600})
    assert sim.run(lambda: ue.client.observing)
    assert names(ue) == ["applied", "unchanged"]
    # The individual document is another resource than the collection.
    first, second = [m for up, m in of_ue(sim) if up]
    assert first.find(ETAG) < 0 and n_path(first) == 5
    assert second.uint(OBSERVE) == 0 and second.find(ETAG) < 0 and n_path(second) == 6
    tag = ue.client.etag
    sim.log.clear()
    until_told(sim, ue)
    (renewal,) = [m for up, m in of_ue(sim) if up]
    assert renewal.uint(OBSERVE) == 0 and renewal.option(ETAG) == tag and n_path(renewal) == 6
    # After 4.04 the collection is asked, of which nothing is held.
    ue.client.forget()
    sim.log.clear()
    ue.fetch(sim.now)
    until_told(sim, ue)
    again = next(m for up, m in of_ue(sim) if up)
    assert again.find(ETAG) < 0 and n_path(again) == 5


def n_path(message):
    return len([i for i in range(message.n_options) if message.numbers[i] == URI_PATH])


def test_what_the_store_refused_is_asked_for_without_etag_so_that_it_is_refused_again():
    sim, ue, server = configured()
    server.documents[UE_ID] = document(UE_ID, DATA.replace("7", "8"))
    ue.configuration.reasons = ["Segment-size: must be a whole number"]
    for n in (2, 3):
        assert until_told(sim, ue)[0]["event"] == "refused"
        assert server.n_bodies == n
    ue.configuration.reasons = []
    server.documents[UE_ID] = document(UE_ID, DATA)
    assert until_told(sim, ue)[0]["event"] == "unchanged"


# One UE and answers made by hand


def ue_with_request():
    """A UE without a network, and its first request."""
    ue = alone()
    return ue, asked(ue, 0)


def test_valid_means_nothing_when_nothing_is_held_or_something_else():
    ue, request = ue_with_request()
    for _ in range(3):
        ue.receive(0, answer(request, VALID, [(ETAG, b"old")]), RELAY, 0)
        assert ue.poll() is None
        request = asked(ue, 0)
        assert request.find(ETAG) < 0
    ue.receive(0, answer(request, VALID), RELAY, 0)
    assert names(ue) == ["refused", "backing_off"]
    ue, request = ue_with_request()
    ue.receive(0, answer(request, CONTENT, [(ETAG, b"one")], body()), RELAY, 0)
    now = ue.wait_ms(0) + 54000
    drain(ue)
    request = asked(ue, now)
    assert request.option(ETAG) == b"one"
    ue.receive(0, answer(request, VALID, [(ETAG, b"two")]), RELAY, now)
    assert ue.poll() is None
    request = asked(ue, now)
    assert request.find(ETAG) < 0  # the whole, please
    ue.receive(0, answer(request, CONTENT, [(ETAG, b"two")], body()), RELAY, now)
    assert names(ue) == ["unchanged"]


def test_an_etag_of_a_length_that_is_none_is_not_used():
    for etag in (b"", b"123456789", 100 * b"x"):
        ue, request = ue_with_request()
        ue.receive(0, answer(request, CONTENT, [(ETAG, etag)], body()), RELAY, 0)
        assert names(ue) == ["applied"] and ue.client.etag is None
        assert asked(ue, 54000).find(ETAG) < 0


def test_the_bytes_of_a_refresh_both_ways():
    """24 characters of UE ID, 8 bytes of ETag, both datagrams between UE and relay."""
    ue_id = "urn:x-msgin5g:ue:1000007"
    assert len(ue_id) == 24
    figures = {"coap://scm": 160, "coap://scm.x": 162, "coap://10.0.0.1": 166,
               "coap://scm.example": 169}  # fmt: skip
    for recipient, total in figures.items():
        ue = ConstrainedUe(
            ue_settings(ue_id=ue_id, server_recipient=recipient),
            xorshift(3),
            FakeConfiguration(),
            RELAY,
            0,
        )
        request = asked(ue, 0)
        tag = [(ETAG, b"12345678")]
        assert total == refresh_size(ue, ue_id, request, tag), recipient


def refresh_size(ue, ue_id, request, tag):
    from msgin5g.cbor.encoder import dumps

    buf = bytearray(1152)
    recipient = [(65020, ue_id.encode())]
    payload = dumps([document(ue_id, DATA)])
    n = encode(buf, ACK, CONTENT, request.mid, request.token(), tag + recipient, payload)
    ue.receive(0, bytes(buf[:n]), RELAY, 0)
    assert names(ue) == ["applied"]
    request = asked(ue, 54000)
    n = encode(buf, ACK, VALID, request.mid, request.token(), tag + recipient)
    ue.receive(0, bytes(buf[:n]), RELAY, 54000)
    assert names(ue) == ["unchanged"]
    return request.size + n


def test_max_age_in_a_valid_answer_counts_anew():
    ue, request = ue_with_request()
    ue.receive(0, answer(request, CONTENT, [(ETAG, b"one"), (MAX_AGE, b"\x64")], body()), RELAY, 0)
    drain(ue)
    request = asked(ue, 90000)
    age = [(ETAG, b"one"), (MAX_AGE, uint_bytes(7200))]
    ue.receive(0, answer(request, VALID, age), RELAY, 90000)
    drain(ue)
    assert ue.wait_ms(90000) == 6480000
