"""A relay, a gateway or the gateway's configuration client, with its linked UEs."""

import gc

from msgin5g.port.resolver import is_ipv4
from msgin5g.port.system import random_byte


def build_intermediary(builder):
    """The role of a Builder's settings; its transports are opened."""
    settings = builder.settings
    radios = builder.radios
    security = None
    if settings.security_mode != "none" and settings.role != "relay":
        from msgin5g.builder.server_security import server_security

        security = server_security(builder)  # first: what it takes from the settings is freed
    builder.open_transport(settings.bind)
    # A gateway with a configuration client elsewhere needs no way to the server.
    is_separated = settings.role == "gateway" and settings.seal_c_mode == "separated"
    server = None if is_separated else builder.remote_of(settings.server_address)
    links = _pack(settings)
    if settings.role == "relay":
        role = _relay(builder, server)
    elif settings.role == "gateway":
        make = _separated_gateway if is_separated else _gateway
        role = make(builder, server, security)
    else:
        role = _scm_client_node(builder, server, security)
    if radios and radios.espnow:
        builder.transports.append(radios.espnow)

    def n_timeouts():
        return role.counters.get("server_timeout", 0)

    if is_separated:
        builder.look_up("seal_c.peer", settings.seal_c_peer, role.set_server, n_timeouts)
    else:
        builder.look_up("server.address", settings.server_address, role.set_server, n_timeouts)
    if settings.role == "seal-c":
        builder.look_up("seal_c.peer", settings.seal_c_peer, role.set_gateway)
    else:
        _link(builder, role, links)
    if settings.own_configuration and not is_separated:
        role.own = builder.constrained_ue(server, role.endpoint)
        if settings.role == "relay":
            builder.protect(role, role.own.client)  # what UEs ask for passes as it is
    return role


def _relay(builder, server):
    from msgin5g.relay import Relay

    return Relay(builder.settings, random_byte, server, builder.now)


def _gateway(builder, server, security):
    from msgin5g.gateway.gateway import Gateway
    from msgin5g.gateway.scm_local import LocalScmClient

    settings = builder.settings
    role = Gateway(settings, random_byte, builder.now, security)
    role.connect(LocalScmClient(settings, role.endpoint, 0, server))
    return role


def _separated_gateway(builder, server, security):
    from msgin5g.gateway.gateway import Gateway
    from msgin5g.gateway.scm_remote import RemoteScmClient, RemoteScmRequest

    settings = builder.settings
    peer = _open_seal_c(builder)
    role = Gateway(settings, random_byte, builder.now, security)
    scm = RemoteScmClient(role.endpoint, 1, peer)
    role.connect(scm)
    if settings.own_configuration:
        role.own = own = builder.constrained_ue(peer, role.endpoint)
        own.client.request = RemoteScmRequest(scm, own.client)
    return role


def _scm_client_node(builder, server, security):
    from msgin5g.gateway.scm_client_node import ScmClientNode

    gateway = _open_seal_c(builder)
    return ScmClientNode(builder.settings, random_byte, server, gateway, security)


def _open_seal_c(builder):
    """Open the transport of SEAL-C, the second one; the remote of its other end."""
    builder.open_transport(builder.settings.seal_c_bind)
    return builder.remote_of(builder.settings.seal_c_peer)


def _pack(settings):
    """The linked UEs of the settings as lines of text, made before the role is imported.

    Hundreds of links are thousands of small objects. Their freed memory would lie as holes between
    the modules of the role.
    """
    packed = ""
    if settings.links:
        links = settings.links
        packed = "".join(["%s %s %d\n" % (u, links[u][0], links[u][1]) for u in links])
    settings.links = None
    gc.collect()
    return packed


def _link(builder, role, links):
    """Link the UEs of the settings, those with a host name when it has an address.

    links: see _pack.
    """
    i = 0
    while i < len(links):
        end = links.find("\n", i)
        ue_id, host, port = links[i:end].split(" ")
        i = end + 1
        address = (host, int(port))
        if is_ipv4(host):
            _link_up(builder.radios, role, ue_id, builder.remote_of(address))
        else:
            builder.look_up("links " + ue_id, address, _linker(builder.radios, role, ue_id))


def _linker(radios, role, ue_id):
    """A function (remote, now) that links a UE at this address."""
    return lambda remote, now: _link_up(radios, role, ue_id, remote)


def _link_up(radios, role, ue_id, remote):
    # A station of our own access point is linked while it is associated.
    if radios and radios.links_later(ue_id, remote):
        return True
    return role.link_up(ue_id.encode(), 0, remote)
