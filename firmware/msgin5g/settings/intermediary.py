"""The settings of intermediaries only: relay, gateway and the gateway's SCM client (seal-c)."""

from micropython import const
from msgin5g.settings.rules import checked, checked_ue_id, error, take, take_all

_KEYS = const("""\
bulk.enabled f 1
bulk.id t 1 240 msgin5g-bulk
bulk.count n 1 1000 20
bulk.window_s n 0 60 2
gateway:max_wait_s n 1 90 80
gateway:max_waiting n 1 100000 200
gateway:max_transfers n 1 100 2
gateway:max_answers n 1 1000 8
gateway:hold_size n 0 1048576 2048
gateway:cache_size n 0 1048576 4096
security.required f 1
seal_c.mode c collocated separated
seal_c.bind a 0
seal_c.peer a 1
strict_codes f
relay:max_links n 1 100000 32
relay:max_flows n 1 10000 16
relay:max_observations n 0 10000 32
relay:max_rate n 1 1000 20
relay:add_recipient f
own_configuration f""")


# What secrets.json has of a UE, all in hex: name, the fewest and the most bytes.
_UE_KEY = const(
    (
        ("master_secret", 16, 16),
        ("master_salt", 1, 32),
        ("sender_id", 0, 7),
        ("recipient_id", 0, 7),
        ("id_context", 0, 16),
        ("board", 8, 8),
    )
)


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
    settings.security_ues = _ue_keys(settings, values)
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


def _ue_keys(settings, values):
    """The keys of UEs: (UE ID, *_UE_KEY) each, bytes, None where there is none."""
    ues = take(values, "security.ues")
    if ues is None:
        return []
    if not isinstance(ues, dict):
        raise error("security.ues", "must be an object of UE ID: {master_secret, sender_id, ...}")
    if len(ues) > settings.max_links:
        rule = "%d keys are more than relay.max_links, %d"
        raise error("security.ues", rule % (len(ues), settings.max_links))
    rows = []
    for ue_id in sorted(ues):
        checked_ue_id("security.ues", ue_id)
        key = "security.ues " + ue_id
        if not isinstance(ues[ue_id], dict):
            raise error(key, "must be an object")
        rest = dict(ues[ue_id])
        row = [ue_id]
        for name, low, high in _UE_KEY:
            value = rest.pop(name, None)
            if value is not None:
                value = checked(key + ": " + name, "h", value, (low, high))
            row.append(value)
        if rest:
            raise error(key, "has an unknown key, " + min(rest)[:32])
        secret = row[1]
        kid = row[3]
        if secret is None or kid is None:
            raise error(key, "needs master_secret and sender_id")
        if secret == settings.security_master_secret:
            raise error(key, "has the master_secret of this node itself")
        for other in rows:
            if secret == other[1] or kid == other[3]:
                what = "master_secret" if secret == other[1] else "sender_id"
                raise error(key, "has the " + what + " of " + other[0])
        rows.append(tuple(row))
    return rows
