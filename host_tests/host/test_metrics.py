"""Figures and health over HTTP: the server, and roles on a host, as processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from addresses import network
from prometheus_client.parser import text_string_to_metric_families
from scm_setup import COLLECTION, CON, GET, OBSERVE, UE7, URI_PATH, Client, document, encode

from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.store import Store

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]
NET = network()
ROLE, SERVER, LINKED = NET + "2", NET + "3", NET + "8"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def running(*arguments):
    """(its first line, process, port of its metrics)."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--json", "--metrics", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(60, process.kill)  # then a line that never comes is an empty one
    guard.start()
    try:
        yield json.loads(process.stdout.readline()), process, port
    finally:
        guard.cancel()
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


def server(folder):
    return running("scm-server", "--bind", "127.0.0.1:0", "--db", folder / "scm.db")


def http(port, path, method="GET"):
    """(status, text)."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figures(port):
    """{(name, values of labels in the order of their names): value} of /metrics."""
    status, text = http(port, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def address(started):
    host, _, port = started["bind"].rpartition(":")
    return host, int(port)


def test_the_server_counts_requests_refusals_drops_and_what_it_has(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        store.put("msgin5g", "ue-0007", document(UE7))
        store.deny("urn:x:denied")
        Contexts(store).add(UE, UE7)
    with server(tmp_path) as (started, _, port), Client(address(started)) as client:
        path = [(URI_PATH, part.encode()) for part in f"{COLLECTION}/ue-0007".split("/")]
        get = encode(CON, GET, 1, b"t", [*path, (OBSERVE, b"")])
        for _ in range(2):  # the second one is a repetition
            client.send(get)
            assert client.receive().code == "2.05"
        assert client.get("ue-uri=urn:x:denied").code == "4.03"
        assert client.get("ue-uri=urn:x:nobody").code == "4.04"
        client.send(b"\x01")
        found = figures(port)
        assert found["msgin5g_scm_requests_total", "2.05", "GET"] == 1
        assert found["msgin5g_scm_requests_total", "4.03", "GET"] == 1
        assert found["msgin5g_scm_refusals_total", "4.03"] == 1
        assert found["msgin5g_scm_refusals_total", "4.04"] == 1
        assert found["msgin5g_scm_response_seconds_count",] == 3
        assert found["msgin5g_scm_response_seconds_bucket", "+Inf"] == 3
        assert found["msgin5g_scm_observers",] == found["msgin5g_scm_documents",] == 1
        assert found["msgin5g_scm_keys", "ue", "active"] == 1
        assert found["msgin5g_scm_drops_total", "duplicate"] == 1
        assert found["msgin5g_scm_drops_total", "malformed"] == 1
        assert found["msgin5g_scm_drops_total", "log_line"] == 0
        assert found["msgin5g_scm_database_up",] == 1
        with Store(tmp_path / "scm.db") as store:  # as `msgin5g documents import` does
            store.delete("msgin5g", "ue-0007")
        assert client.receive().code == "4.04"
        found = figures(port)
        assert found["msgin5g_scm_notifications_total", "4.04"] == 1
        assert found["msgin5g_scm_documents",] == found["msgin5g_scm_observers",] == 0


def test_health_is_200_while_the_database_answers_and_503_with_one_line_when_it_does_not(tmp_path):
    with server(tmp_path) as (_, _, port):
        assert http(port, "/health") == (200, "ok\n")
        os.rename(tmp_path / "scm.db", tmp_path / "away.db")
        status, text = http(port, "/health")
        assert status == 503 and re.fullmatch("the database does not answer: .*scm.db.*\n", text)
        found = figures(port)
        assert found["msgin5g_scm_database_up",] == found["msgin5g_scm_observers",] == 0
        assert ("msgin5g_scm_documents",) not in found, "nobody knows"
        os.rename(tmp_path / "away.db", tmp_path / "scm.db")
        assert http(port, "/health") == (200, "ok\n")
        assert http(port, "/")[0] == 404 and http(port, "/health", "POST")[0] == 405


def test_clients_that_say_nothing_hold_up_neither_coap_nor_the_end(tmp_path):
    with server(tmp_path) as (started, process, port):
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        with Client(address(started)) as client:
            assert client.get().code == "2.05"
        process.terminate()
        assert process.wait(timeout=10) == 0
        for each in silent:
            each.close()


def role(folder, **values):
    path = folder / "settings.json"
    fast = {"ack_timeout_ms": 50, "max_retransmit": 0}
    mine = {"ue_id": "urn:x:7", "bind": [ROLE, 65401], "transmission": fast}
    mine.update(server={"address": [SERVER, 5683]}, links={"urn:x:8": [LINKED, 65401]})
    path.write_text(json.dumps({**mine, **values}))
    return running("run", "--settings", path)


@pytest.mark.parametrize("name", ["relay", "gateway"])
def test_a_role_gives_its_counters_and_prints_nothing_for_it(tmp_path, name):
    with (
        role(tmp_path, role=name) as (started, process, port),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as linked,
    ):
        assert started["event"] == "started"
        linked.bind((LINKED, 65401))
        for n in (1, 2, 3):
            linked.sendto(b"\x47\x01\xff", (ROLE, 65401))
            until = time.monotonic() + 10
            key = ("msgin5g_role_counter_total", "malformed")
            while (found := figures(port)).get(key) != n and time.monotonic() < until:
                pass
            assert found[key] == n
        assert found["msgin5g_role_up",] == found["msgin5g_role_events_total", "started"] == 1
        assert 0 < found["msgin5g_role_heap_free_bytes",] < 256 * 1024
        assert http(port, "/health") == (200, "ok\n")
        process.send_signal(signal.SIGUSR1)
        assert json.loads(process.stdout.readline())["counters"] == {"malformed": 3}


def test_a_role_that_hangs_is_not_well(tmp_path):
    (tmp_path / "app.py").write_text("import time\ndef main(node):\n    time.sleep(60)\n")
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        with role(tmp_path, role="relay", application="app") as (_, _, port):
            assert http(port, "/health") == (503, "the role does not answer within 2 s\n")
    finally:
        os.chdir(before)


def test_a_mistake_of_the_address_is_one_line(tmp_path):
    settings = tmp_path / "ue.json"
    settings.write_text(
        json.dumps({"ue_id": "urn:x:7", "bind": [ROLE, 65401], "next_hop": [SERVER, 65401]})
    )
    scm = ("scm-server", "--bind", "127.0.0.1:0", "--db", str(tmp_path / "scm.db"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = f"127.0.0.1:{taken.getsockname()[1]}"
        cases = [
            (in_use, f"cannot bind {in_use}: .*in use"),
            ("nowhere", "--metrics: 'nowhere' is not HOST:PORT.*"),
            ("192.0.2.1:0", "cannot bind 192.0.2.1:0: .*"),
        ]
        processes = [
            (subprocess.Popen([*COMMAND, *command, "--metrics", value],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), expected)
            for command in (scm, ("run", "--settings", str(settings)))
            for value, expected in cases
        ]  # fmt: skip
        for process, expected in processes:
            out, errors = process.communicate(timeout=60)
            status = 2 if "--" in expected else 1
            assert process.returncode == status and out == "", out
            assert re.fullmatch(f"Error: {expected}\n", errors), errors
