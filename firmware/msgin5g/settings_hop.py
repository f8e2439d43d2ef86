"""The settings that only a node between UEs and the server has: relay, gateway, SEAL-C."""

from msgin5g.settings import _MAX_UE_ID, _address, _error, _uri


def take_hop(settings, values):
    """Add them to Settings; SettingsError for the first value that is wrong."""
    settings.bulk_id = values.text("bulk.id", "msgin5g-bulk", 240)
    settings.bulk_count = values.number("bulk.count", 20, 1, 1000)
    settings.bulk_window_s = values.number("bulk.window_s", 2, 0, 60)
    settings.bulk_urgent = _uris("bulk.urgent", values.take("bulk.urgent"))
    settings.max_wait_s = values.number("gateway.max_wait_s", 80, 1, 90)
    settings.max_waiting = values.number("gateway.max_waiting", 200, 1, 10000)
    settings.max_transfers = values.number("gateway.max_transfers", 2, 1, 100)
    settings.max_answers = values.number("gateway.max_answers", 8, 1, 1000)
    settings.hold_size = values.number("gateway.hold_size", 2048, 0, 1048576)
    settings.cache_size = values.number("gateway.cache_size", 4096, 0, 1048576)
    settings.seal_c_mode = values.choice("seal_c.mode", "collocated", "separated")
    settings.seal_c_bind = values.address("seal_c.bind", None, 0)
    settings.seal_c_peer = values.address("seal_c.peer")
    settings.links = _links(values.take("links"))
    settings.strict_codes = values.flag("strict_codes", False)
    settings.max_links = values.number("relay.max_links", 32, 1, 10000)
    settings.max_flows = values.number("relay.max_flows", 16, 1, 10000)
    settings.max_observations = values.number("relay.max_observations", 32, 0, 10000)
    settings.max_rate = values.number("relay.max_rate", 20, 1, 1000)
    settings.own_configuration = values.flag("own_configuration", False)
    if settings.server_address is None:
        raise _error("server.address", "is missing: [host, port] of the server")
    role = settings.role
    if role == "seal-c" or (role == "gateway" and settings.seal_c_mode == "separated"):
        if settings.seal_c_bind is None:
            raise _error("seal_c.bind", "is missing: [host, port] of this end of SEAL-C")
        if settings.seal_c_peer is None:
            raise _error("seal_c.peer", "is missing: [host, port] of the other end of SEAL-C")


def _uris(key, value):
    if value is None:
        return []
    if not isinstance(value, list):
        raise _error(key, "must be a list of MSGin5G UE IDs")
    return [_uri(key, ue_id, _MAX_UE_ID) for ue_id in value]


def _links(value):
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _error("links", "must be an object of UE ID: [host, port]")
    links = {}
    for ue_id in value:
        _uri("links", ue_id, _MAX_UE_ID)
        links[ue_id] = _address("links " + ue_id, value[ue_id], 1)
    return links
