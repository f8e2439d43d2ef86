"""A UE, a relay and the configuration management server on loopback, to be measured."""

import json
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.process import Process
from msgin5g_tools.paths import ROOT
from msgin5g_tools.scm_server.store import Store

UE_ID = "urn:x-msgin5g:ue:0000007"  # 24 characters
RECIPIENT = "coap://scm"  # a short one, as sites that count bytes choose it: each request has it
DEFAULT_RECIPIENT = "coap://scm.example"
_DOCUMENT_ID = "doc-0007"
_SERVICE = "msgin5g"
_START_S = 20
_FETCH_S = 10


def _document(host):
    """A document with about 100 characters of configuration."""
    data = {
        "MSGin5G-Server-address": f"coap://{host}.example:5683",
        "MSGin5G-UE-Service-id": "user-7@example.com",
    }
    return {
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [UE_ID]},
        "ueConfigs": [
            {
                "configType": "ON_NETWORK",
                "configData": json.dumps(data, separators=(",", ":")),
            }
        ],
    }


def free_ports(n):
    """n free UDP ports of 127.0.0.1."""
    with ExitStack() as stack:
        ports = []
        for _ in range(n):
            found = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            found.bind(("127.0.0.1", 0))
            ports.append(found.getsockname()[1])
        return ports


class Loopback:
    """`with Loopback(interpreter) as loopback:` server and relay run.

    interpreter: with the files that are measured. recipient: the server's URI for relay and UE.
    """

    def __init__(self, interpreter, recipient=RECIPIENT):
        self._interpreter = interpreter
        self._recipient = recipient
        self._stack = ExitStack()

    def __enter__(self):
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._db = self._folder / "scm.db"
            self.change("msgin5g")
            server = stack.enter_context(self._server())
            bound = server.event("started", _START_S)["bind"]
            self._ue_address, relay_address = (["127.0.0.1", port] for port in free_ports(2))
            settings = {
                "role": "relay",
                "ue_id": "urn:x-msgin5g:relay:1",
                "bind": relay_address,
                "server": {
                    "recipient": self._recipient,
                    "address": ["127.0.0.1", int(bound.rpartition(":")[2])],
                },
                "links": {UE_ID: self._ue_address},
            }
            command = self._role("relay", "192K", settings)
            relay = stack.enter_context(Process("relay", command))
            relay.event("started", _START_S)
            self._relay_address = relay_address
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _server(self):
        command = [
            sys.executable,
            "-c",
            "from msgin5g_tools.cli import main; main()",
            "scm-server",
        ]
        command += ["--bind", "127.0.0.1:0", "--db", str(self._db), "--json"]
        return Process("scm-server", command, cwd=ROOT)

    def _role(self, name, heap, settings, program="role", more=()):
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(settings))
        state = self._folder / f"{name}.state"
        shutil.rmtree(state, ignore_errors=True)  # every run is a first one
        state.mkdir()
        return self._interpreter.command(program, heap, path, state, *more)

    def _ue_settings(self, observe):
        return {
            "ue_id": UE_ID,
            "bind": self._ue_address,
            "next_hop": self._relay_address,
            "server": {"recipient": self._recipient},
            "start_delay_s": 0,
            "apply_interval_s": 0,
            "observe": observe,
        }

    def change(self, host):
        """Give the UE another document; a running server notices within a second."""
        with Store(self._db, create=True) as store:
            store.put(_SERVICE, _DOCUMENT_ID, _document(host))

    def fetched(self, heap):
        """Whether a UE with `heap` bytes of heap fetches and applies its configuration."""
        command = self._role("ue", heap, self._ue_settings(True), more=("once",))
        try:
            with Process("ue", command) as ue:
                applied = any(e.get("event") == "applied" for e in ue.objects(_FETCH_S))
                return applied and ue.status() == 0
        except BenchError:
            return False

    def watch(self, observe, n_outcomes, push_after=None):
        """What the UE of programs/ue.py prints, a list, until it has had n_outcomes.

        push_after: the outcome after which the document is changed.
        """
        more = (n_outcomes,)
        settings = self._ue_settings(observe)
        command = self._role("ue", "192K", settings, "ue", more)
        found = []
        n = 0
        with Process("ue", command) as ue:
            for item in ue.objects(_START_S):
                found.append(item)
                n += item.get("event") in ("applied", "unchanged")
                if n == push_after and item.get("event"):
                    self.change("changed")
        if n < n_outcomes:
            raise BenchError("ue: has ended before it had its configuration")
        return found
