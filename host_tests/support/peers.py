"""Real peers for the tests of this folder: roles on MicroPython, the configuration management
server, libcoap's programs. A `proxy.Proxy` records the messages between two of them.

Each has an address of its own (see addresses), so that all bind the ports that they bind in the
field. Each is a context manager that ends what it has started, and
waits for events, never for a time; a time-out is only how long a broken peer is given.
"""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import scm_setup
from addresses import host

from msgin5g_tools.commands.run import command_of, interpreter_command

TIMEOUT_S = 20
PORT = 65401
SERVER_URI = "coap://scm.example"
ROOT = Path(__file__).resolve().parent.parent.parent
# `transmission` of a role that repairs losses quickly, and does not time out by chance.
QUICK = {"ack_timeout_ms": 100, "max_retransmit": 8}


def program(name, package="libcoap3-bin"):
    """The path of a peer's program; without it, a test fails on CI and as root, or is skipped.

    package: Debian's, which has it.
    """
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed (Debian: {package})"
        if os.environ.get("CI") or os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def micropython():
    """The path of MicroPython, as `program`."""
    return program(interpreter_command())


def configuration(name="user-7"):
    """The configuration of a UE."""
    return {
        "MSGin5G-Server-address": "coap://msgin5g.example:5683",
        "MSGin5G-UE-Service-id": f"{name}@example.com",
    }


def document(ue_id=scm_setup.UE7, name="user-7", **more):
    """A UeConfigDoc with that configuration."""
    return scm_setup.configured(ue_id, configuration(name), **more)


class Process:
    """A child process; its lines of stdout and stderr are read one by one."""

    def __init__(self, command, **how):
        self._child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=ROOT,
            **how,
        )
        self.output = []
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def line(self, timeout_s=TIMEOUT_S):
        """The next line; AssertionError with all lines so far when it times out."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            line = None
        assert line is not None, "no more output after:\n" + "".join(self.output)
        return line

    def stop(self, how=signal.SIGTERM):
        """End it and wait for it; its exit status."""
        if self._child.poll() is None:
            self._child.send_signal(how)
        try:
            self._child.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise AssertionError("did not stop:\n" + "".join(self.output)) from None
        finally:
            self._reader.join(TIMEOUT_S)
            self._child.stdout.close()
        return self._child.returncode

    def signal(self, number):
        """Send it a signal."""
        self._child.send_signal(number)

    def kill(self):
        """End it as a power cut does."""
        self._child.kill()
        self._child.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._reader.join(TIMEOUT_S)
        self._child.stdout.close()
        if kind is not None:
            print("".join(self.output))  # pytest shows it beside the failure


class Role(Process):
    """A role on real MicroPython: `msgin5g run` without its parent. `events` are all so far."""

    def __init__(self, folder, settings, heap="192K", once=False):
        micropython()
        folder = Path(folder) / settings["bind"][0]
        folder.mkdir(exist_ok=True)
        path = folder / "settings.json"
        path.write_text(json.dumps(settings))
        self.events = []
        self.address = tuple(settings["bind"])
        super().__init__(command_of(path, folder, heap=heap, as_json=True, once=once))
        self.event("started")

    def event(self, *names, timeout_s=TIMEOUT_S):
        """The next event of one of these names; those before it are skipped."""
        while True:
            line = self.line(timeout_s)
            try:
                event = json.loads(line)
            except ValueError:
                self.kill()
                self._reader.join(TIMEOUT_S)  # for all of what is probably a traceback
                raise AssertionError("not an event:\n" + "".join(self.output)) from None
            self.events.append(event)
            if event["event"] in names:
                return event

    def is_silent(self):
        """Whether it has printed nothing that was not read."""
        return self._lines.empty()

    def counters(self):
        """Stop it; its counters."""
        self._child.send_signal(signal.SIGINT)
        counters = self.event("stopped")["counters"]
        self._child.wait(TIMEOUT_S)
        return counters


def ue(folder, next_hop, ue_id=scm_setup.UE7, heap="192K", **settings):
    """A constrained UE that requests at once; its next hop is (host, port)."""
    mine = settings.pop("host", None) or host()
    return Role(
        folder,
        {
            "role": "ue",
            "ue_id": ue_id,
            "bind": [mine, PORT],
            "next_hop": list(next_hop),
            "server": {"recipient": SERVER_URI},
            "start_delay_s": 0,
            "apply_interval_s": 0,
            "observe": False,
            **settings,
        },
        heap,
    )


def relay(folder, server, links, heap="192K", **settings):
    """A relay in a board's heap; links is {UE ID: (host, port)}, kept as `links`."""
    role = Role(
        folder,
        {
            "role": "relay",
            "ue_id": "urn:x-msgin5g:relay:1",
            "bind": [settings.pop("host", None) or host(), PORT],
            "server": {"recipient": SERVER_URI, "address": list(server)},
            "links": {ue_id: list(address) for ue_id, address in links.items()},
            "relay": {"max_rate": 500},  # many blocks a second
            **settings,
        },
        heap,
    )
    role.links = links
    return role


class ScmProcess(Process):
    """`msgin5g scm-server` as a process of its own; `address` is where it listens."""

    def __init__(self, folder, *options, bind=None):
        bind = bind or (host(), 5683)
        start = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "scm-server"]
        at = ["--bind", "%s:%d" % bind, "--db", Path(folder) / "scm.db"]
        super().__init__([*start, *at, "--recipient", SERVER_URI, "--json", *options])
        started = json.loads(self.line())
        assert started["event"] == "started", started
        self.address = bind

    def client(self):
        """A client whose messages the test makes."""
        return scm_setup.Client(self.address)

    def put(self, doc_id, made):
        with self.client() as client:
            assert client.put(doc_id, made).code in ("2.01", "2.04")

    def delete(self, doc_id):
        with self.client() as client:
            assert client.ask(scm_setup.DELETE, f"{scm_setup.COLLECTION}/{doc_id}").code == "2.02"


class LibcoapServer(Process):
    """libcoap's server, ready for requests."""

    def __init__(self, *options, address=None):
        self.address = address or (host(), 5683)
        super().__init__([program("coap-server-notls"), "-A", self.address[0], *options])
        self._wait()

    def _wait(self):
        # It prints nothing when it is ready, so ping it (RFC 7252 section 4.3).
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.05)
            for mid in range(400):
                try:
                    probe.sendto(bytes((0x40, 0, mid >> 8, mid & 255)), self.address)
                    return probe.recv(100)
                except OSError:
                    assert self._child.poll() is None, "".join(self.output)
        raise AssertionError("libcoap's server does not answer")


def coap_client(address, path, *options, timeout_s=TIMEOUT_S):
    """What libcoap's client prints about a request: bytes, the payload or the error code."""
    command = [program("coap-client-notls"), "-B", str(timeout_s), *map(str, options)]
    uri = f"coap://{address[0]}:{address[1]}/{path}"
    done = subprocess.run([*command, uri], capture_output=True, timeout=2 * TIMEOUT_S, check=True)
    return done.stdout + done.stderr
