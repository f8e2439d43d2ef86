"""A gateway, or its configuration client apart from it, from settings; see composition."""

from msgin5g.port.address import bound, remote_of
from msgin5g.port.udp import UdpTransport


def build_gateway(settings, random, server, now, links):
    """The role; the link of SEAL-C is added to `links` where there is one."""
    peer = None
    if settings.role == "seal-c" or settings.seal_c_mode == "separated":
        link = UdpTransport(bound(*settings.seal_c_bind))
        links.append(link)
        peer = remote_of(*settings.seal_c_peer)
    if settings.role == "seal-c":
        from msgin5g.gateway.scm_client_node import SealC

        return SealC(settings, random, server, peer)
    from msgin5g.gateway.gateway import Gateway

    role = Gateway(settings, random, now)
    if peer is None:
        from msgin5g.gateway.scm_local import Collocated

        role.seal_c = Collocated(settings, role.endpoint, 0, server)
    else:
        from msgin5g.gateway.scm_remote import Separated

        role.seal_c = Separated(role.endpoint, 1, peer)
    return role
