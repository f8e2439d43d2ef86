"""Roles in small heaps, and hostile peers.

Real MicroPython, the firmware as .mpy files in RAM, real datagrams: what no test in virtual time
with a heap of its own can show. A UE has the heap that
`msgin5g run` gives it, a relay with its larger tables 160 KiB.
"""

import os
import socket
import sys
import time
from contextlib import contextmanager

import cbor2
import pytest
from peers import (
    PORT,
    QUICK,
    ROOT,
    SERVER_URI,
    ScmProcess,
    configuration,
    document,
    host,
    relay,
    ue,
)
from scm_setup import (
    ACCEPT,
    ACK,
    COLLECTION,
    CON,
    CONTENT_FORMAT,
    RECIPIENT,
    RST,
    UE7,
    URI_PATH,
    URI_QUERY,
    decode,
    encode,
)

from msgin5g_tools.commands.run import UE_HEAP

sys.path.insert(0, str(ROOT / "host_tests" / "support"))
from fuzz_bytes import Chance, mutate
from fuzz_messages import answers, blocks, requests

# `transmission` with which what is under way ends within half a second.
_SHORT = {"ack_timeout_ms": 100, "max_retransmit": 1}
_RELAY_HEAP = "176K"
_EVENTS = ("applied", "unchanged", "refused", "rejected", "timeout", "backing_off")
_REFRESH = {"min_s": 1, "max_s": 1}
OPTIONS = [(URI_PATH, part.encode()) for part in COLLECTION.split("/")]
OPTIONS += [(URI_QUERY, b"ue-uri=" + UE7.encode()), (ACCEPT, b"<")]
OPTIONS += [(RECIPIENT, SERVER_URI.encode())]


@contextmanager
def peer(address):
    """A socket at an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(address)
        made.settimeout(0.3)
        yield made


def repeat(made, datagram, wanted, n=60):
    """Send it again and again, as CoAP does, until an answer is `wanted`; gives that one, or None.

    A role in a small heap may drop what it has no room for, but must recover.
    """
    for _ in range(n):
        made.send(datagram)
        try:
            while True:
                answer = decode(made.recv(2000))
                if wanted(answer):
                    return answer
        except TimeoutError:
            continue
    return None


def ping(made, mid):
    """A role that runs answers a ping (RFC 7252 section 4.3)."""
    ping = encode(CON, "0.00", mid)
    assert repeat(made, ping, lambda answer: (answer.type, answer.mid) == (RST, mid))


def fetch(made, mid):
    """The answer to a GET of the document.

    What a relay at its limits has refused it refuses again when it is repeated, and one of the
    hostile messages may have had this message ID: so it is another GET, after the Max-Age.
    """
    answer = None
    for again in range(10):
        number = mid ^ again << 11
        token = b"t%05d" % number
        get = encode(CON, "0.01", number, token, OPTIONS)
        answer = repeat(made, get, lambda answer, token=token: answer.token == token, 15)
        if answer is not None and answer.code != "5.03":
            return answer
        time.sleep(1)
    raise AssertionError(f"no answer: {answer}")


@pytest.fixture(scope="module")
def scm(tmp_path_factory):
    with ScmProcess(tmp_path_factory.mktemp("scm")) as server:
        server.put("ue-0007", document(configName="n" * 700))
        yield server


def test_a_relay_passes_many_large_answers(scm, tmp_path):
    at = (host(), PORT)
    with (
        relay(tmp_path, scm.address, {UE7: at}, heap=_RELAY_HEAP) as role,
        peer(at) as client,
    ):
        client.connect(role.address)
        for n in range(300):
            answer = fetch(client, n)
            assert answer.code == "2.05" and answer.size > 900


def test_a_relay_whose_server_is_silent_is_back_when_the_large_requests_have_timed_out(tmp_path):
    at, silent = (host(), PORT), (host(), 5683)
    large = sorted([*OPTIONS, (65000, bytes(880))], key=lambda option: option[0])
    with (
        peer(silent),
        relay(tmp_path, silent, {UE7: at}, heap=_RELAY_HEAP, transmission=_SHORT) as role,
        peer(at) as client,
    ):
        client.connect(role.address)
        for n in range(200):
            client.send(encode(CON, "0.01", n, b"t%03d" % n, large))
        ping(client, 0x8000)


def hostile(seed, ids):
    """Datagrams of every kind: spoilt messages, and noise of up to 2,000 bytes."""
    chance = Chance(seed)
    ue_id = UE7.encode()
    made = answers(ue_id) + blocks(ue_id) + requests(ue_id, SERVER_URI.encode())
    for n in range(3000):
        if chance.below(8) == 0:
            yield chance.noise(chance.size())
        else:
            buf = bytearray(chance.pick(made))
            buf[2:4] = (n if chance.below(2) else ids[0]).to_bytes(2, "big")
            buf[4:8] = ids[1]
            mutate(buf, chance, made)
            yield bytes(buf)


def test_a_relay_survives_a_flood_from_a_ue_and_serves_it_then(scm, tmp_path):
    at = (host(), PORT)
    seed = int.from_bytes(os.urandom(3), "big")
    with (
        relay(tmp_path, scm.address, {UE7: at}, heap=_RELAY_HEAP, transmission=_SHORT) as role,
        peer(at) as client,
    ):
        client.connect(role.address)
        for n, datagram in enumerate(hostile(seed, (0, b"toke"))):
            client.send(datagram)
            if n % 100 == 99:
                ping(client, 0x8000 + n)
        assert fetch(client, 0xFFF0).code == "2.05"


def test_a_ue_survives_a_flood_from_its_relay_and_is_configured_then(tmp_path):
    at = (host(), PORT)
    seed = int.from_bytes(os.urandom(3), "big")
    settings = {"block_size": 64, "retry": {"first_s": 1, "max_s": 1}, "refresh": _REFRESH}
    with (
        peer(at) as server,
        ue(tmp_path, at, heap=UE_HEAP, transmission=QUICK, **settings) as role,
    ):
        server.connect(role.address)
        request = decode(server.recv(2000))
        for n, datagram in enumerate(hostile(seed, (request.mid, request.token))):
            server.send(datagram)
            if n % 100 == 99:
                ping(server, 0x8000 + n)
        while not configured(role):
            serve(server)


def configured(role):
    """Whether the good document of `serve` has arrived, among the events so far."""
    while not role.is_silent():
        event = role.event(*_EVENTS)
        if event.get("configuration") == configuration("good"):
            return True
    return False


def serve(server):
    """Answer what a UE asks with a good document."""
    try:
        request = decode(server.recv(2000))
    except TimeoutError:
        return
    if request.code == "0.01":
        options = [(CONTENT_FORMAT, b"<"), (RECIPIENT, UE7.encode())]
        payload = cbor2.dumps(document(name="good"))
        server.send(encode(ACK, "2.05", request.mid, request.token, options, payload))
