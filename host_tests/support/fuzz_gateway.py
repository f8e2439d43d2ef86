"""The fuzzer's targets for bulk requests: a gateway, and a separated configuration client."""

from fuzz_bytes import mutate
from fuzz_messages import bodies, packet, problems, with_ids
from fuzz_node import QUIET_MS, STRANGER, Node
from fuzz_relay import RelayTarget
from gateway_builders import CLIENT, SEAL_C, gateway_settings
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import ACK, BLOCK2, CON, CONTENT, CONTENT_FORMAT, ETAG, NON, OBSERVE
from msgin5g.intermediary.numbers import FETCH
from msgin5g.gateway.gateway import Gateway
from msgin5g.gateway.scm_local import LocalScmClient
from msgin5g.gateway.scm_remote import RemoteScmClient
from msgin5g.gateway.scm_client_node import ScmClientNode
from builders import DATA, SERVER, document

_BLOCK_SIZE = 256


def bulk_answers(ue_ids):
    """Answers to a gateway: arrays for all of these UEs (texts), whole and in blocks; templates.

    The first is a good one.
    """
    docs = [document(ue_id, DATA, "doc-" + ue_id[-1]) for ue_id in ue_ids]
    common = document("", DATA, "shared")
    common.pop("valUeIds")
    everything = dumps(docs[:2] + [common] + docs[2:])
    ours = (CONTENT_FORMAT, uint_bytes(65001))
    made = [
        packet(ACK, CONTENT, [(ETAG, b"etag-all"), ours], dumps(docs[:3])),
        packet(ACK, CONTENT, [(ETAG, b"etag-one"), ours], dumps(docs[0])),
        packet(ACK, CONTENT, [(ETAG, b"o"), (OBSERVE, b"\x05"), ours], dumps(docs[0])),
        packet(ACK, 0x83, [(CONTENT_FORMAT, uint_bytes(257))], problems()[0]),
    ]
    made.extend([packet(ACK, CONTENT, [ours], body) for body in bodies(ue_ids[0])[:4]])
    for start in range(0, len(everything), _BLOCK_SIZE):
        more = 8 if start + _BLOCK_SIZE < len(everything) else 0
        block = (BLOCK2, uint_bytes(start // _BLOCK_SIZE << 4 | more | 4))
        options = [(ETAG, b"blocks"), ours, block]
        made.append(packet(ACK, CONTENT, options, everything[start : start + _BLOCK_SIZE]))
    return made


class GatewayTarget(RelayTarget):
    """A gateway with four linked UEs; its configuration client is collocated or separated."""

    def start(self, *_):
        self._begin(20, 2, True, False)

    def restart(self):
        chance = self.chance
        self._begin(
            chance.pick((1, 2, 20)),
            chance.pick((0, 2)),
            chance.below(4) > 0,
            chance.below(4) == 0,
        )

    def _begin(self, bulk_count, bulk_window_s, own, apart):
        settings = gateway_settings(bulk_count=bulk_count, bulk_window_s=bulk_window_s,
                                    max_waiting=self.chance.pick((1, 200)) if apart else 200,
                                    max_observations=4, max_rate=1000)  # fmt: skip
        self.role = Gateway(settings, self.chance.byte, self.now)
        endpoint = self.role.endpoint
        if apart:
            self.upstream, self.up_link = SEAL_C[1], 1
            self.role.connect(RemoteScmClient(endpoint, 1, SEAL_C[1]))
        else:
            self.upstream, self.up_link = SERVER, 0
            self.role.connect(LocalScmClient(settings, endpoint, 0, SERVER))
        if own:
            self.configure(settings)
        names = [ue_id.decode() for ue_id in self._ue_ids]
        for made in self._answers:
            made.extend(bulk_answers(names) if len(made) < 40 else [])
        self._link()


class SealCTarget(Node):
    """The configuration client between a hostile gateway and a hostile server."""

    def __init__(self, chance, restarts=True):
        super().__init__(chance, [SERVER, SEAL_C[0]], restarts)
        names = ["urn:x-msgin5g:ue:000" + str(n) for n in range(7, 11)]
        ids = [name.encode() for name in names]
        self._answers = bulk_answers(names)
        path = (11, b"seal-c")
        bodies = [
            dumps([None, None, None, ids[:1], []]),
            dumps([b"doc-1", 0x12, b"etag", ids[:1], [b"ue-vendor=acme"]]),
            dumps([None, 6, None, ids, []]),
            dumps([None, None, None, ids[:1] * 35, []]),
            b"\x85\xf6\xf9\x3e\x00\xf6\x81\x41x\x80",  # a Block2 of 1.5
            dumps({1: 2, 3: 4, 5: 6, 7: 8, 9: 0}),
        ]
        self._questions = [packet(CON, FETCH, [path], body) for body in bodies]
        self._questions.append(packet(CON, FETCH, [(OBSERVE, b""), path], bodies[1]))
        self._questions.append(packet(CON, FETCH, [(OBSERVE, b"\x01"), path], bodies[1]))
        self._questions.append(packet(CON, 1, [path]))
        self._mid = 0
        self._asked = (0, bytes(4))
        self._told = 0
        self.restart()

    def restart(self):
        self.role = ScmClientNode(gateway_settings(), self.chance.byte, SERVER, SEAL_C[0])

    def sent(self, datagram, remote):
        mid = datagram[2] << 8 | datagram[3]
        if remote == SERVER:
            self._asked = (mid, bytes(datagram[4:8]))
        else:
            self._told = mid

    def feed(self):
        chance = self.chance
        self.maybe_restart()
        if chance.below(4) == 0:
            self.pass_time(chance.below(100000 if chance.below(16) == 0 else 1500))
        what = chance.below(16)
        mid, token = self._asked
        if what == 0:
            at = chance.pick(((1, SEAL_C[0]), (0, SERVER), (1, STRANGER), (0, CLIENT)))
            self.deliver(chance.noise(chance.size()), at[1], at[0])
        elif what < 3:
            mid = chance.pick((mid, self._told))
            empty = bytes((0x40 | chance.below(4) << 4, 0, mid >> 8, mid & 255))
            at = chance.pick(((1, SEAL_C[0]), (0, SERVER)))
            self.deliver(empty, at[1], at[0])
        elif what < 9:
            self._question()
        else:
            mtype = ACK
            if chance.below(3) == 0:
                mtype = chance.pick((CON, NON))
                mid = self._next_mid()
            buf = with_ids(chance.pick(self._answers), mid, token)
            buf[0] = 0x44 | mtype << 4
            mutate(buf, chance, self._answers)
            self.deliver(bytes(buf), SERVER)

    def _next_mid(self):
        self._mid = (self._mid + self.chance.below(3)) & 0xFFFF
        return self._mid

    def _question(self):
        chance = self.chance
        token = b"tok" + bytes((chance.below(3),))
        buf = with_ids(chance.pick(self._questions), self._next_mid(), token)
        mutate(buf, chance, self._questions)
        self.deliver(bytes(buf), SEAL_C[0] if chance.below(16) else STRANGER, 1)

    def rest(self):
        """The gateway rejects late notifications, and the rest times out."""
        for _ in range(4):
            self.pass_time(QUIET_MS)
