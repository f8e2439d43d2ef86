"""The heap that a role takes: idle, and the smallest in which it does its work.

Measured on the 64-bit Unix port, from .mpy files or from a ROMFS image, with the role's own
modules (programs/idle_heap.py); its peers are sockets of this process, on loopback. A UE fetches
and applies its configuration; a relay or a gateway with eight linked UEs gets one of them its
configuration.
"""

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import cbor2

from msgin5g_tools import streams
from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.interpreter import PROGRAMS
from msgin5g_tools.build.modules import import_graph
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.paths import FIRMWARE

# A 32-bit board takes this share of the Unix port's figures (0.68 was measured on a Pico W).
SHARE_OF_32_BIT = 0.7

_UE_ID = "urn:x-msgin5g:ue:0007"
_LINKED_ID = "urn:x-msgin5g:ue:0002"
_RECIPIENT = "coap://scm.example"
_AMPLE = 256 << 10  # a role keeps less in a tight heap
_AMPLE_BESIDE_IMAGE = 128 << 10  # an image lies in the heap, too: in flash on a board
_PADDINGS = (0, 7, 42)  # bytes of an environment variable
_QUIET_S = 0.2  # without a datagram: the role is idle
_PATIENCE_S = 2  # without a datagram: the role has failed, and waits to try again
_REPEAT_S = 0.05  # until the role listens, the linked UE sends its request again
_MAX_INTERRUPTS = 10
_RESOLUTION = 256  # bytes, of the smallest heap
_REPEATS = 3
_GET = 1
_CONTENT = 0x45  # 2.05
_OBSERVE = b"\x60"  # the first option of a registration: number 6, no bytes
_CON, _ACK = 0x40, 0x60
_SETTINGS = {
    "ue": {"ue_id": _UE_ID, "start_delay_s": 0},
    "relay": {"ue_id": "urn:x-msgin5g:relay:1"},
    "gateway": {"ue_id": "urn:x-msgin5g:gateway:1", "bulk": {"window_s": 1}},
}


def idle_heap(role, firmware):
    """Bytes of heap that the role takes above the bare interpreter when its work is done.

    firmware: a folder of .mpy files or a ROMFS image. A word that an earlier call has left on the
    stack can look like a reference and keep an object alive until a later collection. So this is
    the least of some runs, whose stacks lie elsewhere.
    """
    ample = _ample(firmware)
    return min(_work_of(role, firmware, ample, padding)["heap"] for padding in _PADDINGS)


def _ample(firmware):
    """A heap in which a role works, whatever the size of its image."""
    image_size = os.path.getsize(firmware) if os.path.isfile(firmware) else 0
    return max(_AMPLE, image_size + _AMPLE_BESIDE_IMAGE)


def loaded_modules(role, firmware):
    """The modules of the package that are loaded in an idle role, imported ones first."""
    loaded = set(_work_of(role, firmware, _AMPLE)["modules"])
    graph = import_graph(FIRMWARE)
    order = []

    def add(module):
        if module in loaded and module not in order:
            for found in graph[module]:
                if not found.lazy:
                    add(found.target)
            order.append(module)

    for module in sorted(loaded):
        add(module)
    return order


def smallest_heap(role, firmware):
    """The smallest heap in bytes in which the role does its work, above the bare interpreter.

    The start is its largest moment: the modules that only start-up needs are loaded then, too.
    """
    bare = _work_of(role, firmware, _ample(firmware))["bare"]

    def works(size):
        try:
            _work_of(role, firmware, size + bare)
        except BenchError:
            return False
        return True

    found = smallest(works, 24 << 10, _AMPLE)
    if found is None:
        raise BenchError(f"{role}: does not work in {_AMPLE} bytes of heap")
    return found


def smallest(works, low, high):
    """The smallest size from which on `works(size)`, to _RESOLUTION bytes; None above `high`.

    Where free memory is in pieces a size may work and a larger one fail. So the size that is found
    must work _REPEATS times, and so must the sizes just above it.
    """
    if not works(high):
        return None
    while high - low > _RESOLUTION:
        middle = (low + high) // 2 // _RESOLUTION * _RESOLUTION
        if works(middle):
            high = middle
        else:
            low = middle
    size = high
    n = 0
    while n < _REPEATS:
        if works(size + n * _RESOLUTION):
            n += 1
        else:
            size += (n + 1) * _RESOLUTION
            n = 0
    return size


def _work_of(role, firmware, heap, padding=0):
    """What idle_heap.py prints, as a dict; BenchError when the role did not do its work."""
    with tempfile.TemporaryDirectory() as directory, _Network(role) as network:
        settings = json.dumps(network.settings)
        (Path(directory) / "settings.json").write_text(settings)
        firmware = Path(firmware)  # a short relative path: the length of a path takes heap
        command = [interpreter_command(), "-X", f"heapsize={heap}"]
        command += [str(PROGRAMS / "idle_heap.py")]
        command += [firmware.name if firmware.is_file() else ".", directory]
        process = subprocess.Popen(
            command,
            cwd=firmware.parent if firmware.is_file() else firmware,
            env={**streams.utf8_environment(), "PADDING": "x" * padding},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **streams.UTF8,
        )
        try:
            network.serve(process)
            output = _interrupt(process)
        finally:
            process.kill()
            process.wait()
    found = {}
    for line in output.split("\n"):
        word, *rest = line.split(" ")
        if word == "heap":
            found["bare"], found["heap"] = map(int, rest)
        elif word == "modules":
            found["modules"] = rest
    worked = network.served and (role != "ue" or "applied" in output)
    if "modules" not in found or not worked:
        raise BenchError(f"{role}: did not do its work in {heap} bytes of heap: {output}")
    return found


