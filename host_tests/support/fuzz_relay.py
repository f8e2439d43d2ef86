"""The fuzzer's second target: a relay between hostile UEs and a hostile server."""

from msgin5g_testkit.checks import load
from fuzz_bytes import mutate
from fuzz_messages import answers, blocks, requests, with_ids
from fuzz_node import QUIET_MS, SERVER_URI, STRANGER, Node
from msgin5g.coap.numbers import ACK, CON, NON
from msgin5g.relay import Relay
from msgin5g.ue import ConstrainedUe
from builders import SERVER, FakeConfiguration, relay_settings, ue_address

_HOP_ID = "urn:x-msgin5g:hop:1"

# The parsers stay loaded: thousands of responses are read.
load("msgin5g.ue", "msgin5g.scm.ue_config_doc")


class RelayTarget(Node):
    """A relay with four linked UEs and itself to configure; all others are hostile."""

    def __init__(self, chance, restarts=True):
        self._ue_ids = [("urn:x-msgin5g:ue:000" + str(n)).encode() for n in range(7, 11)]
        self._addresses = [ue_address(2 + n) for n in range(4)]
        super().__init__(chance, [], restarts)
        self.upstream = SERVER  # the address that the UEs' requests go to, and the transport
        self.up_link = 0
        self._requests = [requests(ue_id, SERVER_URI) for ue_id in self._ue_ids]
        everybody = self._ue_ids + [_HOP_ID.encode()]
        self._answers = [answers(ue_id) + blocks(ue_id) for ue_id in everybody]
        self._mid = 0
        self._asked = [(0, bytes(4), 0)] * 8  # a ring of (message ID, token, UE) to the server
        self._own_asked = (0, bytes(4))
        self._told = [(0, 0)] * 8  # a ring of (message ID, UE) of the messages to the UEs
        self._at = 0
        self._who = 0
        self.start(8, 4, 1000, False, True)

    def start(self, max_flows, max_observations, max_rate, strict_codes, own):
        settings = relay_settings(ue_id=_HOP_ID, max_flows=max_flows, max_rate=max_rate,
                                  max_observations=max_observations,
                                  strict_codes=strict_codes)  # fmt: skip
        self.role = Relay(settings, self.chance.byte, SERVER, self.now)
        if own:
            self.configure(settings)
        self._link()

    def configure(self, settings):
        """The relay fetches a configuration for itself, too."""
        self.role.own = ConstrainedUe(
            settings,
            self.chance.byte,
            FakeConfiguration(),
            SERVER,
            self.now,
            0,
            self.role.endpoint,
        )

    def restart(self):
        chance = self.chance
        self.start(
            chance.pick((1, 2, 8)),
            chance.pick((0, 1, 4)),
            chance.pick((2, 1000)),
            chance.below(4) == 0,
            chance.below(4) > 0,
        )

    def _link(self):
        self._peers = [SERVER, self.upstream]
        for ue_id, address in zip(self._ue_ids, self._addresses):
            assert self.role.link_up(ue_id, 0, address)
            self._peers.append(address)

    def _unlink(self, who):
        self.role.link_down(self._ue_ids[who])
        if self._addresses[who] in self._peers:
            self._peers.remove(self._addresses[who])

    def sent(self, datagram, remote):
        self._at = (self._at + 1) & 7
        mid = datagram[2] << 8 | datagram[3]
        if remote not in self._addresses:
            who = 4 if bytes(datagram).find(_HOP_ID.encode()) > 0 else self._who
            self._asked[self._at] = (mid, bytes(datagram[4:8]), who)
            if who == 4:
                self._own_asked = (mid, bytes(datagram[4:8]))
        else:
            self._told[self._at] = (mid, self._addresses.index(remote))

    def feed(self):
        chance = self.chance
        self.maybe_restart()
        if chance.below(4) == 0:
            self.pass_time(chance.below(100000 if chance.below(16) == 0 else 1500))
        if chance.below(100) == 0:
            self._unlink(chance.below(4))
        elif chance.below(50) == 0:
            self._link()
        what = chance.below(16)
        if what == 0:
            remote = chance.pick((SERVER, STRANGER, self._addresses[0]))
            self.deliver(chance.noise(chance.size()), remote)
        elif what == 1:
            mid, who = chance.pick(self._told)
            remote = self._addresses[who]
            if chance.below(3) == 0:
                mid, _, _ = chance.pick(self._asked)
                remote = self.upstream
            empty = bytes((0x40 | chance.below(4) << 4, 0, mid >> 8, mid & 255))
            self.deliver(empty, remote, self.up_link if remote == self.upstream else 0)
        elif what < 9:
            self._up()
        else:
            self._down()

    def _up(self):
        chance = self.chance
        who = self._who = chance.below(4)
        mid = self._mid = (self._mid + chance.below(3)) & 0xFFFF
        token = b"tok" + bytes((chance.below(3),))  # often the same: renewals, collisions
        buf = with_ids(chance.pick(self._requests[who]), mid, token)
        if chance.below(4) == 0:
            buf[0] ^= 0x10
        if chance.below(16) == 0:  # a long token, RFC 8974
            n = 1 + chance.below(250)
            buf[:] = bytes((buf[0] | 13,)) + buf[1:4] + bytes((n,)) + bytes(n + 13) + buf[8:]
        mutate(buf, chance, self._requests[who])
        remote = STRANGER if chance.below(16) == 0 else self._addresses[who]
        self.deliver(bytes(buf), remote)

    def _down(self):
        chance = self.chance
        mid, token, who = self._asked[self._at - chance.below(3) & 7]
        mtype = ACK
        if chance.below(3) == 0:
            mtype = chance.pick((CON, NON))
            mid = self._mid = (self._mid + chance.below(3)) & 0xFFFF
        if chance.below(16) == 0:
            who = chance.below(5)
        made = self._answers[who]
        template = made[1] if chance.below(3) == 0 else chance.pick(made)
        buf = with_ids(template, mid, token)
        buf[0] = 0x44 | mtype << 4
        mutate(buf, chance, made)
        self.deliver(bytes(buf), self.upstream, self.up_link)

    def rest(self):
        for who in range(4):
            self._unlink(who)
        own = self.role.own
        if own is not None:
            own.client.forget()
        self.pass_time(QUIET_MS)
        self.pass_time(QUIET_MS)
        while own is not None and own.client.busy:
            mid, token = self._own_asked
            template = self._answers[4][1 if own.client.individual else 0]
            self.deliver(bytes(with_ids(template, mid, token)), SERVER)
            self.pass_time(1000)  # the rate limiter may delay it
        self._link()
