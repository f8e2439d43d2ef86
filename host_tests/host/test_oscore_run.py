"""OSCORE with real interpreters: a UE, a relay without a key, and a server with one."""

import json
import random
import socket
import subprocess
import threading
import time

import pytest
from addresses import network
from builders import DATA, document
from msgin5g_testkit.checks import xorshift
from key_search import keys_of, pieces_shown
from msgin5g_testkit.security import Numbers
from msgin5g_testkit.servers import Server
from msgin5g.oscore.server import ServerSecurity

from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.sequence_store import SequenceStore
from msgin5g.port.flash import Flash
from msgin5g_tools.commands.run import command_of

UE_ID = "urn:x-msgin5g:ue:0007"
SECRET = bytes.fromhex("a9d1c7530be4f8126dc3905e7af1b268")
NET = network()
UE, RELAY = NET + "2", NET + "3"
FAST = {"ack_timeout_ms": 100}
_MASK = 0x3FFFFFFF


def now_ms():
    return int(time.monotonic() * 1000) & _MASK


class ServerThread(threading.Thread):
    """The simulator's server on a real socket; a part of what it gets and sends is lost."""

    def __init__(self, documents, loss_percent):
        super().__init__(daemon=True)
        self.server = Server(xorshift(9), documents)
        context = SecurityContext(SECRET, b"\x01", b"\x07", Numbers())
        context.peer = UE_ID.encode()
        security = ServerSecurity(65020)
        security.contexts[b"\x07"] = context
        self.server.endpoint.security = security
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NET + "4", 0))
        self.socket.settimeout(0.02)
        self.seen = []
        self._loss_percent = loss_percent
        self._random = random.Random(3)
        self.ends = False

    def _is_lost(self):
        return self._random.randrange(100) < self._loss_percent

    def run(self):
        while not self.ends:
            try:
                datagram, remote = self.socket.recvfrom(2000)
                self.seen.append(datagram)
                if not self._is_lost():
                    self.server.receive(0, datagram, remote, now_ms())
            except TimeoutError:
                pass
            self.server.step(now_ms())
            while True:
                out = self.server.transmit(now_ms())
                if out is None:
                    break
                if not self._is_lost():
                    self.socket.sendto(bytes(out[1]), out[2])
        self.socket.close()


def write(folder, name, values):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(values))
    return path


def check_not_shown(printed):
    assert not pieces_shown(keys_of(SECRET, b"\x07", b"\x01"), printed)


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_a_ue_is_configured_end_to_end_through_a_relay_and_no_key_is_shown(tmp_path, interpreter):
    large = DATA[:-1] + ',"x":"' + "y" * 20000 + '"}'
    thread = ServerThread({UE_ID: document(UE_ID, large)}, 20)
    relay = write(tmp_path / "relay", "settings.json", {
        "role": "relay", "ue_id": "urn:x-msgin5g:relay:1", "bind": [RELAY, 65401],
        "server": {"address": list(thread.socket.getsockname())},
        "links": {UE_ID: [UE, 65401]}, "transmission": FAST,
    })  # fmt: skip
    ue = write(tmp_path / "ue", "settings.json", {
        "ue_id": UE_ID, "bind": [UE, 65401], "next_hop": [RELAY, 65401], "start_delay_s": 0,
        "security": {"mode": "oscore"}, "transmission": FAST, "max_document_size": 30000,
        "retry": {"first_s": 1},
    })  # fmt: skip
    keys = {"master_secret": SECRET.hex(), "sender_id": "07", "recipient_id": "01"}
    write(tmp_path / "ue", "secrets.json", {"security": keys})
    command = command_of(ue, ue.parent, interpreter, "384K", once=True, trace=True)

    # Without numbers the key is not used.
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and "have no numbers for this key" in done.stdout
    check_not_shown(done.stdout + done.stderr)

    sender_key = SecurityContext(SECRET, b"\x07", b"\x01", None).sender_key
    assert SequenceStore(Flash(str(ue.parent), StorageError), sender_key, b"").create()
    thread.start()
    process = subprocess.Popen(
        command_of(relay, relay.parent, interpreter, as_json=True),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(process.stdout.readline())["event"] == "started"
        for name in ("applied", "unchanged"):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
            assert f"\n{name} " in done.stdout
            check_not_shown(done.stdout + done.stderr)
    finally:
        process.send_signal(2)
        printed = process.communicate(timeout=30)[0]
        thread.ends = True
        thread.join()
    check_not_shown(printed)
    assert not [d for d in thread.seen if b"ue-uri" in d or b"yyyy" in d]
    assert "oscore_replay" not in thread.server.counters
    assert "oscore_not_authentic" not in thread.server.counters
