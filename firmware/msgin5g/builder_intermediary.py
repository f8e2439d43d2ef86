"""What composition needs for other nodes than a UE on an IP network: hops, radios, SEAL-C."""

import gc

from msgin5g.port.address import bound, remote_of
from msgin5g.port.system import random_byte
from msgin5g.port.udp import UdpTransport
from msgin5g.unload import unload


def build_other(settings, now, directory, app, counts, build_ue):
    """(role, links) as the settings say; the arguments are those of composition.build."""
    if not settings.check_source_port:
        from msgin5g.port.peer import host_of

        settings.peer_key = host_of
    radios = settings.radio and _radios(settings)  # started before there is a socket
    if radios and radios.espnow and settings.role == "ue":
        # One peer, the next hop, reached without IP.
        remote = next(iter(radios.espnow.peers))
        role = build_ue(settings, 0, remote, now, directory, None, app, counts)
        return role, [radios.espnow]
    link = UdpTransport(bound(*settings.bind))
    if settings.role == "ue":
        remote = remote_of(*settings.next_hop)
        return build_ue(settings, 0, remote, now, directory, None, app, counts), [link]
    server = remote_of(*settings.server_address)
    packed = _packed(settings)
    links = [link]
    if settings.role == "relay":
        from msgin5g.relay.relay import Relay

        role = Relay(settings, random_byte, server, now)
    else:
        from msgin5g.builder_gateway import build_gateway

        role = build_gateway(settings, random_byte, server, now, links)
        del build_gateway
        unload("composition_gateway")
    if radios and radios.espnow:
        links.append(radios.espnow)
    if settings.role != "seal-c":
        i = 0
        while i < len(packed):
            end = packed.find("\n", i)
            ue_id, host, port = packed[i:end].split(" ")
            i = end + 1
            remote = remote_of(host, int(port))
            # One of our own access point's stations is linked while it is there.
            if not (radios and radios.awaits(ue_id, remote)):
                role.link_up(ue_id.encode(), 0, remote)
    if settings.own_configuration:
        role.own = build_ue(settings, 0, server, now, directory, role.endpoint, app, counts)
    return role, links


def _packed(settings):
    """The links of the settings as one text, before the role is loaded in among their pieces.

    Hundreds of links are thousands of small objects: what they leave behind would lie in between
    the modules for good.
    """
    packed = ""
    if settings.links:
        links = settings.links
        packed = "".join(["%s %s %d\n" % (u, links[u][0], links[u][1]) for u in links])
    settings.links = None
    gc.collect()
    return packed


def _radios(settings):
    from msgin5g.services.radios import Radios

    settings.radios = radios = Radios(settings.radio, random_byte)
    if settings.peer_key and radios.espnow:
        settings.peer_key = radios.peer_key
    return radios
