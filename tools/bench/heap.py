"""The heap that a role takes: idle, and the smallest in which it does its work.

Measured on the 64-bit Unix port, from .mpy files or from a ROMFS image, with the role's own
modules and a fake network (programs/idle_heap.py). A UE fetches and applies its configuration; a
relay or a gateway with eight linked UEs gets one of them its configuration.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import cbor2

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.interpreter import PROGRAMS
from msgin5g_tools.build.modules import import_graph
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.paths import FIRMWARE

# A 32-bit board takes this share of the Unix port's figures (0.68 was measured on a Pico W).
SHARE_OF_32_BIT = 0.7

_UE_ID = "urn:x-msgin5g:ue:0007"
_LINKED_ID = "urn:x-msgin5g:ue:0002"  # of 127.0.0.2, see idle_heap.py
_RECIPIENT = "coap://scm.example"
_AMPLE = 256 << 10  # a role keeps less in a tight heap
_PADDINGS = (0, 7, 42)  # bytes of an environment variable
_TIMEOUT_S = 30
_RESOLUTION = 256  # bytes, of the smallest heap
_REPEATS = 3
_SERVER = {"recipient": _RECIPIENT, "address": ["127.0.0.1", 9]}
_SETTINGS = {
    "ue": {"ue_id": _UE_ID, "next_hop": ["127.0.0.1", 9], "start_delay_s": 0},
    "relay": {"ue_id": "urn:x-msgin5g:relay:1", "server": _SERVER},
    "gateway": {"ue_id": "urn:x-msgin5g:gateway:1", "server": _SERVER, "bulk": {"window_s": 1}},
}


def idle_heap(role, firmware):
    """Bytes of heap that the role takes above the bare interpreter when its work is done.

    firmware: a folder of .mpy files or a ROMFS image. A word that an earlier call has left on the
    stack can look like a reference and keep an object alive until a later collection. So this is
    the least of some runs, whose stacks lie elsewhere.
    """
    return min(_work_of(role, firmware, _AMPLE, padding)["heap"] for padding in _PADDINGS)


def loaded_modules(role, firmware):
    """The modules of the package that are loaded in an idle role, imported ones first."""
    loaded = set(_work_of(role, firmware, _AMPLE, more=("modules",))["modules"])
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
    bare = _work_of(role, firmware, _AMPLE)["bare"]

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


def _work_of(role, firmware, heap, padding=0, more=()):
    """What idle_heap.py prints, as a dict; BenchError when the role did not do its work.

    more: ("modules",) for the list of the loaded modules.
    """
    with tempfile.TemporaryDirectory() as directory:
        _write_inputs(Path(directory), role)
        firmware = Path(firmware)  # a short relative path: the length of a path takes heap
        command = [interpreter_command(), "-X", f"heapsize={heap}"]
        command += [str(PROGRAMS / "idle_heap.py")]
        command += [firmware.name if firmware.is_file() else ".", directory, *more]
        try:
            done = subprocess.run(
                command,
                cwd=firmware.parent if firmware.is_file() else firmware,
                env={**os.environ, "PADDING": "x" * padding},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{role}: timed out after {_TIMEOUT_S} s in {heap} bytes") from None
    found = {}
    for line in done.stdout.split("\n"):
        if line.startswith('{"heap"'):
            found.update(json.loads(line))
        elif line.startswith('["msgin5g'):
            found["modules"] = json.loads(line)
    worked = "applied" in done.stdout if role == "ue" else found.get("served")
    if "heap" not in found or not worked:
        raise BenchError(f"{role}: did not do its work in {heap} bytes of heap: "
                         f"{done.stdout}{done.stderr}")  # fmt: skip
    return found


def _write_inputs(directory, role):
    settings = {"role": role, "bind": ["127.0.0.1", 0], **_SETTINGS[role]}
    asking = _UE_ID
    if role != "ue":  # a small site
        asking = _LINKED_ID
        settings["links"] = {
            f"urn:x-msgin5g:ue:{n:04}": [f"127.0.0.{n}", 65401] for n in range(2, 10)
        }
        (directory / "request").write_bytes(_request(asking))
    (directory / "settings.json").write_text(json.dumps(settings))
    (directory / "answer").write_bytes(_answer(asking, [_document(asking)]))
    (directory / "observed").write_bytes(_answer(asking, _document(asking), b"\x21\x01"))


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
