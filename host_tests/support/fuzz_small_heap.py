"""Hostile peers of a role in a small heap, and an honest one afterwards; on CPython.

The role is a process, see small_heap_role.py: `say` gives it a datagram and some time, and takes
what it sends.
"""

import json
import os
import subprocess

from addresses import network
from builders import DATA, UE_ID, document
from fuzz_bytes import Chance, mutate
from fuzz_gateway import bulk_answers
from fuzz_messages import answers, blocks, packet, requests, with_ids
from fuzz_secured import KeyHolders
from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, uint_bytes
from msgin5g.coap.numbers import (
    ACK,
    CHANGED,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    GET,
    NON,
    OBSERVE,
)
from msgin5g.intermediary.numbers import FETCH
from msgin5g.scm.request import ScmRequest
from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.sequence_store import SequenceStore, board_mark
from msgin5g.port.flash import Flash
from msgin5g_testkit.security import SERVER_KID, kid_of, secret_of
from peers import micropython
from small_heap_events import EVENTS

from msgin5g_tools.build.mpy import build_firmware

FREE = 8192
FREE_WITH_KEYS = 12288  # to unprotect a message takes its size, and 2 KB
UES = ["urn:x-msgin5g:ue:000" + str(n) for n in range(7, 11)]
SERVER_URI = b"coap://scm.example"
# Room for the modules, however they lie; the ballast takes what is left.
_HEAPS = {"ue": "224K", "relay": "256K", "gateway": "320K", "seal-c": "256K", "secured": "416K"}
_SECURED = "secured"  # a gateway with keys
_QUIET_MS = 300000
_FORMAT = (CONTENT_FORMAT, uint_bytes(65001))


