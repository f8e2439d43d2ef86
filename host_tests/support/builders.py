"""Nodes in a NetworkSim: a UE, a relay and a server at their addresses."""

from default_settings import (
    DATA,
    RELAY,
    SERVER,
    UE_ID,
    relay_settings,
    ue_settings,
)
from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.documents import document

OTHER_ID = "urn:x-msgin5g:ue:0008"


class FakeConfiguration:
    """A configuration manager without storage: what was offered last is applied."""

    def __init__(self):
        self.configuration = None
        self.data = None
        self.etag = b""
        self.n_applied = 0
        self.reasons = []
        self.try_again = False

    def offer(self, texts, etag, now):
        if self.reasons:
            return "refused", self.reasons
        data = b"".join([bytes(text) for text in texts])
        self.etag = etag
        if data == self.data:
            return "unchanged", ()
        self.data = data
        self.configuration = {"data": data}
        self.n_applied += 1
        return "applied", ()

    def document_deleted(self, now):
        return None

    def confirm(self, now):
        return None

    def step(self, now):
        return None

    def wait_ms(self, now):
        return None


def ue_address(number):
    return ("192.168.4." + str(number), 65401)


def raw_get(mid, token, document_id="", observe=None):
    """The GET of the UE urn:x-msgin5g:ue:0042 as bytes, written by hand; mid, token: hex."""
    text = "4401" + mid + token
    text += "b5" if observe is None else "6055" if observe == 0 else "610155"
    text += "73752d7563 027631 0c76616c2d7365727669636573"  # su-uc, v1, val-services
    text += "076d7367696e3567 0d0475652d636f6e66696775726174696f6e73"  # msgin5g, ue-configurations
    if document_id:
        text += "%02x" % len(document_id) + "".join(["%02x" % ord(c) for c in document_id])
    text += "4d0f 75652d7572693d75726e3a782d6d7367696e35673a75653a30303432"  # ue-uri
    text += "22fde9 edfcde05 636f61703a2f2f73636d2e6578616d706c65"  # Accept, Recipient
    return bytes.fromhex(text.replace(" ", ""))


def new_ue(sim, address, seed=3, remote=RELAY, **settings):
    from msgin5g.ue import ConstrainedUe

    ue = ConstrainedUe(
        ue_settings(**settings), xorshift(seed), FakeConfiguration(), remote, sim.now
    )
    sim.add(address, ue)
    return ue


def new_relay(sim, links, seed=5, **settings):
    """links: {UE ID: address}."""
    from msgin5g.relay import Relay

    relay = Relay(relay_settings(**settings), xorshift(seed), SERVER, sim.now)
    for ue_id in links:
        relay.link_up(ue_id.encode(), 0, links[ue_id])
    sim.add(RELAY, relay)
    return relay


def new_server(sim, documents=None, seed=9, **options):
    from msgin5g_testkit.servers import Server

    if documents is None:
        documents = {UE_ID: document(UE_ID, DATA)}
    server = Server(xorshift(seed), documents, **options)
    sim.add(SERVER, server)
    return server


def new_sim(link_model=None, documents=None, ue=None, relay=None, server=None, seed=3, **sim):
    """A network with one UE behind a relay: (sim, ue, relay, server).

    ue, relay, server: dicts of further settings or options.
    """
    from msgin5g_testkit.network_sim import NetworkSim

    sim = NetworkSim(link_model, **sim)
    address = ue_address(2)
    a_ue = new_ue(sim, address, seed, **(ue or {}))
    a_relay = new_relay(sim, {UE_ID: address}, seed + 1, **(relay or {}))
    a_server = new_server(sim, documents, seed + 2, **(server or {}))
    return sim, a_ue, a_relay, a_server


def drain(node):
    """All the events that a node has not reported yet."""
    events = []
    while True:
        event = node.poll()
        if event is None:
            return events
        events.append(event)


def names(node):
    return [event["event"] for event in drain(node)]
