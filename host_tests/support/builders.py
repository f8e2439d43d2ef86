"""Nodes in a NetworkSim: a UE, a relay and a server at their addresses."""

from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.documents import document

SERVER = ("192.0.2.1", 5683)
RELAY = ("192.168.4.1", 65401)
UE_ID = "urn:x-msgin5g:ue:0007"
OTHER_ID = "urn:x-msgin5g:ue:0008"
DATA = (
    '{"MSGin5G-Server-address":"coap://msgin5g.example:5683",'
    '"MSGin5G-UE-Service-id":"user-7@example.com"}'
)


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


class DefaultSettings:
    """Settings with their defaults, without the module that checks them: half a UE of heap.

    unit/test_settings_defaults.py holds them against the real ones.
    """

    def __init__(self, more):
        self.role = "ue"
        self.ue_id = UE_ID
        self.server_recipient = "coap://scm.example"
        self.server_host = self.server_path_prefix = None
        self.service_id = "msgin5g"
        self.ue_vendor = self.ue_type = self.ue_snr = None
        self.recipient_option = 65020
        self.content_format = 65001
        self.strict_codes = False
        self.observe = True
        self.report_refused = False
        self.apply_interval_s = 5
        self.on_deleted = "keep"
        self.start_delay_s = 3
        self.block_size = 1024
        self.max_document_size = 8192
        self.refresh_min_s = 60
        self.refresh_max_s = 86400
        self.retry_first_s = 5
        self.retry_max_s = 3600
        self.retry_jitter_percent = 50
        self.probing_rate = 8
        self.max_links = 32
        self.max_flows = 16
        self.max_observations = 32
        self.max_rate = 20
        self.bulk_enabled = True
        self.add_recipient = False
        self.bulk_id = "msgin5g-bulk"
        self.bulk_count = 20
        self.bulk_window_s = 2
        self.bulk_urgent = []
        self.max_wait_s = 80
        self.max_waiting = 200
        self.max_transfers = 2
        self.max_answers = 8
        self.hold_size = 2048
        self.cache_size = 4096
        self.require_recipient = True
        self.security_mode = "none"
        self.security_master_secret = self.security_master_salt = self.security_id_context = None
        self.security_sender_id = self.security_recipient_id = None
        self.security_required = True
        self.security_ues = []
        self.parameters = self.peer_key = None
        self.update(more)

    def update(self, more):
        for name, value in more.items():
            assert hasattr(self, name), name
            setattr(self, name, value)


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


def ue_settings(**more):
    """The defaults, except that the UE requests at once and does not observe: tests are short."""
    settings = DefaultSettings({"start_delay_s": 0, "observe": False})
    settings.update(more)
    return settings


def relay_settings(**more):
    from msgin5g.coap.retransmission import Parameters

    settings = DefaultSettings({"role": "relay", "ue_id": "urn:x-msgin5g:relay:1"})
    settings.update(more)
    settings.parameters = Parameters(nstart=settings.max_flows)
    return settings


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
