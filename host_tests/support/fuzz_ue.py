"""The fuzzer's first target: a UE whose next hop is hostile."""

from msgin5g_testkit.checks import load
from fuzz_bytes import mutate
from fuzz_messages import answers, blocks, requests, with_ids
from fuzz_node import QUIET_MS, SERVER_URI, STRANGER, Node
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import ACK, BLOCK2, CON, NON, OBSERVE
from msgin5g.ue import ConstrainedUe
from builders import RELAY, UE_ID, FakeConfiguration, ue_settings

# The parsers stay loaded: thousands of responses are read.
load("msgin5g.ue", "msgin5g.scm.ue_config_doc")


class UeTarget(Node):
    """It fetches blocks and observes; responses are damaged, or good ones at the wrong moment."""

    def __init__(self, chance, restarts=True):
        super().__init__(chance, (RELAY,), restarts)
        ue_id = UE_ID.encode()
        self._answers = answers(ue_id)
        self._blocks = blocks(ue_id)
        self._pieces = self._answers + self._blocks
        self._requests = requests(ue_id, SERVER_URI)
        self._request = Message(32)
        self._mid = 0
        self._asked = (0, bytes(4), 0, False)  # message ID, token, block number, Observe 0
        self._watched = bytes(4)  # the token of the last registration
        self.start(64, True, True)

    def start(self, block_size, observe, require_recipient):
        settings = ue_settings(observe=observe, block_size=block_size, max_document_size=2048,
                               require_recipient=require_recipient)  # fmt: skip
        self.role = ConstrainedUe(settings, self.chance.byte, FakeConfiguration(), RELAY, self.now)

    def restart(self):
        chance = self.chance
        self.start(chance.pick((16, 64, 64, 1024)), chance.below(4) > 0, chance.below(4) > 0)

    def sent(self, datagram, remote):
        request = self._request.decode(bytes(datagram))
        observes = request.uint(OBSERVE) == 0
        self._asked = (request.mid, request.token(), request.uint(BLOCK2, 0) >> 4, observes)
        if observes:
            self._watched = request.token()

    def feed(self):
        chance = self.chance
        self.maybe_restart()
        wait = self.role.wait_ms(self.now)
        if wait is None:
            self.role.fetch(self.now)  # a response has stopped it
        elif not self.role.client.busy and chance.below(8):
            self.pass_time(wait)
        elif chance.below(8) == 0:
            self.pass_time(chance.below(100000))
        if chance.below(100) == 0:
            chance.pick((self.role.stop, self._forget))()
        remote = STRANGER if chance.below(16) == 0 else RELAY
        self.deliver(self._hostile(), remote)

    def _forget(self):
        self.role.client.forget()

    def _hostile(self):
        chance = self.chance
        what = chance.below(16)
        if what == 0:
            return chance.noise(chance.size())
        mid, token, number, observes = self._asked
        mtype = ACK
        if what == 1:
            return bytes((0x40 | chance.below(4) << 4, 0, mid >> 8, mid & 255))
        if what == 2:
            template = chance.pick(self._requests)
            mtype = CON
        elif observes and what < 9:
            template = self._answers[1]
        elif what < 7:
            template = self._blocks[number % len(self._blocks)]
        elif what < 10:
            template = chance.pick(self._answers)
            mtype = CON
            token = self._watched
        else:
            template = chance.pick(self._answers)
        if chance.below(4) == 0:
            mtype = chance.pick((CON, NON, ACK))
        if mtype != ACK:
            mid = self._mid = (self._mid + chance.below(3)) & 0xFFFF
        buf = with_ids(template, mid, token)
        buf[0] = 0x44 | mtype << 4
        mutate(buf, chance, self._pieces)
        return bytes(buf)

    def rest(self):
        self._forget()
        self.role.fetch(self.now)
        self.pass_time(QUIET_MS)
        while self.role.client.busy:
            mid, token, _, observes = self._asked
            template = self._answers[1 if observes else 0]
            self.deliver(bytes(with_ids(template, mid, token)), RELAY)
        assert self.role.configuration.data is not None
