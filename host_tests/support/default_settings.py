"""The settings of a node for tests, without the modules that check settings, and its names."""

SERVER = ("192.0.2.1", 5683)
RELAY = ("192.168.4.1", 65401)
UE_ID = "urn:x-msgin5g:ue:0007"
DATA = (
    '{"MSGin5G-Server-address":"coap://msgin5g.example:5683",'
    '"MSGin5G-UE-Service-id":"user-7@example.com"}'
)


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