class Small:
    """A role whose heap leaves FREE bytes, or FREE_WITH_KEYS, between hostile peers.

    peers: (transport, host, port, whether it answers, its templates); the last one is a stranger.
    """

    answer_codes = (CONTENT,)

    def __init__(self, role, folder, seed):
        self.chance = Chance(seed)
        self.role = role
        self.sent = []  # (number of the peer, datagram), the newest last
        self.events = []
        self.wait_ms = 0
        self.mid = 0
        net = network()
        settings, self.peers = _cast("gateway" if role == _SECURED else role, net)
        self.holders = None
        if role == _SECURED:
            settings["security"] = {"mode": "oscore"}
            self.holders = KeyHolders(self.chance, UES, settings["ue_id"])
            _put_keys(folder, settings["ue_id"])
        self.addresses = [[peer[1], peer[2]] for peer in self.peers]
        (folder / "settings.json").write_text(json.dumps(settings))
        here = os.path.dirname(__file__)
        program = [
            os.path.join(here, "small_heap_role.py"),
            json.dumps([here, str(build_firmware())]),
        ]
        command = [micropython(), "-X", "heapsize=" + _HEAPS[role], *program]
        command += [
            str(folder / "settings.json"),
            str(folder),
            str(FREE if self.holders is None else FREE_WITH_KEYS),
            json.dumps(self.addresses),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, datagram=None, peer=0, ms=0):
        """Deliver a datagram from a peer after so many ms; what the role sends now."""
        operation = b"T" if datagram is None else b"D"
        datagram = datagram or b""
        if self.holders is not None and peer < len(self.peers) - 1:
            datagram = self.holders.protected(datagram, peer - 1)
        head = operation + bytes((self.peers[peer][0], peer))
        stdin, stdout = self._process.stdin, self._process.stdout
        stdin.write(head + ms.to_bytes(4, "big") + len(datagram).to_bytes(2, "big") + datagram)
        stdin.flush()
        now = []
        while True:
            out = stdout.read(5)
            if len(out) < 5:
                raise AssertionError(f"{self.role} has ended: {out + stdout.read()!r}")
            if out[:1] == b".":
                self.wait_ms = int.from_bytes(out[1:], "big")
                break
            if out[:1] == b"E":
                self.events.append(EVENTS[out[4]])
                continue
            assert out[:1] == b"D", out + stdout.read()
            size = out[3] << 8 | out[4]
            now.append((out[2], stdout.read(size)))
            if self.holders is not None and out[2] < len(self.peers) - 1:
                self.holders.take(now[-1][1], out[2] - 1)
        self.sent.extend(now)
        del self.sent[:-16]
        return now

    def hostile(self):
        """One hostile datagram, after some time."""
        chance = self.chance
        stranger = len(self.peers) - 1
        peer = stranger
        if chance.below(16):  # whoever is asked is half of them
            peer = 0 if chance.below(2) else chance.below(stranger)
        ms = 0 if chance.below(4) else chance.below(100000 if chance.below(16) == 0 else 1500)
        if chance.below(2 if self.role == "ue" else 4) == 0:
            ms = min(self.wait_ms, 600000)
        what = chance.below(16)
        answering, templates = self.peers[peer][3:]
        theirs = [row[1] for row in self.sent if row[0] == peer and len(row[1]) >= 4]
        recent = bytes(8)
        if theirs:
            recent = theirs[-1] if chance.below(4) else chance.pick(theirs)
        if what == 0:
            datagram = chance.noise(chance.size())
        elif what == 1:
            datagram = bytes((0x40 | chance.below(4) << 4, 0)) + recent[2:4]
        else:
            mid = recent[2] << 8 | recent[3]
            token = recent[4:8]
            mtype = ACK if answering else CON
            if not answering or len(token) < 4:
                token = b"tok" + bytes((chance.below(3),))
            if not answering or chance.below(3) == 0:
                mtype = chance.pick((CON, CON, NON))
                self.mid = mid = (self.mid + chance.below(3)) & 0xFFFF
            datagram = with_ids(chance.pick(templates), mid, token)
            datagram[0] = 0x44 | mtype << 4
            mutate(datagram, chance, templates)
        self.say(bytes(datagram), peer, ms)

    def quiet(self):
        """Let everything that is under way time out."""
        for _ in range(8):
            self.say(None, 0, _QUIET_MS)

    def end(self):
        """The role's counters."""
        self._process.stdin.write(b"C" + bytes(8))
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert self._process.wait(timeout=20) == 0
        return json.loads(line)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    # Honest peers

    def is_honest_peer_served(self):
        """Whether a good request gets its answer once all is quiet; it may be repeated."""
        self.quiet()
        for attempt in range(5):
            if getattr(self, "_serve_" + self.role.replace("-", "_"))(attempt):
                return True
        return False

    def _answer_all(self, sent, peer, body, attempt):
        """Answer each request to a peer; what is sent then."""
        after = []
        for number, datagram in sent:
            if number == peer and len(datagram) > 4 and datagram[1] < 32:
                request = Message(128).decode(datagram)
                ue = next((u for u in UES if u.encode() in datagram), UES[0]).encode()
                options = [(ETAG, b"honest%d" % attempt), _FORMAT, (65020, ue)]
                assert request.option(65020) == SERVER_URI
                made = with_ids(packet(ACK, CONTENT, options, body), request.mid, request.token())
                made[0] = 0x64
                after += self.say(bytes(made), peer)
        return after

    def _serve_ue(self, attempt):
        self.events.clear()
        for _ in range(200):
            ue_doc = document(UE_ID, DATA.replace("user-7", "honest-%d" % attempt))
            sent = self.say(None, 0, min(self.wait_ms, 600000))
            self._answer_all(sent, 0, dumps([ue_doc]), attempt)
            if "applied" in self.events:
                return True
        return False

    def _ask(self, attempt, code=GET, options=None, payload=b""):
        token = b"hon%d" % attempt
        if options is None:
            options = ScmRequest("msgin5g", [UES[0].encode()], SERVER_URI).options()
        return with_ids(packet(CON, code, options, payload), 0x7000 + attempt, token), token

    def _is_answer(self, rows, peer, token):
        for number, datagram in rows:
            if number == peer and datagram[1] in self.answer_codes and token in datagram[4:9]:
                return True
        return False

    def _serve_relay(self, attempt):
        request, token = self._ask(attempt)
        rows = self._work(self.say(bytes(request), 1), 0, dumps([document(UES[0], DATA)]), attempt)
        return self._is_answer(rows, 1, token)

    _serve_gateway = _serve_relay

    def _serve_secured(self, attempt):
        self.holders.is_honest = True
        self.answer_codes = (CHANGED,)
        # The first one may be answered with an Echo, as any after a start.
        return self._serve_relay(attempt) and attempt > 0

    def _serve_seal_c(self, attempt):
        body = dumps([None, 6, None, [UES[0].encode()], []])
        request, token = self._ask(attempt, FETCH, [(11, b"seal-c")], body)
        rows = self._work(self.say(bytes(request), 1), 0, dumps([document(UES[0], DATA)]), attempt)
        return self._is_answer(rows, 1, token)

    def _work(self, sent, peer, body, attempt):
        """Answer the requests to a peer for some seconds; all that was sent."""
        rows = list(sent)
        for _ in range(12):
            sent = self._answer_all(sent, peer, body, attempt)
            rows += sent
            more = self.say(None, 0, 500)
            rows += more
            sent = sent + more
        return rows


