"""OSCORE at a gateway on real MicroPython: 30 UEs, the configuration server, and a lossy network.

The UEs are on CPython, in this process: 30 interpreters would be slower than the loss.
"""

import json
import random
import select
import socket
import time
from collections import namedtuple

import pytest
from addresses import network
from builders import FakeConfiguration, ue_settings
from oscore_gateway import check_no_nonce_twice
from msgin5g_testkit.security import SERVER_KID, kid_of, secret_of
from oscore_server import protect_ue
from peers import PORT, SERVER_URI, Role, ScmProcess, host
from proxy import Proxy
from scm_setup import document

from msgin5g.coap.retransmission import Parameters
from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.sequence_store import SequenceStore, board_mark
from msgin5g.port.flash import Flash
from msgin5g.ue import ConstrainedUe
from msgin5g_tools.scm_server.contexts import GATEWAY, Contexts
from msgin5g_tools.scm_server.store import Store

GATEWAY_ID = "urn:x-msgin5g:gateway:1"
NUMBERS = range(1, 31)
WITHOUT_DOCUMENT = (10, 20)
FORBIDDEN = (30,)  # not among the UEs of this gateway at the server
LOSS = 20
_NO_BOARD = b""  # the Unix port has no unique_id
_MASK = 0x3FFFFFFF
_PATIENCE_S = 120

Log = namedtuple("Log", "log")  # as NetworkSim has it


def name(n):
    return f"urn:x-msgin5g:ue:{n:04d}"


def text_of(n):
    return f'{{"MSGin5G-Server-address":"coap://m.example","MSGin5G-UE-Service-id":"{n}"}}'


def now_ms():
    return int(time.monotonic() * 1000) & _MASK


class Ues:
    """30 constrained UEs with keys, each at an address of its own; a part of all is lost.

    log: what was sent, as in NetworkSim.
    """

    def __init__(self, gateway, seed):
        net = network()
        self._random = random.Random(seed)
        self._gateway = gateway
        self.log = []
        self.ues = {}
        self.codes = {}
        self._sockets = {}
        parameters = Parameters(500, 150, 4)
        for n in NUMBERS:
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((f"{net}{n + 10}", PORT))
            self._sockets[n] = one
            settings = ue_settings(
                ue_id=name(n), parameters=parameters, refresh_min_s=3600,
                retry_first_s=1, retry_max_s=8, probing_rate=1000000,
            )  # fmt: skip
            ue = ConstrainedUe(settings, self._byte, FakeConfiguration(), gateway, now_ms())
            protect_ue(ue, name(n))
            self.ues[n] = ue
        self.links = {name(n): list(s.getsockname()) for n, s in self._sockets.items()}

    def _byte(self):
        return self._random.randrange(256)

    def _is_lost(self):
        return self._random.randrange(100) < LOSS

    def run(self, done):
        """Drive them until `done()`; false when it takes too long."""
        end = time.monotonic() + _PATIENCE_S
        numbers = {one: n for n, one in self._sockets.items()}
        while not done():
            if time.monotonic() > end:
                return False
            for one in select.select(list(numbers), [], [], 0.02)[0]:
                datagram, remote = one.recvfrom(2000)
                n = numbers[one]
                self.log.append((0, "gateway", name(n), datagram))
                if not self._is_lost():
                    self.ues[n].receive(0, datagram, remote, now_ms())
            for n, ue in self.ues.items():
                self._step(n, ue)
        return True

    def _step(self, n, ue):
        ue.step(now_ms())
        while (out := ue.transmit(now_ms())) is not None:
            self.log.append((0, name(n), "gateway", bytes(out[1])))
            if not self._is_lost():
                self._sockets[n].sendto(bytes(out[1]), self._gateway)
        while (event := ue.poll()) is not None:
            if event["event"] == "rejected":
                self.codes.setdefault(n, set()).add(event["code"])

    def n_ready(self):
        """How many have a configuration, or the answer that there is none for them."""
        return sum(
            ue.configuration.data is not None or self.codes.get(n, set()) >= {self.expected(n)}
            for n, ue in self.ues.items()
        )

    def expected(self, n):
        """The code of the answer for a UE without a configuration; None for the others."""
        return "4.04" if n in WITHOUT_DOCUMENT else "4.03" if n in FORBIDDEN else None

    def close(self):
        for one in self._sockets.values():
            one.close()


