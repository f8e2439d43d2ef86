"""The configuration management server of a Network, in the hands of a test."""

import json

from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.documents import document
from msgin5g_testkit.servers import Server


class ScmServer(Server):
    """A server with documents, at the address of the network's server.

    It answers as TS 24.546 specifies: block by block, with ETag, 4.03 and 4.04, and notifies its
    observers. is_silent: it answers nothing, for example while "the server is down". slow_ms: how
    long an answer takes. n_requests, n_bodies: how many it has answered; with a configuration.
    requests: (UE ID, value of Observe) of the last 64. max_age_s: Max-Age of its answers.
    """

    def __init__(self, address: tuple, seed: int, configurations: dict, **options) -> None:
        self.address = address
        self.is_silent = False
        self.inspector = None
        self._known: list = []  # UE IDs, in the order of their documents' IDs
        documents = {ue_id: self._document(ue_id, configurations[ue_id])
                     for ue_id in sorted(configurations)}  # fmt: skip
        Server.__init__(self, xorshift(seed), documents, **options)
        self.denied = list(self.denied)

    def serve(self, ue_id: str, configuration: dict) -> None:
        """Give a UE another configuration, and notify it if it observes.

        configuration: the keys of configData. The two that TS 24.538 7.2.3 requires are added
        where they are missing; the MSGin5G server that they name answers a CoAP ping. With the
        key "ueConfigs" it is a whole UeConfigDoc.
        """
        self.allow(ue_id)
        self.change(ue_id, self._document(ue_id, configuration))

    def delete(self, ue_id: str) -> None:
        """Delete the document of a UE: 4.04 from now on."""
        self.change(ue_id, None)

    def deny(self, ue_id: str) -> None:
        """Answer 4.03 from now on."""
        self.denied.append(ue_id)

    def allow(self, ue_id: str) -> None:
        """End `deny`."""
        self.denied = [other for other in self.denied if other != ue_id]

    def add_key(self, ue_id: str) -> None:
        """Share a key with a UE or a gateway, as `oscore=True` does; see security.key_of."""
        from msgin5g_testkit.security import add_key, server_security

        endpoint = self.endpoint
        if endpoint.security is None:
            endpoint.security = server_security(None, (), None, False)
        add_key(endpoint.security, ue_id)

    def note(self, request):
        """A request has come: it is counted, and what its ciphertext held is checked."""
        Server.note(self, request)
        binding = self.endpoint.binding
        if binding is not None and self.inspector:
            self.inspector.inside(binding.context.peer.decode(), request.ids)

    def receive(self, transport, datagram, remote, now):
        if not self.is_silent:
            Server.receive(self, transport, datagram, remote, now)

    def transmit(self, now):
        out = Server.transmit(self, now)
        while self.is_silent and out is not None:
            out = Server.transmit(self, now)
        return out

    def _document(self, ue_id, configuration):
        if "ueConfigs" in configuration:
            return configuration
        data = {
            "MSGin5G-Server-address": "coap://%s:%d" % self.address,
            "MSGin5G-UE-Service-id": "user@example.com",
        }
        data.update(configuration)
        if ue_id not in self._known:
            self._known.append(ue_id)
        return document(ue_id, json.dumps(data), "doc-%d" % (1 + self._known.index(ue_id)))
