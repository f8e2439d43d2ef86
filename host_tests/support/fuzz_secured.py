"""The fuzzer's target under OSCORE: a gateway with keys, between hostile holders of those keys.

Most of what hostile UEs and a hostile server send is protected with their keys, so that the
gateway takes it; some of it is damaged afterwards.
"""

from fuzz_bytes import mutate
from fuzz_gateway import GatewayTarget
from gateway_builders import GATEWAY_ID
from msgin5g.coap.message import Message, MessageFormatError, datagram_of, insert
from msgin5g.coap.numbers import ECHO, MAX_MESSAGE_SIZE
from msgin5g.coap.retransmission import set_header
from msgin5g.oscore.context import ProtectionError, SecurityContext
from msgin5g.oscore.protect import Protection
from msgin5g_testkit.security import server_security
from msgin5g_testkit.security import Numbers, RECIPIENT, SERVER_KID, kid_of, secret_of

SERVER = -1  # in place of the number of a UE
EMPTY = b"\x70\0\0\1"  # a Reset of nothing
_ECHO = b"12345678"
# What a gateway with keys may send: empty messages, what is protected, and the errors for what it
# cannot unprotect.
_CODES = (0, 0x02, 0x05, 0x44, 0x45, 0x80, 0x81, 0x82)
_MAX_BINDINGS = 64


class KeyHolders:
    """UEs and a server that have keys with a gateway.

    names: the UE IDs. echo: what requests have as Echo, now and then; None without. is_honest: all
    is protected, and nothing is damaged.
    """

    def __init__(self, chance, names, gateway_id=GATEWAY_ID):
        self.chance = chance
        self.echo = None
        self.is_honest = False
        self._protection = Protection(RECIPIENT)
        self._ues = [
            SecurityContext(secret_of(name), kid_of(name), SERVER_KID, Numbers()) for name in names
        ]
        secret = secret_of(gateway_id)
        self._server = SecurityContext(secret, SERVER_KID, kid_of(gateway_id), Numbers())
        self._message = Message(128)
        self._asked = {}  # Bindings of what UEs have asked, by token
        self._bindings = {}  # and of what the server was asked

    def forget(self):
        self._asked.clear()
        self._bindings.clear()
        self._message.decode(EMPTY)  # in place of the last one, which may be large

    def take(self, datagram, who):
        """What a UE or the server has got from the gateway."""
        code = datagram[1]
        message = self._message
        if who == SERVER and 0 < code < 32:
            message.decode(bytes(datagram))
            token = message.token()
            binding, _ = self._protection.unprotect_request(self._server, message)
            _put(self._bindings, token, binding)
        elif who != SERVER and code in (0x44, 0x45):
            message.decode(bytes(datagram))
            binding = self._asked.get(message.token())
            try:
                if binding is not None:
                    self._protection.unprotect_response(binding, message)
                    self.echo = message.option(ECHO) or self.echo
            except ProtectionError:
                pass  # the answer to another request with this token

    def protected(self, datagram, who):
        """The datagram as one who has the key protects it; now and then as it is, or damaged."""
        chance = self.chance
        message = self._message
        try:
            message.decode(datagram)
        except MessageFormatError:
            return datagram
        is_request = 0 < message.code < 32
        if (who == SERVER) == is_request or not message.code:
            return datagram
        if chance.below(8) == 0 and not self.is_honest:
            return datagram
        options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
        try:
            protected = (self._request if is_request else self._response)(options, who)
        except ProtectionError:
            protected = None
        if protected is None:
            return datagram
        code, options, sealed = protected
        token = message.token()
        made = datagram_of(MAX_MESSAGE_SIZE, code, token, options, sealed)
        if made is None:
            return datagram
        set_header(made, message.mtype, message.mid)
        if chance.below(8) == 0 and not self.is_honest:
            mutate(made, chance, [bytes(made)])
        return bytes(made)

    def _request(self, options, who):
        chance = self.chance
        message = self._message
        if chance.below(16) == 0 and not self.is_honest:
            who = chance.below(len(self._ues))
        if self.echo is not None and (chance.below(2) or self.is_honest):
            insert(options, ECHO, self.echo)
        code, options, sealed, binding = self._protection.protect_request(
            self._ues[who], message.code, options, message.payload()
        )
        _put(self._asked, message.token(), binding)
        return code, options, sealed

    def _response(self, options, who):
        message = self._message
        binding = self._bindings.get(message.token())
        if binding is None:
            return None
        fresh = self.chance.below(3) == 0
        return self._protection.protect_response(
            binding, message.code, options, message.payload(), fresh
        )


def _put(table, token, binding):
    if len(table) >= _MAX_BINDINGS:
        table.clear()
    table[token] = binding


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
        self._holders = KeyHolders(self.chance, names)

    def deliver(self, datagram, remote, transport=0):
        if remote in self._addresses:
            datagram = self._holders.protected(datagram, self._addresses.index(remote))
        elif remote == self.upstream:
            datagram = self._holders.protected(datagram, SERVER)
        super().deliver(datagram, remote, transport)

    def sent(self, datagram, remote):
        super().sent(datagram, remote)
        assert datagram[1] in _CODES, hex(datagram[1])
        is_down = remote in self._addresses
        self._holders.take(datagram, self._addresses.index(remote) if is_down else SERVER)

    def rest(self):
        super().rest()
        self._holders.forget()
        # The endpoint keeps the last message and its exchange: here both are small.
        self.deliver(EMPTY, self.upstream, self.up_link)
