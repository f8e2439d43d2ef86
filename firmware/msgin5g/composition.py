"""From settings to a role and its links. Needed once, at start; main unloads it then."""

from msgin5g.port.system import random_byte
from msgin5g.port.udp import UdpLink, host_of
from msgin5g.unload import unload


def build_ue(settings, link, remote, now, directory, endpoint=None):
    """A ConstrainedUe whose configuration is stored in `directory`, and its first event."""
    from msgin5g.configuration.lifecycle import Lifecycle
    from msgin5g.configuration.schema import Schema
    from msgin5g.configuration.store import Store
    from msgin5g.port.flash import Flash
    from msgin5g.roles.ue import ConstrainedUe

    configuration = Lifecycle(Store(Flash(directory)), Schema(settings.max_document_size))
    configuration.start(now)
    return ConstrainedUe(settings, random_byte, configuration, remote, now, link, endpoint)


def build(settings, now, directory):
    """(role, links) as the settings say; LinkError when an address cannot be used."""
    if not settings.check_source_port:
        settings.peer_key = host_of
    link = UdpLink(settings.bind[0], settings.bind[1])
    if settings.role == "ue":
        remote = link.remote(settings.next_hop[0], settings.next_hop[1])
        return build_ue(settings, 0, remote, now, directory), [link]
    server = link.remote(settings.server_address[0], settings.server_address[1])
    links = [link]
    if settings.role == "relay":
        from msgin5g.roles.relay import Relay

        role = Relay(settings, random_byte, server, now)
    else:
        from msgin5g.composition_gateway import build_gateway

        role = build_gateway(settings, random_byte, server, now, links)
        del build_gateway
        unload("composition_gateway")
    if settings.role != "seal-c":
        for ue_id in settings.links:
            host, port = settings.links[ue_id]
            role.link_up(ue_id.encode(), 0, link.remote(host, port))
    settings.links = None  # the role has them: they are the most of a gateway's settings
    if settings.own_configuration:
        role.own = build_ue(settings, 0, server, now, directory, role.endpoint)
    return role, links