@pytest.fixture
def scm(tmp_path):
    """The server; it takes nothing that is not protected. key: its Context of the gateway."""
    with Store(tmp_path / "scm.db") as store:
        contexts = Contexts(store)
        key = contexts.add(GATEWAY, GATEWAY_ID)
        for n in NUMBERS:
            if n not in FORBIDDEN:
                contexts.add_ue(GATEWAY_ID, name(n))
            if n not in WITHOUT_DOCUMENT:
                configs = [{"configType": "ON_NETWORK", "configData": text_of(n)}]
                store.put("msgin5g", f"ue-{n:04d}", document(name(n), ueConfigs=configs))
    with ScmProcess(tmp_path, "--require-security") as server:
        server.key = key
        yield server


def key_file(key):
    """`security` of the gateway's secrets.json."""
    own = SecurityContext(key.secret, key.kid, key.server_id, None).sender_key
    ues = {}
    for n in NUMBERS:
        secret, kid = secret_of(name(n)), kid_of(name(n))
        for_ue = SecurityContext(secret, SERVER_KID, kid, None).sender_key
        ues[name(n)] = {
            "master_secret": secret.hex(),
            "sender_id": kid.hex(),
            "recipient_id": SERVER_KID.hex(),
            "board": board_mark(for_ue, own, _NO_BOARD).hex(),
        }
    group = {
        "master_secret": key.secret.hex(),
        "sender_id": key.kid.hex(),
        "recipient_id": key.server_id.hex(),
        "ues": ues,
    }
    return group, own


def prepared(folder, address, key):
    """Put keys and numbers where the gateway at this address will look."""
    group, own = key_file(key)
    home = folder / address
    home.mkdir()
    (home / "secrets.json").write_text(json.dumps({"security": group}))
    assert SequenceStore(Flash(str(home), StorageError), own, _NO_BOARD).create()


def gateway_at(folder, address, server, links):
    return Role(
        folder,
        {
            "role": "gateway",
            "ue_id": GATEWAY_ID,
            "bind": [address, PORT],
            "server": {"recipient": SERVER_URI, "address": list(server)},
            "links": links,
            "security": {"mode": "oscore"},
            "bulk": {"window_s": 1},
            "transmission": {"ack_timeout_ms": 500},
        },
        None,  # as `msgin5g run` gives it
    )


def check(ues, proxy):
    for n, ue in ues.ues.items():
        expected = ues.expected(n)
        if expected is None:
            assert ue.configuration.data == text_of(n).encode(), n
        else:
            assert ue.configuration.data is None and expected in ues.codes[n], n
    up = {True: ("gateway", "server"), False: ("server", "gateway")}
    upstream = [(0, *up[passed.up], passed.datagram) for passed in proxy.log]
    for _, _, _, datagram in ues.log + upstream:
        assert len(datagram) <= 1152 and b"ue-uri=" not in datagram
        assert b"MSGin5G-" not in datagram
    assert check_no_nonce_twice(Log(ues.log)) > 30
    assert check_no_nonce_twice(Log(upstream)) > 2


def lossy(server, seed):
    chance = random.Random(seed)
    return Proxy(server, lose=lambda passed: chance.randrange(100) < LOSS)


def test_30_ues_get_each_its_own_answer_in_bulk_through_a_lossy_network(tmp_path, scm):
    address = host()
    prepared(tmp_path, address, scm.key)
    ues = Ues((address, PORT), 5)
    try:
        with (
            lossy(scm.address, 6) as proxy,
            gateway_at(tmp_path, address, proxy.address, ues.links) as gateway,
        ):
            assert ues.run(lambda: ues.n_ready() == len(NUMBERS)), ues.codes
            counters = gateway.counters()
        check(ues, proxy)
        assert "no_memory" not in counters and "oscore_not_authentic" not in counters
        assert counters["oscore_echo"] >= len(NUMBERS)
    finally:
        ues.close()


def test_a_gateway_that_is_killed_in_the_middle_goes_on_and_uses_no_nonce_twice(tmp_path, scm):
    address = host()
    prepared(tmp_path, address, scm.key)
    ues = Ues((address, PORT), 8)
    try:
        with lossy(scm.address, 9) as proxy:
            with gateway_at(tmp_path, address, proxy.address, ues.links) as gateway:
                assert ues.run(lambda: ues.n_ready() >= 5)
                gateway.kill()
            with gateway_at(tmp_path, address, proxy.address, ues.links):
                assert ues.run(lambda: ues.n_ready() == len(NUMBERS)), ues.codes
        check(ues, proxy)
    finally:
        ues.close()
