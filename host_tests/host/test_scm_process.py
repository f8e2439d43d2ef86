"""`msgin5g scm-server` as a process: what it prints, how it stops, what survives."""

import json
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from unittest.mock import ANY

import cbor2
import pytest
import websockets.sync.client
from scm_setup import COLLECTION, CON, PUT, UE7, URI_PATH, Client, Scm, document, encode

from msgin5g_tools.scm_server.connections import within_descriptor_limit
from msgin5g_tools.line_writer import LineWriter
from msgin5g_tools.scm_server.store import Store

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]


@pytest.fixture
def start(repository, tmp_path):
    """Start the server with these arguments; the started line comes back with it."""
    running = []

    def begin(*arguments, db="scm.db"):
        process = subprocess.Popen(
            [*COMMAND, "scm-server", "--bind", "127.0.0.1:0", "--db", tmp_path / db, *arguments],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, line

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def address(started):
    host, _, port = json.loads(started)["bind"].rpartition(":")
    return host, int(port)


def test_json_lines_say_what_started_was_served_and_notified_and_stopped(start):
    process, line = start("--json", "--tcp", "127.0.0.1:0", "--recipient", "coap://scm.example")
    started = json.loads(line)
    assert started["event"] == "started" and started["recipient"] == "coap://scm.example"
    assert re.fullmatch(r"127\.0\.0\.1:[1-9][0-9]*", started["bind"])
    assert re.fullmatch(r"127\.0\.0\.1:[1-9][0-9]*", started["tcp"]) and "ws" not in started
    with Client(address(line), "127.0.0.7") as client:
        client.put("ue-0007", document(UE7))
        remote = "127.0.0.7:%d" % client.port
        assert json.loads(process.stdout.readline())["code"] == "2.01"
        answer = client.get(f"ue-uri={UE7}", options=[(6, b"")], path=f"{COLLECTION}/ue-0007")
        assert json.loads(process.stdout.readline()) == {
            "time": ANY,
            "level": "info",
            "event": "served",
            "remote": remote,
            "method": "GET",
            "code": "2.05",
            "uri": f"/{COLLECTION}/ue-0007?ue-uri={UE7}",
            "ue_uri": [UE7],
            "recipient": UE7,
            "size": len(answer.payload),
        }
        client.send(encode(CON, "0.04", 9, b"d", _path(f"{COLLECTION}/ue-0007")))
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        notified = next(event for event in events if event["event"] == "notified")
        assert (notified["code"], notified["recipient"]) == ("4.04", UE7)
        assert notified["detail"] == "no document 'ue-0007'"
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=30)
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["stopped"]
    assert (process.returncode, errors) == (0, "")


def _path(path):
    return [(URI_PATH, part.encode()) for part in path.split("/")]


def test_a_person_reads_one_line_a_request_and_the_network_cannot_move_the_cursor(start):
    process, line = start()
    assert " info listening on 127.0.0.1:" in line and "scm.db" in line
    port = int(re.search(r"127\.0\.0\.1:([0-9]+)", line)[1])
    with Client(("127.0.0.1", port)) as client:
        client.get("ue-uri=urn:\x1b[2Jx")
    line = process.stdout.readline()
    assert f"Z warning 4.00 GET /{COLLECTION}?ue-uri=urn:%1B%5B2Jx from 127.0.0.1:" in line
    assert "\\x1b[2Jx" in line and "\x1b" not in line
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert rest.endswith("Z info stopped\n") and rest.count("\n") == 1
    assert (process.returncode, errors) == (0, "")


def test_stopping_does_not_wait_for_connected_clients(start):
    process, line = start("--json", "--tcp", "127.0.0.1:0", "--ws", "127.0.0.1:0")
    host, _, port = json.loads(line)["tcp"].rpartition(":")
    ws = f"ws://{json.loads(line)['ws']}/.well-known/coap"
    with (
        socket.create_connection((host, int(port))) as stream,
        websockets.sync.client.connect(ws, subprotocols=["coap"]) as other,
    ):
        stream.sendall(b"\x00\xe1")
        stream.recv(100)
        other.recv(timeout=20)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[1] == "" and process.returncode == 0


def test_a_reader_who_goes_away_does_not_stop_the_service(start):
    process, line = start("--json")
    process.stdout.close()
    with Client(address(line)) as client:
        for _ in range(3):
            assert client.get().code == "2.05"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0 and process.stderr.read() == ""


