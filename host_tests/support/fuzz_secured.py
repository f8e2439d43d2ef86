"""The fuzzer's target under OSCORE: a gateway with keys, between hostile holders of those keys.

Most of what hostile UEs and a hostile server send is protected with their keys, so that the
gateway takes it; some of it is damaged afterwards.
"""

from fuzz_bytes import mutate
from fuzz_gateway import GatewayTarget
from gateway_builders import GATEWAY_ID
from msgin5g.coap.message import Message, MessageFormatError, datagram_of, insert
from msgin5g.coap.numbers import ECHO, MAX_MESSAGE_SIZE
from msgin5g.oscore.context import ProtectionError, SecurityContext
from msgin5g.oscore.protect import Protection
from oscore_gateway import server_security
from oscore_server import RECIPIENT, SERVER_KID, Numbers, kid_of, secret_of

_ECHO = b"12345678"
# What a gateway with keys may send: empty messages, what is protected, and the errors for what it
# cannot unprotect.
_CODES = (0, 0x02, 0x05, 0x44, 0x45, 0x80, 0x81, 0x82)
_MAX_BINDINGS = 64


class SecuredGatewayTarget(GatewayTarget):
    """A gateway with keys; all four UEs have one."""

    def _begin(self, bulk_count, bulk_window_s, own, apart):
        super()._begin(bulk_count, bulk_window_s, False, apart)
        names = [ue_id.decode() for ue_id in self._ue_ids]
        own_key = (secret_of(GATEWAY_ID), kid_of(GATEWAY_ID))
        keys = [(name, secret_of(name), kid_of(name)) for name in names]
        echo = _ECHO if self.chance.below(2) else None
        security = server_security(own_key, keys, Numbers(), True, echo)
        security.peers = self.role
        self.role.endpoint.security = security
        self._protection = Protection(RECIPIENT)
        self._keys = [SecurityContext(key[1], key[2], SERVER_KID, Numbers()) for key in keys]
        self._server = SecurityContext(own_key[0], SERVER_KID, own_key[1], Numbers())
        self._bindings = {}  # of what the server was asked, by token
        self._message = Message(128)

    def deliver(self, datagram, remote, transport=0):
        super().deliver(self._protected(datagram, remote), remote, transport)

    def sent(self, datagram, remote):
        super().sent(datagram, remote)
        assert datagram[1] in _CODES, hex(datagram[1])
        if remote not in self._addresses and datagram[1] < 32:
            message = Message(128).decode(bytes(datagram))
            token = message.token()
            binding, _ = self._protection.unprotect_request(self._server, message)
            if len(self._bindings) >= _MAX_BINDINGS:
                self._bindings.clear()
            self._bindings[token] = binding

    def _protected(self, datagram, remote):
        """The datagram as one who has the key protects it; or as it is."""
        chance = self.chance
        message = self._message
        try:
            message.decode(datagram)
        except MessageFormatError:
            return datagram
        if chance.below(8) == 0:
            return datagram
        options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
        payload = message.payload()
        try:
            if remote in self._addresses and 0 < message.code < 32:
                who = self._addresses.index(remote)
                if chance.below(16) == 0:
                    who = chance.below(4)
                if chance.below(2):
                    insert(options, ECHO, _ECHO)
                code, options, sealed, _ = self._protection.protect_request(
                    self._keys[who], message.code, options, payload
                )
            elif remote == self.upstream and message.code >= 64:
                binding = self._bindings.get(message.token())
                if binding is None:
                    return datagram
                code, options, sealed = self._protection.protect_response(
                    binding, message.code, options, payload, chance.below(3) == 0
                )
            else:
                return datagram
        except ProtectionError:
            return datagram
        made = datagram_of(
            MAX_MESSAGE_SIZE, message.mtype, code, message.mid, message.token(), options, sealed
        )
        if made is None:
            return datagram
        made = bytearray(made)
        if chance.below(8) == 0:
            mutate(made, chance, [bytes(made)])
        return bytes(made)

    def rest(self):
        super().rest()
        self._bindings.clear()
