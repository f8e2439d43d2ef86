"""The end of a proxy between two peers: nothing of an exchange reaches the next one."""

import socket
import threading
import time

from scm_setup import ACK, CON, NON, RST, decode, encode
from proxy import ANSWER_S, Proxy


def peer():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(5)
    return made


def end_after(request, answer):
    """A proxy ends as its client does. answer: what the server makes of a request.

    Gives (messages, seconds that the end took).
    """

    def serve():
        datagram, remote = server.recvfrom(2048)
        time.sleep(0.1)
        if answer:
            server.sendto(answer(decode(datagram)), remote)

    with peer() as server, peer() as client:
        serving = threading.Thread(target=serve)
        serving.start()
        with Proxy(server.getsockname()) as proxy:
            client.sendto(request, proxy.address)
            begun = time.monotonic()
        took = time.monotonic() - begun
        serving.join()
    return [(up, m.type, m.code) for up, m in proxy.passed()], took


def test_what_a_client_sends_as_it_ends_is_forwarded_and_its_answer_awaited():
    request = encode(NON, "0.01", 7, b"t", [(6, b"\x01")])
    passed, _ = end_after(request, lambda m: encode(NON, "2.05", 9, m.token, []))
    assert passed == [(True, NON, "0.01"), (False, NON, "2.05")]


def test_a_reset_is_an_answer():
    request = encode(NON, "0.01", 7, b"t", [])
    passed, took = end_after(request, lambda m: encode(RST, "0.00", m.mid, b"", []))
    assert passed[-1] == (False, RST, "0.00") and took < ANSWER_S


def test_an_acknowledgement_alone_is_no_answer_and_the_wait_for_one_ends():
    request = encode(CON, "0.01", 7, b"t", [])
    passed, took = end_after(request, lambda m: encode(ACK, "0.00", m.mid, b"", []))
    assert passed[-1] == (False, ACK, "0.00") and took >= ANSWER_S
