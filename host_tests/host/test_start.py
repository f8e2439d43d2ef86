"""How a node starts: host names, sockets of a node that does not start, the watchdog."""

import json
import signal
import socket
import subprocess
import sys
import types
from contextlib import suppress

import pytest
from addresses import network, port
from scm_setup import Scm, configured

from msgin5g_testkit.shim import espnow
from msgin5g_testkit.shim import network as shim_network

import msgin5g.builder
from msgin5g import node
from msgin5g.builder import open_node
from msgin5g.settings import settings_of
from msgin5g_tools.commands.run import command_of

UE_ID = "urn:x-msgin5g:ue:0007"
DATA = {
    "MSGin5G-Server-address": "coap://msgin5g.example:5683",
    "MSGin5G-UE-Service-id": "user-7@example.com",
}
NET = network()
RELAY, FIRST, SECOND = NET + "3", NET + "5", NET + "6"
NEVER = "relay.invalid"  # RFC 6761: no DNS knows it
_RELAY = {"role": "relay", "ue_id": "urn:x:1", "server": {"address": ["127.0.0.1", 9]}}
_SEAL_C = {"mode": "separated", "bind": [SECOND, 65402], "peer": [NET + "7", 65402]}
_TEXT = "24:0a:c4:00:00:07"


@pytest.fixture(scope="module")
def scm(tmp_path_factory):
    with Scm(tmp_path_factory.mktemp("scm"), bind=("127.0.0.1", 0)) as server:
        doc = configured(UE_ID, DATA)
        server.call(lambda store: store.put("msgin5g", "ue-0007", doc))
        yield server


def written(folder, **values):
    path = folder / "settings.json"
    path.write_text(json.dumps(values))
    return path


def events_until(process, name):
    """The events of a process up to the first one of that name."""
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == name:
            break
    return events


def ended(process):
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    return [json.loads(line) for line in process.communicate(timeout=30)[0].splitlines()]


@pytest.mark.parametrize("beside", [None, "beside"])
@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_a_next_hop_with_a_host_name_is_asked(scm, tmp_path, interpreter, beside):
    (tmp_path / "beside.py").write_text("async def main(node):\n    pass\n")  # asyncio's loop
    settings = written(
        tmp_path,
        ue_id=UE_ID,
        bind=["127.0.0.1", 0],
        next_hop=["localhost", scm.address[1]],
        next_hop_is="server",
        start_delay_s=0,
        application=beside,
    )
    heap = "192K" if beside else None
    command = command_of(settings, tmp_path, interpreter, heap, as_json=True, once=True)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events[:2]] == ["started", "applied"], done


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_a_name_that_nobody_knows_is_an_event_and_the_node_runs_on(tmp_path, interpreter):
    settings = written(
        tmp_path, ue_id=UE_ID, bind=["127.0.0.1", 0], next_hop=[NEVER, 65401], start_delay_s=0
    )
    command = command_of(settings, tmp_path, interpreter, as_json=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert [e["event"] for e in events_until(process, "unresolved")] == [
                "started",
                "unresolved",
            ]
            assert process.poll() is None
        finally:
            rest = ended(process)
    assert rest == [{"event": "stopped", "counters": {}}]


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_one_bad_name_among_the_links_does_not_end_a_relay(scm, tmp_path, interpreter):
    at = port()  # on 127.0.0.1, the address of a name that is known everywhere
    links = {UE_ID: ["localhost", at], "urn:x:bad": [NEVER, 65401], "urn:x:8": [FIRST, 65401]}
    settings = written(
        tmp_path,
        role="relay",
        ue_id="urn:x:1",
        bind=[RELAY, 65401],
        server={"address": ["localhost", scm.address[1]]},
        links=links,
    )
    command = command_of(settings, tmp_path, interpreter, as_json=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            events = events_until(process, "unresolved")
            assert events[-1]["reasons"] == [f"links urn:x:bad: {NEVER}: not known"]
            ue = written(
                tmp_path,
                ue_id=UE_ID,
                bind=["127.0.0.1", at],
                next_hop=[RELAY, 65401],
                start_delay_s=0,
                observe=False,
            )
            done = subprocess.run(
                command_of(ue, tmp_path, interpreter, as_json=True, once=True),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert '"applied"' in done.stdout, done
        finally:
            ended(process)


@pytest.fixture
def sockets(monkeypatch):
    """The sockets that a builder has opened: here nothing else closes them."""
    bind = msgin5g.builder.bind
    opened = []

    def note(*address):
        opened.append(bind(*address))
        return opened[-1]

    monkeypatch.setattr("msgin5g.builder.bind", note)
    return opened


@pytest.mark.parametrize("role", ["gateway", "seal-c"])
def test_a_node_whose_second_socket_cannot_be_bound_leaves_none_open(
    tmp_path, capsys, role, sockets
):
    settings = {**_RELAY, "role": role, "bind": [FIRST, 65402], "seal_c": _SEAL_C}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((SECOND, 65402))
        assert open_node(settings_of(settings), str(tmp_path)) is None
    assert capsys.readouterr().out == f"bind: {SECOND}:65402: in use\n"
    assert [one.fileno() for one in sockets] == [-1] and node.current is None


def test_a_node_that_fails_in_any_way_leaves_no_socket_open(tmp_path, monkeypatch, sockets):
    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr("msgin5g.relay.Relay.__init__", no_memory)
    with pytest.raises(MemoryError):
        open_node(settings_of({**_RELAY, "bind": [FIRST, 65402]}), str(tmp_path))
    assert [one.fileno() for one in sockets] == [-1]


def test_a_node_that_does_not_start_switches_esp_now_off(tmp_path, monkeypatch, capsys):
    shim_network.reset("esp32", lambda: 0)
    espnow.reset()
    monkeypatch.setattr(espnow, "here", b"")
    monkeypatch.setitem(sys.modules, "network", shim_network)
    monkeypatch.setitem(sys.modules, "espnow", espnow)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((FIRST, 65402))
        peers = {"peers": {"urn:x:7": [_TEXT]}}
        settings = settings_of({**_RELAY, "bind": [FIRST, 65402], "espnow": peers})
        assert open_node(settings, str(tmp_path)) is None
    assert "in use" in capsys.readouterr().out and not espnow.boards[b""].is_active


def test_the_watchdog_runs_before_the_radios_and_the_sockets(tmp_path, monkeypatch, capsys):
    log = []

    class WDT:
        def __init__(self, timeout):
            log.append(("watchdog", timeout))

        def feed(self):
            pass

    def bind(*address):
        log.append("bind")
        raise TransportError("bind: in use")

    from msgin5g.port.resolver import TransportError

    machine = types.SimpleNamespace(WDT=WDT, reset_cause=lambda: 1)
    monkeypatch.setitem(sys.modules, "machine", machine)
    sys.modules.pop("msgin5g.services.watchdog", None)
    monkeypatch.setattr("msgin5g.builder.bind", bind)
    settings = settings_of({**_RELAY, "bind": [FIRST, 65402], "watchdog_s": 6})
    assert open_node(settings, str(tmp_path)) is None
    sys.modules.pop("msgin5g.services.watchdog", None)
    # A start-up that hangs is reset after a minute; a person at the prompt is not.
    assert log == [("watchdog", 6000), ("watchdog", 60000), "bind", ("watchdog", 3600000)]
