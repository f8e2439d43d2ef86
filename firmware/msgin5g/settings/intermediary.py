"""The settings of intermediaries only: relay, gateway and the gateway's SCM client (seal-c)."""

from micropython import const
from msgin5g.settings.rules import checked, checked_ue_id, error, take, take_all

_KEYS = const("""\
bulk.enabled f 1
bulk.id t 1 240 msgin5g-bulk
bulk.count n 1 1000 20
bulk.window_s n 0 60 2
gateway:max_wait_s n 1 90 80
gateway:max_waiting n 1 10000 200
gateway:max_transfers n 1 100 2
gateway:max_answers n 1 1000 8
gateway:hold_size n 0 1048576 2048
gateway:cache_size n 0 1048576 4096
seal_c.mode c collocated separated
seal_c.bind a 0
seal_c.peer a 1
strict_codes f
relay:max_links n 1 10000 32
relay:max_flows n 1 10000 16
relay:max_observations n 0 10000 32
relay:max_rate n 1 1000 20
relay:add_recipient f
own_configuration f""")


def take_intermediary(settings, values):
    """Add them to Settings; SettingsError for the first value that is wrong."""
    take_all(settings, values, _KEYS)
    # Requests to the server for many UEs at the same time.
    settings.nstart = settings.nstart or settings.max_flows
    urgent = take(values, "bulk.urgent")
    if urgent is None:
        urgent = []
    if not isinstance(urgent, list):
        raise error("bulk.urgent", "must be a list of MSGin5G UE IDs")
    settings.bulk_urgent = [checked_ue_id("bulk.urgent", ue_id) for ue_id in urgent]
    links = take(values, "links")
    if links is None:
        links = {}
    if not isinstance(links, dict):
        raise error("links", "must be an object of UE ID: [host, port]")
    settings.links = {
        checked_ue_id("links", ue_id): checked("links " + ue_id, "a", links[ue_id], (1,))
        for ue_id in links
    }
    taken = {}
    for ue_id in settings.links:
        other = taken.setdefault(settings.links[ue_id], ue_id)
        if other != ue_id:
            raise error("links " + max(ue_id, other), "has the address of " + min(ue_id, other))
    role = settings.role
    is_separated = role == "gateway" and settings.seal_c_mode == "separated"
    if settings.server_address is None and not is_separated:
        raise error("server.address", "is missing: [host, port] of the server")
    if role == "seal-c" and settings.own_configuration:
        raise error("own_configuration", "is for relay and gateway: set it at the gateway")
    if role == "seal-c" or is_separated:
        if settings.seal_c_bind is None:
            raise error("seal_c.bind", "is missing: [host, port] of this end of SEAL-C")
        if settings.seal_c_peer is None:
            raise error("seal_c.peer", "is missing: [host, port] of the other end of SEAL-C")