def _put_keys(folder, gateway_id):
    """Keys and numbers of a gateway where it will look for them."""
    secret, kid = secret_of(gateway_id), kid_of(gateway_id)
    own = SecurityContext(secret, kid, SERVER_KID, None).sender_key
    security = {"master_secret": secret.hex(), "sender_id": kid.hex()}
    security["recipient_id"] = SERVER_KID.hex()
    security["ues"] = ues = {}
    for ue in UES:
        key = SecurityContext(secret_of(ue), SERVER_KID, kid_of(ue), None).sender_key
        ues[ue] = {"master_secret": secret_of(ue).hex(), "sender_id": kid_of(ue).hex()}
        ues[ue].update(recipient_id=SERVER_KID.hex(), board=board_mark(key, own, b"").hex())
    (folder / "secrets.json").write_text(json.dumps({"security": security}))
    assert SequenceStore(Flash(str(folder), StorageError), own, b"").create()


def _cast(role, net):
    """(settings, peers) of a role; peer 0 is asked, peer 1 asks."""
    stranger = (0, net + "99", 65401, False, requests(UES[0].encode(), SERVER_URI))
    server = net + "9"
    settings = {
        "role": role,
        "ue_id": UE_ID if role == "ue" else "urn:x-msgin5g:" + role + ":1",
        "bind": [net + "2", 0],
        "server": {"recipient": SERVER_URI.decode(), "address": [server, 5683]},
        "start_delay_s": 0,
    }
    linked = [
        (0, net + str(10 + n), 65401, False, requests(ue.encode(), SERVER_URI))
        for n, ue in enumerate(UES)
    ]
    if role == "ue":
        settings["next_hop"] = [server, 65401]
        made = answers(UE_ID.encode()) + blocks(UE_ID.encode())
        return settings, [(0, server, 65401, True, made), stranger]
    if role == "seal-c":
        gateway = net + "5"
        settings["seal_c"] = {"bind": [net + "2", 0], "peer": [gateway, 65400]}
        return settings, [
            (0, server, 5683, True, bulk_answers(UES)),
            (1, gateway, 65400, False, _seal_c_requests()),
            stranger,
        ]
    settings["links"] = {ue: [peer[1], 65401] for ue, peer in zip(UES, linked, strict=True)}
    made = [template for ue in UES for template in answers(ue.encode()) + blocks(ue.encode())]
    if role == "gateway":
        made += bulk_answers(UES)
    return settings, [(0, server, 5683, True, made), *linked, stranger]


def _seal_c_requests():
    ids = [ue.encode() for ue in UES]
    path = (11, b"seal-c")
    many = b"\x85\xf6\xf6\xf6\x99\x02\x08" + 520 * b"\x41\x75" + b"\x80"
    made = [
        dumps([None, None, None, ids[:1], []]),
        dumps([b"doc-1", 0x12, b"etag", ids[:1], [b"ue-vendor=acme"]]),
        dumps([None, 6, None, ids, []]),
        dumps([None, None, None, ids[:1] * 35, []]),
        many,
        b"\x85\xf6\xf9\x3e\x00\xf6\x81\x41x\x80",
    ]
    out = [packet(CON, FETCH, [path], body) for body in made]
    out.append(packet(CON, FETCH, [(OBSERVE, b""), path], made[1]))
    out.append(packet(CON, FETCH, [(OBSERVE, b"\x01"), path], made[1]))
    return out
