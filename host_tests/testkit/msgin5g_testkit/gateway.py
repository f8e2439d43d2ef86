"""A gateway of a Network: the firmware's, with its configuration client in it or apart."""

from msgin5g.gateway.gateway import Gateway
from msgin5g.gateway.scm_local import LocalScmClient
from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.intermediary import Intermediary, Switch, role_settings

# The two ends of SEAL-C, gateway and client, and the client's address towards the server.
SEAL_C = (("127.0.0.1", 65400), ("127.0.0.1", 65402))
CLIENT = ("192.0.2.7", 65401)


class GatewayNode(Intermediary):
    """A gateway of a Network; see Intermediary and Switch for what it can do.

    client: its configuration client when it is a node of its own, a Switch; else None.
    is_protected: whether it has a key with the server, and may have one with each UE.
    """

    def __init__(self, network, gateway_id: str, address: tuple, server: tuple, is_separated: bool,
                 is_protected: bool, settings: dict) -> None:  # fmt: skip
        made = role_settings("gateway", gateway_id, address, server, settings)
        self.is_protected = is_protected
        self._security = of_client = None
        if is_protected:
            from msgin5g_testkit.security import Numbers, key_of, server_security

            own = key_of("seal-c of " + gateway_id if is_separated else gateway_id)
            self._security = server_security(own, (), Numbers(), False)
            if is_separated:
                of_client = server_security(key_of(gateway_id), [(gateway_id,) + own], Numbers())
        role = Gateway(made, xorshift(network.seed + 7), network.now, self._security)
        Intermediary.__init__(self, network, role, gateway_id, address)
        self.client = None
        if is_separated:
            self.client = self._separate(made, server, of_client)
        else:
            role.connect(LocalScmClient(made, role.endpoint, 0, server))

    def add_key(self, ue_id: str) -> None:
        """Share a key with a UE: what it asks for must be protected from now on."""
        from msgin5g_testkit.security import add_key

        assert self.is_protected, "a UE with a key needs net.gateway(oscore=True)"
        add_key(self._security, ue_id)

    def _separate(self, settings, server, security):
        from msgin5g.gateway.scm_client_node import ScmClientNode
        from msgin5g.gateway.scm_remote import RemoteScmClient

        self.role.connect(RemoteScmClient(self.role.endpoint, 1, SEAL_C[1]))
        random = xorshift(self._network.seed + 11)
        client = Switch(ScmClientNode(settings, random, server, SEAL_C[0], security))
        self._network.add(SEAL_C[0], self, 1)
        self._network.add(SEAL_C[1], client, 1)
        self._network.add(CLIENT, client)
        return client

    def _espnow_index(self):
        return 1 if self.client is None else 2
