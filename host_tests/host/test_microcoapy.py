"""Programs written for microCoAPy run unchanged, on both interpreters, against libcoap."""

import re
import socket
import subprocess
import sys
import time

import pytest
from addresses import port

from msgin5g_tools.paths import FIRMWARE, ROOT, SHIM
from msgin5g_tools.commands.run import interpreter_command

_PROGRAMS = ROOT / "host_tests" / "support" / "programs"
_START = "import sys; sys.path[:0] = {}; sys.argv[:] = {!r}; exec(open({!r}).read())"


@pytest.fixture(params=["micropython", "cpython"])
def start(request):
    """A function that starts one of the programs."""
    started = []

    def start_program(name, *arguments):
        argv = [name, *map(str, arguments)]
        file = str(_PROGRAMS / f"{name}.py")
        if request.param == "cpython":
            code = _START.format([str(SHIM), str(FIRMWARE)], argv, file)
            command = [sys.executable, "-u", "-c", code]
        else:
            code = _START.format([str(FIRMWARE)], argv, file)
            command = [interpreter_command(), "-X", "heapsize=192K", "-c", code]  # a board
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    yield start_program
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def libcoap():
    """A function that starts libcoap's server and gives its port."""
    started = []

    def start_server(*arguments):
        at = port()
        command = ["coap-server-notls", "-A", "127.0.0.1", "-p", str(at), "-d", "9"]
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started.append(process)
        time.sleep(0.1)
        return at

    yield start_server
    for process in started:
        process.kill()
        process.wait()


def said(process):
    return process.communicate(timeout=40)[0].decode().replace("bytearray(", "").split("\n")


def ask(at, *arguments):
    done = subprocess.run(
        [
            "coap-client-notls",
            "-B",
            "9",
            *arguments[:-1],
            f"coap://127.0.0.1:{at}{arguments[-1]}",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def client_lines(lines):
    """The answers without what differs from run to run."""
    return [re.sub(r"messageid: \d+", "messageid: N", line) for line in lines if "type" in line]


def test_a_client_asks_in_every_way(start, libcoap):
    lines = said(start("coap_client", libcoap(), port()))
    assert lines.count("sent True") == 11 and lines.count("polled True") == 10, lines
    assert lines[-3:] == ["seen 3 3", "sent False", ""], lines
    answers = client_lines(lines)
    assert answers[:7] == [
        "type: ACK, method: 2.01, messageid: N, payload: b'' from 127.0.0.1 True",
        "type: ACK, method: 2.05, messageid: N, payload: b'first' from 127.0.0.1 True",
        "type: NONCON, method: 2.05, messageid: N, payload: b'first' from 127.0.0.1 True",
        "type: NONCON, method: 2.04, messageid: N, payload: b'' from 127.0.0.1 True",
        "type: ACK, method: 2.05, messageid: N, payload: b'second' from 127.0.0.1 True",
        "type: ACK, method: 2.01, messageid: N, payload: b'' from 127.0.0.1 True",
        "type: ACK, method: 2.02, messageid: N, payload: b'' from 127.0.0.1 True",
    ]
    assert "4.04" in answers[7]  # a question mark belongs to the segment, as it always did
    assert answers[8].startswith("type: CON, method: 2.05") and "done" in answers[8]
    assert "</async>" in answers[9]
    at = lines.index("looped False")  # nothing has come; then it waits for what does
    assert lines[at + 1] == "sent True" and lines[at + 3] == "looped True"
    assert client_lines(lines[at:])[0].startswith("type: NONCON, method: 2.04")


@pytest.mark.parametrize("start", ["micropython"], indirect=True)
def test_lost_answers_are_asked_for_again(start, libcoap):
    lines = said(start("coap_client", libcoap("-l", "1"), port()))
    assert lines.count("polled True") == 10, lines
    assert "method: 2.0" in client_lines(lines)[0] and "b'first'" in client_lines(lines)[1]


def test_a_server_answers_libcoap(start):
    at = port()
    server = start("coap_server", at)
    assert server.stdout.readline() == b"started\n"
    assert ask(at, "-m", "get", "/current/measure") == "222"
    assert ask(at, "-N", "-m", "get", "/current/measure") == "222"
    assert ask(at, "-m", "put", "-e", "on", "-t", "text", "/led/turnOn") == ""
    assert ask(at, "-m", "get", "/measure/current").startswith("4.04")
    assert ask(at, "-m", "get", "/slow") == "at last"
    known = ask(at, "-m", "get", "/.well-known/core")
    assert known == "</current/measure>,</led/turnOn>,</slow>"
    server.kill()
    lines = said(server)
    assert [line.split(", messageid")[0] for line in lines[:3]] == [
        "measure type: CON, method: 0.01",
        "measure type: NONCON, method: 0.01",
        "turnOn on 0",
    ]


def test_nothing_that_arrives_stops_a_server(start):
    """Short datagrams, other versions, unknown paths, names that are not UTF-8, repetitions."""
    at = port()
    server = start("coap_server", at)
    assert server.stdout.readline() == b"started\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(20)
        peer.connect(("127.0.0.1", at))
        for datagram in (b"", b"\x40", b"\x40\x01\x00", b"\xff" * 40, b"\x49\x01\x00\x01\xff"):
            peer.send(datagram)
        peer.send(b"\x40\x01\x00\x07\xb2\xc3\x28")  # GET with a segment that is not UTF-8
        answers = [peer.recv(99)]
        while answers[-1][2:4] != b"\x00\x07":
            answers.append(peer.recv(99))
        assert answers[-1] == b"\x60\x84\x00\x07"
        request = b"\x41\x01\x00\x09T\xb7current\x07measure"
        for _ in range(3):
            peer.send(request)
            assert peer.recv(99) == b"\x61\x45\x00\x09T\xff222"
        for mid in range(20, 40):  # more that wait than are remembered: the newest is served
            peer.send(b"\x40\x01\x00" + bytes([mid]) + b"\xb4slow")
        peer.send(b"\x40\x01\x00\x10\xb7current\x07measure")
        while peer.recv(99) != b"\x60\x45\x00\x10\xff222":
            pass
    server.kill()
    assert sum(line.startswith("measure") for line in said(server)) == 2


def test_sockets_of_a_programs_own(start):
    lines = said(start("coap_custom"))
    assert lines == [
        "type: ACK, method: 2.05 ('192.0.2.7', 5683)",
        "b'hello'",
        "sent True True",
        "the same again 2 True",
        "type: ACK, method: 2.05 ('192.0.2.7', 5683)",
        "b'hello'",
        "sent True True",
        "the same again 1 True",
        "type: ACK, method: 2.05 ('192.0.2.7', 5683)",
        "b'hello'",
        "sent True True",
        "the same again 1 True",
        "dead 0",
        "",
    ]
