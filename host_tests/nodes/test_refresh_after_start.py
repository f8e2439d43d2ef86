"""The first request after a start: conditional, if what is stored runs and nobody observes."""

from msgin5g.coap.message import Message
from msgin5g.coap.numbers import ETAG
from msgin5g_testkit import Network

UE_ID = "urn:x-msgin5g:ue:0007"


def started_again(configuration=None, observe=False, application=None, **settings):
    """(network, UE, the requests since its second start); `configuration`: served meanwhile."""
    net = Network(seed=5)
    server = net.server({UE_ID: {"n": 1}})
    ue = net.ue(UE_ID, observe=observe, **settings)
    ue.wait("applied")
    net.sleep(1)
    if configuration:
        server.serve(UE_ID, configuration)
    if application:
        ue.install(application)
    n, server.n_bodies = len(net.log), 0
    ue.reset()
    ue.wait("started")
    event = ue.wait("unchanged", "applied", "refused")
    sent = [datagram for _, source, _, datagram in net.log[n:] if source[0] == "192.168.3.2"]
    return event, server, [Message(32).decode(bytes(datagram)).option(ETAG) for datagram in sent]


def test_what_is_stored_is_asked_for_by_its_etag_and_comes_only_once():
    event, server, etags = started_again()
    assert event["event"] == "unchanged" and server.n_bodies == 0
    assert [etag.hex() for etag in etags] == [event["etag"]]


def test_a_newer_one_comes_whole():
    event, server, etags = started_again({"n": 2})
    assert event["event"] == "applied" and server.n_bodies == 1
    assert event["configuration"]["n"] == 2 and etags[0]


def test_who_observes_gets_the_document_whose_id_it_needs():
    event, server, etags = started_again(observe=True)
    assert event["event"] == "unchanged" and etags[0] is None and server.n_bodies == 1


class Stricter:
    @staticmethod
    def declare(schema):
        schema.declare("n", int, low=2)


def test_what_cannot_run_any_more_has_no_etag():
    for configuration, event in ((None, "refused"), ({"n": 2}, "applied")):
        happened, server, etags = started_again(configuration, application=Stricter)
        assert happened["event"] == event and etags == [None] and server.n_bodies == 1
