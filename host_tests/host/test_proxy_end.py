"""The end of a proxy between two peers: nothing of an exchange reaches the next one."""

import socket
import threading

import proxy
import pytest

from scm_setup import ACK, CON, NON, RST, TIMEOUT_S, decode, encode
from proxy import Proxy


def peer():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(TIMEOUT_S)
    return made


def end_after(request, *answers):
    """The messages that a proxy passes whose client ends when it has sent a request.

    answers: what the server makes of it, each in a datagram of its own.
    """

    def serve():
        datagram, remote = server.recvfrom(2048)
        for answer in answers:
            has_ended.wait(0.1)
            server.sendto(answer(decode(datagram)), remote)

    has_ended = threading.Event()
    with peer() as server, peer() as client:
        serving = threading.Thread(target=serve)
        serving.start()
        with Proxy(server.getsockname()) as ending:
            client.sendto(request, ending.address)
        has_ended.set()
        serving.join()
    return [(up, m.type, m.code) for up, m in ending.passed()]


@pytest.fixture
def patient(monkeypatch):
    """It waits so long for an answer that the test fails."""
    monkeypatch.setattr(proxy, "ANSWER_S", 10 * TIMEOUT_S)


def not_found(message):
    return encode(NON, "4.04", 9, message.token, [])


def acknowledged(message):
    return encode(ACK, "0.00", message.mid, b"", [])


def test_what_a_client_sends_as_it_ends_is_forwarded_and_its_answer_awaited(patient):
    request = encode(NON, "0.01", 7, b"t", [(6, b"\x01")])
    assert end_after(request, not_found) == [(True, NON, "0.01"), (False, NON, "4.04")]


def test_a_reset_is_an_answer(patient):
    request = encode(NON, "0.01", 7, b"t", [])
    passed = end_after(request, lambda m: encode(RST, "0.00", m.mid, b"", []))
    assert passed == [(True, NON, "0.01"), (False, RST, "0.00")]


def test_an_acknowledgement_alone_is_no_answer(patient):
    request = encode(CON, "0.01", 7, b"t", [])
    passed = end_after(request, acknowledged, not_found)
    assert passed == [(True, CON, "0.01"), (False, ACK, "0.00"), (False, NON, "4.04")]


def test_the_wait_for_an_answer_ends(monkeypatch):
    monkeypatch.setattr(proxy, "ANSWER_S", 0.1)
    assert end_after(encode(CON, "0.01", 7, b"t", [])) == [(True, CON, "0.01")]