def _interrupt(process):
    """Interrupt the program, as Ctrl-C does, until it ends; its output."""
    for _ in range(_MAX_INTERRUPTS):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=1)[0]
        except subprocess.TimeoutExpired:  # the signal came just before the program waited
            pass
    raise BenchError(f"timed out after {_MAX_INTERRUPTS} s and as many interrupts")


class _Network:
    """The peers of a role, on loopback: the server, and one of its linked UEs.

    `settings`: those of the role. `served`: whether the UE has registered as an observer, or the
    role has sent the linked UE its configuration.
    """

    def __init__(self, role):
        self.served = False
        self._role = role
        self._server = _udp_socket()
        self._linked = _udp_socket()
        self._asked_at = None  # when the linked UE sent its request
        self._answered = role == "ue"  # no request of a linked UE is to be sent again
        with _udp_socket() as unused:
            self._remote = unused.getsockname()
        self.settings = {"role": role, "bind": self._remote, **_SETTINGS[role]}
        server = self._server.getsockname()
        ue_id = _UE_ID
        if role == "ue":
            self.settings["next_hop"] = server
        else:  # a small site; nobody has the other seven ports
            ue_id = _LINKED_ID
            self.settings["server"] = {"recipient": _RECIPIENT, "address": server}
            links = {f"urn:x-msgin5g:ue:{n:04}": ["127.0.0.1", n] for n in range(2, 10)}
            self.settings["links"] = {**links, _LINKED_ID: self._linked.getsockname()}
            self._request = _request(ue_id)
        self._collection = _answer(ue_id, [_document(ue_id)])
        self._observed = _answer(ue_id, _document(ue_id), b"\x21\x01")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.close()
        self._linked.close()

    def serve(self, process):
        """Play the peers until the role is idle, or ended, or has failed."""
        last_at = time.monotonic()
        while process.poll() is None:
            now = time.monotonic()
            if now - last_at > (_QUIET_S if self.served else _PATIENCE_S):
                break
            if not self._answered and now - (self._asked_at or 0) > _REPEAT_S:
                self._asked_at = now
                self._linked.sendto(self._request, self._remote)
            readable, _, _ = select.select([self._server, self._linked], [], [], _REPEAT_S)
            for peer in readable:
                last_at = time.monotonic()
                datagram, remote = peer.recvfrom(2048)
                if peer is self._server:
                    self._serve_request(datagram, remote)
                else:
                    self._take_response(datagram, remote)

    def _serve_request(self, datagram, remote):
        """Answer a GET; see RFC 7252 section 3 for the octets."""
        token_size = datagram[0] & 15
        if datagram[1] == _GET:
            end = 4 + token_size
            registers = datagram[end : end + 1] == _OBSERVE
            head = bytes([_ACK | token_size, _CONTENT]) + datagram[2:end]
            answer = self._observed if registers else self._collection
            self._server.sendto(head + answer, remote)
            self.served |= registers and self._role == "ue"

    def _take_response(self, datagram, remote):
        self._answered = True
        if datagram[1]:
            self.served = datagram[1] == _CONTENT
            if datagram[0] & 0x70 == _CON:
                self._linked.sendto(bytes([_ACK, 0]) + datagram[2:4], remote)


def _udp_socket():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    return udp


def _document(ue_id):
    """The document that configures the UE."""
    data = {
        "MSGin5G-Server-address": "coap://msgin5g.example:5683",
        "MSGin5G-UE-Service-id": "user-7@example.com",
    }
    return {
        "ueConfigDocId": "doc-1",
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [ue_id]},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": json.dumps(data)}],
    }


def _answer(ue_id, content, observe=b""):
    """Options and payload of a 2.05; observe: the Observe option as it follows an ETag."""
    return (
        b"\x44abcd"  # ETag
        + observe
        + (b"\x62\xfd\xe9" if observe else b"\x82\xfd\xe9")  # Content-Format 65001
        + _recipient(ue_id, 12)
        + b"\xff"
        + cbor2.dumps(content)
    )


def _request(ue_id):
    """A confirmable GET of the configurations of one UE."""
    head = b"\x44\x01\x12\x34abcd"
    path = b"".join(
        _option(11 if i == 0 else 0, part)
        for i, part in enumerate(
            (b"su-uc", b"v1", b"val-services", b"msgin5g", b"ue-configurations")
        )
    )
    query = _option(4, b"ue-uri=" + ue_id.encode())
    return head + path + query + _option(2, b"\xfd\xe9") + _recipient(_RECIPIENT, 17)


def _recipient(uri, before):
    return _option(65020 - before, uri.encode())


def _option(delta, value):
    """One option: its number as the distance from the one before (RFC 7252 section 3.1)."""
    head, extended = 0, b""
    for shift, number in ((4, delta), (0, len(value))):
        if number < 13:
            head |= number << shift
        elif number < 269:
            head |= 13 << shift
            extended += bytes([number - 13])
        else:
            head |= 14 << shift
            extended += (number - 269).to_bytes(2, "big")
    return bytes([head]) + extended + value
