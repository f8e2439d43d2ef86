"""The configuration management server: its sockets, and bytes that are not CoAP."""

import asyncio
import socket
import time
from types import SimpleNamespace

import cbor2
import pytest
import websockets.sync.client
from scm_setup import (
    ACK,
    COLLECTION,
    CON,
    GET,
    NON,
    RST,
    TIMEOUT_S,
    UE7,
    URI_PATH,
    URI_QUERY,
    Client,
    Scm,
    document,
    encode,
    problem,
    recipient,
)

from msgin5g_tools.scm_server import aiocoap_internals
from msgin5g_tools.scm_server.faults import Faults
from msgin5g_tools.scm_server.problem import ScmError

QUERY = f"ue-uri={UE7}"
PATH = [(URI_PATH, part.encode()) for part in COLLECTION.split("/")]


def test_long_tokens_are_echoed(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        for size in (0, 1, 8, 9, 12, 13, 268, 269, 600):
            answer = client.ask(
                GET, COLLECTION, [QUERY], token=bytes(i % 251 for i in range(size))
            )
            assert answer.code == "4.04" and recipient(answer) == UE7, size


def test_a_repeated_request_is_answered_with_the_same_bytes_and_done_once(tmp_path):
    options = [*PATH, (URI_QUERY, QUERY.encode())]
    post = encode(CON, "0.02", 7, b"t", options, cbor2.dumps(document(UE7)))
    with Scm(tmp_path) as scm, scm.client() as client:
        answers = []
        for _ in range(3):
            client.send(post)
            answers.append(client.receive())
        assert answers[0].code == "2.01" and answers.count(answers[0]) == 3
        assert len(cbor2.loads(client.get().payload)) == 1


def test_a_ping_is_reset_and_what_is_not_coap_is_rejected(tmp_path):
    get = encode(CON, GET, 0x1234, b"t", PATH)
    rejected = {
        "ping": encode(CON, "0.00", 0x1234),
        "token of 15": bytes([0x4F]) + get[1:],
        "cut token": get[:4],
        "empty with a token": encode(CON, "0.00", 0x1234, b"t"),
        "empty payload": get + b"\xff",
        "option length 15": get + b"\x0f",
        "option delta 15": get + b"\xf0",
        "cut option": get + b"\x05a",
        "number above 65535": get + b"\xe0\xff\xff",
        "reserved class": bytes([get[0], 0x21]) + get[2:],
        "response out of the blue": encode(CON, "2.05", 0x1234, b"t"),
    }
    silent = {
        "nothing": b"",
        "3 bytes": get[:3],
        "version 0": bytes([get[0] & 0x3F]) + get[1:],
        "version 2": bytes([get[0] ^ 0xC0]) + get[1:],
        "malformed NON": bytes([get[0] | 0x10]) + get[1:] + b"\xff",
        "acknowledgement": encode(ACK, "0.00", 0x1234),
        "reset": encode(RST, "0.00", 0x1234),
    }
    with Scm(tmp_path) as scm, scm.client() as client:
        for name, datagram in rejected.items():
            client.send(datagram)
            answer = client.receive()
            assert (answer.type, answer.code, answer.mid) == (RST, "0.00", 0x1234), name
            assert answer.size == 4, name
        for datagram in silent.values():
            client.send(datagram)
        assert client.get().code == "2.05", "nothing came before this answer"


def test_any_bytes_whatever_leave_the_server_serving_and_quiet(tmp_path, caplog, capfd):
    seed = 12345
    good = encode(NON, GET, 1, b"t", [*PATH, (URI_QUERY, QUERY.encode()), (17, b"\xfd\xe9")])
    with Scm(tmp_path) as scm, scm.client() as client:
        for n in range(1500):
            datagram = bytearray(good)
            for _ in range(n % 5):
                seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
                datagram[(seed >> 16) % len(datagram)] = seed >> 8 & 0xFF
            datagram[2:4] = n.to_bytes(2, "big")
            client.send(bytes(datagram[: (seed >> 4) % 120]))
            client.receive(0.0002)
        with Client(scm.address) as fresh:
            assert fresh.get().code == "2.05"
    noise = [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert not noise, noise[0].getMessage()
    assert capfd.readouterr() == ("", "")


def test_what_is_not_coap_over_tcp_or_websockets_ends_that_connection_only(tmp_path, caplog):
    csm, get = b"\x00\xe1", b"\x30\x01\xb1\xff\x01"  # a Uri-Path that is not UTF-8
    settings = {"tcp": ("127.0.0.1", 0), "ws": ("127.0.0.1", 0)}
    with Scm(tmp_path, **settings) as scm:
        with scm.client() as client:
            client.put("ue-0007", document(UE7))
        for hostile in (get, b"\x0f\x01" + b"a" * 15, b"\xf0\xff\xff\xff\xff\x01"):
            with socket.create_connection(scm.server.tcp_address, timeout=TIMEOUT_S) as stream:
                stream.sendall(csm + hostile)
                while stream.recv(4096):
                    pass
        host, port = scm.server.ws_address
        uri = f"ws://{host}:{port}/.well-known/coap"
        with websockets.sync.client.connect(uri, subprotocols=["coap"]) as stream:
            stream.send(csm)
            observe = encode(CON, GET, 0, b"o", [*PATH, (URI_PATH, b"ue-0007"), (6, b"")])
            stream.send(b"\x01" + observe[1:2] + observe[4:])
            assert [stream.recv(timeout=TIMEOUT_S)[1] for _ in range(2)] == [0xE1, 0x45]
            assert scm.n_observers() == 1
            stream.send(b"\x00\x01\xb1\xff")
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                while True:
                    stream.recv(timeout=TIMEOUT_S)
        deadline = time.monotonic() + TIMEOUT_S
        while scm.n_observers() and time.monotonic() < deadline:
            pass
        assert scm.n_observers() == 0
        idle = websockets.sync.client.connect(uri, subprotocols=["coap"])
        idle.recv(timeout=TIMEOUT_S)
        with pytest.raises(websockets.exceptions.InvalidStatus, match="404"):
            websockets.sync.client.connect(uri + "/x")
        with socket.create_connection(scm.server.tcp_address, timeout=TIMEOUT_S) as stream:
            stream.sendall(csm + b"\x00\x00" + b"\x01\x01a")
            answer = b""
            while b"\x84a" not in answer:  # 4.04 with our token
                answer += stream.recv(4096)
            after_csm = answer[2 + (answer[0] >> 4) :]
            assert after_csm[0] & 15 == 1, "the Empty message was answered"
            with scm.client() as client:
                assert client.get().code == "2.05"
    idle.close()  # only now: the server stopped with this connection open
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_port_that_is_taken_is_one_line_and_frees_what_was_bound(tmp_path):
    with Scm(tmp_path, tcp=("127.0.0.1", 0), ws=("127.0.0.1", 0)) as scm:
        server = scm.server
        for taken in (
            {"bind": server.address},
            {"tcp": server.tcp_address},
            {"ws": server.ws_address},
        ):
            with pytest.raises(ScmError, match=r"cannot bind 127\.0\.0\.1:.*in use"):
                Scm(tmp_path, **taken).__enter__()
        port = server.address[1]
    with pytest.raises(ScmError, match=r"cannot bind 192\.0\.2\.1:0"):
        Scm(tmp_path, bind=("192.0.2.1", 0)).__enter__()
    with pytest.raises(ScmError, match="cannot bind"):
        Scm(tmp_path, tcp=("192.0.2.1", 0), bind=("127.0.0.1", port)).__enter__()
    with Scm(tmp_path, bind=("127.0.0.1", port)) as scm, scm.client() as client:
        assert client.get().code == "2.05", "the port is free again"


def test_the_server_answers_from_the_address_that_was_asked(tmp_path):
    with Scm(tmp_path, bind=("0.0.0.0", 0)) as scm:
        for host in ("127.0.0.1", "127.0.0.77"):
            with Client((host, scm.address[1]), "127.0.0.5") as client:
                assert problem(client.get(QUERY)), host  # a connected socket takes no other


def test_a_kernel_without_ipv6_is_served_too(tmp_path, monkeypatch):
    monkeypatch.setattr(aiocoap_internals, "udp_server", lambda: aiocoap_internals.UdpServer4)
    with Scm(tmp_path) as scm, scm.client() as client:
        assert recipient(client.get(QUERY)) == UE7
        client.send(encode(CON, "0.00", 7))
        assert client.receive().type == RST
        client.send(encode(CON, GET, 8, b"t", PATH) + b"\xff")
        assert client.receive().type == RST
        with pytest.raises(ScmError, match="cannot bind"):
            Scm(tmp_path, bind=scm.address).__enter__()
    with pytest.raises(ScmError, match=r"cannot bind 0\.0\.0\.0:0"):
        Scm(tmp_path, bind=("0.0.0.0", 0)).__enter__()


def test_an_error_about_another_peer_ends_no_observation():
    """Linux reports an ICMP error at the next call of the socket, whomever that sends to."""
    sent, failing, errors = [], [1], []

    def sendmsg(buffers, ancillary, flags, address):
        if failing and failing.pop():
            raise ConnectionRefusedError
        sent.append((b"".join(buffers), address))

    manager = SimpleNamespace(dispatch_error=lambda *error: errors.append(error))

    async def made():
        return aiocoap_internals.UdpServer(manager, None, None)

    server = asyncio.run(made())
    sock = SimpleNamespace(sendmsg=sendmsg)
    server.transport = SimpleNamespace(get_extra_info=lambda name: sock)
    remote = SimpleNamespace(pktinfo=None, sockaddr=("::1", 5683, 0, 0))
    message = SimpleNamespace(remote=remote, encode=lambda: b"notification")
    server.send(message)
    assert sent == [(b"notification", remote.sockaddr)] and errors == []
    failing += [1, 1]
    server.send(message)
    assert len(sent) == 1 and errors[0][1] is remote, "twice: it is about this peer"


CSM, PING, PONG = b"\x00\xe1", b"\x00\xe2", b"\x00\xe3"


def connection(scm, host="127.0.0.1"):
    address = scm.server.tcp_address
    return socket.create_connection(address, timeout=TIMEOUT_S, source_address=(host, 0))


def is_closed(stream):
    """Read until the server closes the connection."""
    try:
        while stream.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def serves(stream):
    """Whether a request gets its answer on this connection."""
    stream.sendall(b"\x01\x01q")
    received = b""
    while b"\x84q" not in received:
        got = stream.recv(4096)
        if not got:
            return False
        received += got
    return True


def test_a_connection_without_a_message_is_closed_and_a_silent_one_is_pinged(tmp_path):
    # This client must reply within that time, however busy the machine is.
    idle = {"connection_idle_s": 0.2, "connection_reply_s": 1.0}
    with Scm(tmp_path, tcp=("127.0.0.1", 0), ws=("127.0.0.1", 0), **idle) as scm:
        with connection(scm) as mute, connection(scm) as silent, connection(scm) as alive:
            silent.sendall(CSM)
            alive.sendall(CSM)
            assert is_closed(mute)
            for n in range(3):
                received = b""
                while PING not in received:
                    received += alive.recv(100)
                alive.sendall(PONG)
            assert is_closed(silent)
            assert serves(alive)
            half = b"\xd0\x10"  # a message that never ends: its bytes are no sign of life
            for i in range(100):
                try:
                    alive.sendall(half[i : i + 1] or b"x" if i < 20 else b"")
                except (BrokenPipeError, ConnectionResetError):
                    break
                time.sleep(0.02)
            assert is_closed(alive)
        host, port = scm.server.ws_address
        uri = f"ws://{host}:{port}/.well-known/coap"
        with websockets.sync.client.connect(uri, subprotocols=["coap"]) as stream:
            stream.send(CSM)
            received = [stream.recv(timeout=TIMEOUT_S), stream.recv(timeout=TIMEOUT_S)]
            assert received[1] == PING
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                while True:
                    stream.recv(timeout=TIMEOUT_S)


def test_connections_are_limited_for_each_host_and_in_all_and_udp_goes_on(tmp_path):
    limits = {"max_connections": 4, "max_connections_of_host": 2}
    with Scm(tmp_path, tcp=("127.0.0.1", 0), ws=("127.0.0.1", 0), **limits) as scm:
        opened = [connection(scm) for _ in range(2)]
        for stream in opened:
            stream.sendall(CSM)
            assert serves(stream)
        assert is_closed(connection(scm)), "the third one of this host"
        others = [connection(scm, f"127.0.0.{n}") for n in (2, 3)]
        for stream in others:
            stream.sendall(CSM)
            assert serves(stream)
        assert serves(opened[1])
        host, port = scm.server.ws_address
        uri = f"ws://{host}:{port}/.well-known/coap"
        with websockets.sync.client.connect(
            uri, subprotocols=["coap"], source_address=("127.0.0.4", 0)
        ) as stream:
            assert stream.recv(timeout=TIMEOUT_S)[1] == 0xE1
            assert is_closed(opened[0]), "the one that was silent for longest"
            assert all(map(serves, [opened[1], *others]))
        with scm.client() as client:
            assert client.get().code == "2.05"
        for stream in (*opened, *others):
            stream.close()


def test_a_peer_that_does_not_read_is_not_read_from(tmp_path):
    with Scm(tmp_path, tcp=("127.0.0.1", 0)) as scm:
        with scm.client() as client:
            client.put("big", document(UE7, configName="x" * 3000))
        with socket.socket() as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect(scm.server.tcp_address)
            path = [(URI_PATH, part.encode()) for part in (*COLLECTION.split("/"), "big")]
            get = encode(CON, GET, 0, b"t", path)
            frame = bytes([0xD1, len(get) - 5 - 13, get[1]]) + get[4:]
            n_sent = 20_000
            stream.sendall(CSM + frame * n_sent)
            n_served = 0
            while n_served != scm.events.qsize():
                n_served = scm.events.qsize()
                time.sleep(0.5)
            assert n_served < n_sent
        with scm.client() as client:
            assert client.get(QUERY).code == "2.05"


def test_an_error_that_repeats_itself_is_one_line_a_minute():
    now, lines = [0.0], []
    faults = Faults(lines.append, lambda: now[0])
    for _ in range(3100):
        faults("out of system resource")
    faults("another one")
    assert lines == ["out of system resource", "another one"]
    now[0] = 61.0
    faults("out of system resource")
    assert lines[2:] == ["out of system resource (and 3099 more times)"]
    for n in range(1000):
        faults(f"kind {n}")
    faults("kind 999")
    assert len(lines) == 1003
