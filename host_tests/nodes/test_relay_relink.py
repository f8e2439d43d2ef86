"""A relay is told of a link that it knows already, as when a station associates again."""

from msgin5g_testkit.checks import xorshift
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET
from msgin5g.relay import Relay
from msgin5g.scm.request import ScmRequest
from builders import SERVER, UE_ID, relay_settings, ue_address
from datagrams import packet, taken

UE = ue_address(2)


def observing():
    """A relay, through which a UE observes its document, and the relay's own request."""
    relay = Relay(relay_settings(), xorshift(5), SERVER, 0)
    relay.link_up(UE_ID.encode(), 0, UE)
    resource = ScmRequest("msgin5g", [UE_ID.encode()], b"coap://scm.example")
    relay.receive(0, packet(CON, GET, 1, b"watch", resource.options(b"doc-1", None, 0)), UE, 0)
    ((request, remote),) = taken(relay)
    assert remote == SERVER
    relay.receive(0, told(ACK, request.mid, request.token(), 1), SERVER, 0)
    assert [remote for _, remote in taken(relay)] == [UE]
    return relay, request


def told(mtype, mid, token, sequence):
    options = [(6, bytes((sequence,))), (65020, UE_ID.encode())]
    return packet(mtype, CONTENT, mid, token, options)


def test_an_observation_outlives_a_second_link_up():
    relay, request = observing()
    assert relay.link_up(UE_ID.encode(), 0, UE)
    relay.receive(0, told(CON, 77, request.token(), 2), SERVER, 0)
    assert [remote for _, remote in taken(relay)] == [SERVER, UE]


def test_link_down_after_a_second_link_up_still_ends_all_that_was_under_way():
    relay, request = observing()
    assert relay.link_up(UE_ID.encode(), 0, UE)
    relay.link_down(UE_ID.encode())
    relay.receive(0, told(CON, 77, request.token(), 2), SERVER, 0)
    assert UE not in [remote for _, remote in taken(relay)]
    assert relay.wait_ms(0) is None