def test_bad_input_is_one_line_and_a_failure(repository, tmp_path):
    (tmp_path / "text.db").write_text("not a database, " * 100)
    with Store(tmp_path / "newer.db") as store:
        store.connection.execute("PRAGMA user_version = 99")
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE people (name)")
    foreign.close()
    good = ["--bind", "127.0.0.1:0", "--db", str(tmp_path / "good.db")]
    with Scm(tmp_path) as scm:
        taken = "%s:%d" % scm.address
        cases = [
            (["--bind", taken, *good[2:]], f"cannot bind {taken}: .*in use"),
            (["--bind", "192.0.2.1:0", *good[2:]], "cannot bind 192.0.2.1:0"),
            (["--bind", "nowhere", *good[2:]], "HOST:PORT"),
            (["--bind", "127.0.0.1:70000", *good[2:]], "HOST:PORT"),
            (["--bind", "no.such.host.invalid:0", *good[2:]], "cannot bind no.such.host"),
            ([*good, "--tcp", "192.0.2.1:0"], "cannot bind 192.0.2.1:0"),
            ([*good[:3], str(tmp_path / "text.db")], "text.db: file is not a database"),
            ([*good[:3], str(tmp_path / "newer.db")], "newer.db: has schema 99"),
            ([*good[:3], str(tmp_path / "foreign.db")], "foreign.db: is a database of another"),
            ([*good[:3], str(tmp_path)], "unable to open"),
            ([*good[:3], str(tmp_path / "no" / "x.db")], "there is no folder"),
            ([*good, "--recipient", "no uri"], "recipient: 'no uri' is not a URI"),
            ([*good, "--max-age", "-1"], "--max-age"),
        ]
        processes = [
            subprocess.Popen(
                [*COMMAND, "scm-server", *arguments],
                cwd=repository,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for arguments, _ in cases
        ]
        for process, (arguments, expected) in zip(processes, cases, strict=True):
            out, errors = process.communicate(timeout=60)
            assert process.returncode and out == "", arguments
            assert re.fullmatch(f"Error: .*{expected}.*\n", errors), (arguments, errors)


def test_what_was_acknowledged_survives_a_kill_at_any_time(start, tmp_path):
    acknowledged = {}
    for n in range(4):  # the last one is there to look at what the third has acknowledged
        process, line = start("--json")
        with Client(address(line)) as client:
            for name, body in acknowledged.items():
                assert client.get(path=f"{COLLECTION}/{name}").payload.endswith(body)
            if n == 3:
                break
            for i in range(5 + 7 * n):
                name, body = f"d{n}-{i}", f"domain-{n}-{i}".encode()
                made = document(valServiceDomain=body.decode())
                assert client.put(name, made).code == "2.01"
                acknowledged[name] = body
            options = _path(f"{COLLECTION}/half")
            client.send(encode(CON, PUT, 1, b"t", options, cbor2.dumps(document())))
            os.kill(process.pid, signal.SIGKILL)  # perhaps in the middle of that one
            process.wait()
        with sqlite3.connect(tmp_path / "scm.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        database.close()


def test_a_reader_that_stops_reading_does_not_stop_the_service_and_sigterm_ends_it(start):
    process, line = start("--json")  # nobody reads stdout from here on
    with Client(address(line)) as client:
        for _ in range(600):  # 150 bytes each: more than the 64 KiB that a pipe takes
            assert client.get().code == "2.05"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_a_reader_that_comes_back_reads_how_many_lines_were_dropped():
    ours, theirs = os.pipe()
    writer = LineWriter(theirs, lambda n: f"dropped {n}", max_lines=10)
    n_lines = 2000
    for _ in range(n_lines):
        writer.write("x" * 999)
    read = []
    with os.fdopen(ours) as reader:
        reading = threading.Thread(target=lambda: read.extend(reader))
        reading.start()
        writer.close(10)
        os.close(theirs)
        reading.join()
    counts = [int(line.split()[1]) for line in read if line.startswith("dropped")]
    assert sum(counts) == writer.n_dropped > 0
    assert len(read) - len(counts) + writer.n_dropped == n_lines


def test_a_full_disk_drops_lines_and_counts_them():
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full, lambda n: f"{n} dropped")
    for _ in range(100):
        writer.write("x")
    writer.close()
    assert writer.n_dropped == 100
    os.close(full)


def test_at_the_limit_of_open_files_there_is_one_line_and_udp_goes_on(start):
    process, line = start("--json", "--tcp", "127.0.0.1:0")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (40, 40))
    host, _, port = json.loads(line)["tcp"].rpartition(":")
    streams = [socket.socket() for _ in range(90)]
    for n, stream in enumerate(streams):
        stream.setblocking(False)  # one that the full queue does not take waits for 40 s
        stream.bind((f"127.0.0.{n % 9 + 2}", 0))
        stream.connect_ex((host, int(port)))
    until = time.monotonic() + 2.5  # it tries to accept them twice more, once a second
    with Client(address(line)) as client:
        while time.monotonic() < until:
            assert client.get().code == "2.05"
    for stream in streams:
        stream.close()
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=30)[1].splitlines()
    assert len(errors) == 1 and "system resource" in errors[0]


def test_the_number_of_connections_stays_within_the_limit_of_open_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
        assert within_descriptor_limit(500) == 200 and within_descriptor_limit(50) == 50
        resource.setrlimit(resource.RLIMIT_NOFILE, (105, before[1]))
        assert within_descriptor_limit(500) == 8
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
