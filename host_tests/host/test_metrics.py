"""Figures and health over HTTP: the server, and roles on a host, as processes."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from addresses import network
from prometheus_client.parser import text_string_to_metric_families
from scm_setup import COLLECTION, CON, GET, OBSERVE, UE7, URI_PATH, Client, document, encode

from msgin5g_tools.device.role_metrics import RoleMetrics
from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.metrics import Metrics
from msgin5g_tools.scm_server.server import ScmServer, run
from msgin5g_tools.scm_server.settings import Settings
from msgin5g_tools.scm_server.store import Store

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]
NET = network()
ROLE, SERVER, LINKED = NET + "2", NET + "3", NET + "8"


def free_address():
    """HOST:PORT that nobody uses."""
    with socket.create_server((SERVER, 0)) as free:
        return "%s:%d" % free.getsockname()


@contextmanager
def running(*arguments):
    """(its first line, process, HOST:PORT of its metrics)."""
    metrics = free_address()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--json", "--metrics", metrics],
        stdout=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(60, process.kill)  # then a line that never comes is an empty one
    guard.start()
    try:
        yield json.loads(process.stdout.readline()), process, metrics
    finally:
        guard.cancel()
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


def server(folder):
    return running("scm-server", "--bind", "127.0.0.1:0", "--db", folder / "scm.db")


def http(at, path, method="GET"):
    """(status, text)."""
    request = urllib.request.Request(f"http://{at}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figures(at):
    """{(name, values of labels in the order of their names): value} of /metrics."""
    status, text = http(at, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def host_and_port(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def address(started):
    return host_and_port(started["bind"])


def test_the_server_counts_requests_refusals_drops_and_what_it_has(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        store.put("msgin5g", "ue-0007", document(UE7))
        store.deny("urn:x:denied")
        Contexts(store).add(UE, UE7)
    with server(tmp_path) as (started, _, at), Client(address(started)) as client:
        path = [(URI_PATH, part.encode()) for part in f"{COLLECTION}/ue-0007".split("/")]
        get = encode(CON, GET, 1, b"t", [*path, (OBSERVE, b"")])
        for _ in range(2):  # the second one is a repetition
            client.send(get)
            assert client.receive().code == "2.05"
        assert client.get("ue-uri=urn:x:denied").code == "4.03"
        assert client.get("ue-uri=urn:x:nobody").code == "4.04"
        client.send(b"\x01")
        found = figures(at)
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
        found = figures(at)
        assert found["msgin5g_scm_notifications_total", "4.04"] == 1
        assert found["msgin5g_scm_documents",] == found["msgin5g_scm_observers",] == 0
        ends_at = time.monotonic() + 20  # written every second, and counted for the next scrape
        while figures(at).get(("msgin5g_scm_ues", "denied")) != 2:
            assert time.monotonic() < ends_at
            time.sleep(0.2)
        assert figures(at)["msgin5g_scm_ues", "never"] == 1


class SlowSite:
    """Its response has gone out before it returns; `sent` says when."""

    def __init__(self):
        self.sent = threading.Event()

    def respond(self, pipe):
        self.sent.set()
        time.sleep(0.2)


def test_what_a_client_has_an_answer_to_is_in_the_figures():
    site, metrics = SlowSite(), Metrics((SERVER, 0), lambda: 0)
    of_the_server = {"n_observers": 0, "n_connections": 0, "drops": {}}
    of_the_server["counts"] = lambda: (0, [], {"newest": 3})

    async def serve():
        metrics.start(types.SimpleNamespace(**of_the_server))
        asked = asyncio.to_thread(lambda: site.sent.wait(10) and figures(metrics.address))
        scrape = asyncio.create_task(asked)
        await asyncio.sleep(0)
        metrics.timed(site).respond(None)
        found = await scrape
        await metrics.stop()
        return found

    metrics.address = "%s:%d" % metrics.address
    assert asyncio.run(serve())["msgin5g_scm_response_seconds_count",] == 1


def test_every_event_and_every_count_of_the_server_is_a_figure():
    metrics = Metrics((SERVER, 0), lambda: 7)
    at = "%s:%d" % metrics.address
    counts = 3, [("ue", "active", 2), ("gateway", "revoked", 1)], {"newest": 4, "denied": 5}
    server = types.SimpleNamespace(
        n_observers=8, n_connections=9, drops={"malformed": 6}, counts=lambda: counts
    )
    for event, fields in (
        ("served", {"method": "GET", "code": "2.05"}),
        ("served", {"method": "GET", "code": "2.05"}),
        ("served", {"method": "PUT", "code": "4.13"}),
        ("served", {"method": "GET", "code": "5.03"}),
        ("notified", {"code": "2.05"}),
        ("replayed", {}),
        ("replayed", {}),
        ("started", {}),
    ):
        metrics.on_event({"event": event, **fields})

    async def serve():
        metrics.start(server)
        found = await asyncio.to_thread(figures, at)
        await metrics.stop()
        return found

    found = asyncio.run(serve())
    shown = {" ".join(key).removeprefix("msgin5g_scm_"): n for key, n in found.items()}
    assert {what: n for what, n in shown.items() if not re.search("_created|seconds", what)} == {
        "requests_total 2.05 GET": 2,
        "requests_total 4.13 PUT": 1,
        "requests_total 5.03 GET": 1,
        "refusals_total 4.13": 1,
        "notifications_total 2.05": 1,
        "database_up": 1,
        "documents": 3,
        "keys ue active": 2,
        "keys gateway revoked": 1,
        "ues newest": 4,
        "ues denied": 5,
        "observers": 8,
        "connections": 9,
        "drops_total malformed": 6,
        "drops_total replayed": 2,
        "drops_total log_line": 7,
    }


def test_a_server_that_is_busy_is_not_well_and_does_nothing_for_scrapes_that_have_ended():
    metrics, done = Metrics((SERVER, 0), lambda: 0), []
    at = "%s:%d" % metrics.address
    of_the_server = {"n_observers": 4, "n_connections": 0, "drops": {}}
    of_the_server["counts"] = lambda: done.append("counts")
    of_the_server["check"] = lambda: done.append("check")

    async def serve():
        metrics.start(types.SimpleNamespace(**of_the_server))
        with ThreadPoolExecutor() as threads:  # it waits for them, and its loop does nothing else
            scrapes = threads.submit(http, at, "/health"), threads.submit(figures, at)
        again = await asyncio.to_thread(http, at, "/health")
        await metrics.stop()
        return *(scrape.result() for scrape in scrapes), again

    health, found, again = asyncio.run(serve())
    assert health == (503, "the server does not answer within 2 s\n")
    assert found["msgin5g_scm_database_up",] == 0 and found["msgin5g_scm_observers",] == 4
    assert ("msgin5g_scm_documents",) not in found, "nobody knows"
    assert again == (200, "ok\n") and done == ["check"]


def test_health_is_200_while_the_database_answers_and_503_with_one_line_when_it_does_not(tmp_path):
    metrics, db = Metrics((SERVER, 0), lambda: 0), tmp_path / "scm.db"
    at = "%s:%d" % metrics.address

    def scrape():
        assert http(at, "/health") == (200, "ok\n")
        os.rename(db, tmp_path / "away.db")
        status, text = http(at, "/health")
        assert status == 503 and re.fullmatch("the database does not answer: .*scm.db.*\n", text)
        found = figures(at)
        assert found["msgin5g_scm_database_up",] == found["msgin5g_scm_observers",] == 0
        assert ("msgin5g_scm_documents",) not in found, "nobody knows"
        os.rename(tmp_path / "away.db", db)
        assert http(at, "/health") == (200, "ok\n")
        assert figures(at)["msgin5g_scm_documents",] == 0
        assert http(at, "/")[0] == 404 and http(at, "/health", "POST")[0] == 405

    async def serve():
        async with ScmServer(Settings(db, bind=("127.0.0.1", 0)), metrics=metrics) as server:
            metrics.start(server)
            await asyncio.to_thread(scrape)
            await metrics.stop()

    asyncio.run(serve())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_its_figures_and_an_error_before_that_is_one_line(
    tmp_path, number
):
    metrics, events, faults = Metrics((SERVER, 0), lambda: 0), [], []
    at = "%s:%d" % metrics.address
    settings = Settings(tmp_path / "scm.db", bind=("127.0.0.1", 0))

    async def serve():
        served = asyncio.create_task(run(settings, events.append, faults.append, metrics))
        health = await asyncio.to_thread(http, at, "/health")
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        await served
        return health

    assert asyncio.run(serve()) == (200, "ok\n")
    assert [event["event"] for event in events] == ["started", "stopped"]
    (line,) = faults
    assert "Exception in callback" in line and "ZeroDivisionError" in line and "\n" not in line
    with pytest.raises(urllib.error.URLError, match="refused"):
        http(at, "/health")


def test_clients_that_say_nothing_hold_up_neither_coap_nor_the_end(tmp_path):
    with server(tmp_path) as (started, process, at):
        silent = [socket.create_connection(host_and_port(at)) for _ in range(40)]
        with Client(address(started)) as client:
            assert client.get().code == "2.05"
        process.terminate()
        assert process.wait(timeout=30) == 0
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
        role(tmp_path, role=name) as (started, process, at),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as linked,
    ):
        assert started["event"] == "started"
        linked.bind((LINKED, 65401))
        for n in (1, 2, 3):
            linked.sendto(b"\x47\x01\xff", (ROLE, 65401))
            until = time.monotonic() + 30
            key = ("msgin5g_role_counter_total", "malformed")
            while (found := figures(at)).get(key) != n and time.monotonic() < until:
                pass
            assert found[key] == n
        assert found["msgin5g_role_up",] == found["msgin5g_role_events_total", "started"] == 1
        assert 0 < found["msgin5g_role_heap_free_bytes",] < 256 * 1024
        assert http(at, "/health") == (200, "ok\n")
        process.send_signal(signal.SIGUSR1)
        assert json.loads(process.stdout.readline())["counters"] == {"malformed": 3}


@contextmanager
def role_metrics(answer):
    """HOST:PORT of the figures of a role, here, that has started and refused two documents.

    answer: its next event `metrics`, or None for none.
    """
    metrics = RoleMetrics((ROLE, 0))

    def ask():
        if answer:
            threading.Thread(target=metrics.answered, args=(answer,)).start()

    for name in ("started", "refused", "refused"):
        metrics.happened(name)
    metrics.start(ask)
    at = "%s:%d" % metrics.address
    try:
        yield at
    finally:
        metrics.close()
    with pytest.raises(urllib.error.URLError, match="refused"):
        http(at, "/health")


def test_the_figures_of_a_role_are_its_answer_and_what_happened():
    event = {"event": "metrics", "counters": {"malformed": 3, "a": 0}}
    expected = {
        ("msgin5g_role_up",): 1,
        ("msgin5g_role_events_total", "started"): 1,
        ("msgin5g_role_events_total", "refused"): 2,
        ("msgin5g_role_counter_total", "malformed"): 3,
        ("msgin5g_role_counter_total", "a"): 0,
    }
    with role_metrics(event) as at:
        assert figures(at) == expected
        assert http(at, "/health") == (200, "ok\n")
    for free in (1000, "1000"):
        with role_metrics({**event, "free": free}) as at:
            assert figures(at) == {**expected, ("msgin5g_role_heap_free_bytes",): 1000}


def test_of_a_role_that_does_not_answer_only_what_happened_is_known():
    with role_metrics(None) as at:
        assert http(at, "/health") == (503, "the role does not answer within 2 s\n")
        assert figures(at) == {
            ("msgin5g_role_up",): 0,
            ("msgin5g_role_events_total", "started"): 1,
            ("msgin5g_role_events_total", "refused"): 2,
        }


def test_a_role_that_hangs_is_not_well(tmp_path):
    (tmp_path / "app.py").write_text("import time\ndef main(node):\n    time.sleep(60)\n")
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        with role(tmp_path, role="relay", application="app") as (_, _, at):
            assert http(at, "/health") == (503, "the role does not answer within 2 s\n")
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
