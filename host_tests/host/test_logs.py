"""The log of the server and of roles on a host: time, level, and a reader that stops reading."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from addresses import network
from scm_setup import Client

from msgin5g_tools.device.events import parse_event

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]
NET = network()
ROLE, SERVER = NET + "2", NET + "3"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) ")


@contextmanager
def running(*arguments, cwd=None):
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    guard = threading.Timer(60, process.kill)  # then a line that never comes is an empty one
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.terminate()  # its role, too, if it has one
        process.communicate(timeout=20)


def settings_file(folder, **values):
    path = folder / "settings.json"
    fast = {"ack_timeout_ms": 50, "max_retransmit": 0}
    mine = {"ue_id": "urn:x:7", "bind": [ROLE, 65401], "transmission": fast, "start_delay_s": 0}
    path.write_text(json.dumps({**mine, **values}))
    return path


def role_settings(folder, role):
    if role == "ue":
        return settings_file(folder, role=role, next_hop=[SERVER, 65401])
    links = {"urn:x:8": [NET + "8", 65401]}
    return settings_file(folder, role=role, server={"address": [SERVER, 5683]}, links=links)


def is_now(text):
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return abs(datetime.now(timezone.utc) - moment) < timedelta(seconds=60)


def test_each_line_of_each_role_has_time_and_level_as_text_and_as_json(tmp_path):
    for role in ("ue", "relay", "gateway"):
        for options in ((), ("--json",)):
            path = role_settings(tmp_path, role)
            with running("run", "--settings", path, *options) as process:
                lines = [process.stdout.readline()]
                process.terminate()
                lines += process.communicate(timeout=20)[0].splitlines()
            events = [json.loads(line) if options else parse_event(line) for line in lines]
            assert options or all(map(STAMP.match, lines)), lines
            assert all(is_now(event["time"]) for event in events), lines
            assert (events[0]["event"], events[-1]["event"]) == ("started", "stopped"), lines
            assert events[0]["level"] == "info" and events[0]["role"] == role, lines


def test_each_line_of_the_server_has_time_and_level_as_text_and_as_json(tmp_path):
    for options in ((), ("--json",)):
        command = ("scm-server", "--bind", "127.0.0.1:0", "--db", tmp_path / "db", *options)
        with running(*command) as process:
            line = process.stdout.readline()
            port = int(re.search(r"127\.0\.0\.1:([0-9]+)", line)[1])
            with Client(("127.0.0.1", port)) as client:
                client.get("ue-uri=urn:x:7")
            lines = [line, process.stdout.readline()]
        if options:
            found = [json.loads(line) for line in lines]
            assert all(is_now(each["time"]) for each in found)
            levels = [each["level"] for each in found]
        else:
            levels = [STAMP.match(line)[1] for line in lines]
        assert levels == ["info", "warning"], "4.04 is for somebody to look at"


def test_the_level_decides_what_is_printed_and_not_how_the_role_ends(tmp_path):
    path = settings_file(tmp_path, next_hop=[SERVER, 65401], typo=1)
    command = [*COMMAND, "run", "--once", "--settings", str(path), "--log-level"]
    printed = {}
    for level in ("info", "warning", "error"):
        done = subprocess.run([*command, level], capture_output=True, text=True, check=False)
        assert done.returncode == 7 and done.stderr == ""
        printed[level] = [line.split(" ", 2)[2] for line in done.stdout.splitlines()]
    assert printed["error"] == []
    assert printed["warning"] == ["settings: unknown, ignored: typo", "timeout"]
    assert [line.split(" ")[0] for line in printed["info"][1:]] == [
        "started",
        "timeout",
        "stopped",
    ]
    options = ("--bind", "127.0.0.1:0", "--db", tmp_path / "db", "--log-level", "error")
    with running("scm-server", *options) as process:
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == ("", "")


def test_what_is_asked_for_is_printed_at_every_level(tmp_path):
    path = settings_file(tmp_path, next_hop=[SERVER, 65401])
    with running("run", "--settings", path, "--trace", "--log-level", "error") as process:
        assert parse_event(process.stdout.readline())["event"] == "datagram"
        process.send_signal(signal.SIGUSR1)
        lines = iter(process.stdout.readline, "")
        assert any(parse_event(line)["event"] == "counters" for line in lines)


def test_a_traceback_of_an_application_is_an_error_line_by_line(tmp_path):
    program = (
        "def main(node):\n    print('hello')\n    print('{\"a\": 1}')\n    raise ValueError\n"
    )
    (tmp_path / "app.py").write_text(program)
    path = settings_file(tmp_path, next_hop=[SERVER, 65401], application="app")
    with running("run", "--settings", path, cwd=tmp_path) as process:
        lines = []
        for line in iter(process.stdout.readline, ""):
            lines.append(line)
            if " crashed " in line:
                break
        assert all(map(STAMP.match, lines)), lines
        levels = {line.split(" ", 2)[2].strip(): line.split(" ")[1] for line in lines}
    assert levels["hello"] == levels['{"a": 1}'] == "info"
    assert {level for text, level in levels.items() if "File " in text} == {"error"}
    assert STAMP.match(lines[-1])[1] == "error"


def test_a_reader_that_stops_reading_does_not_stop_a_role(tmp_path):
    path = role_settings(tmp_path, "relay")
    with running("run", "--settings", path, "--trace") as process:
        assert "started" in process.stdout.readline()  # nobody reads from here on
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pinging:
            pinging.bind((NET + "8", 65401))
            pinging.settimeout(10)
            for mid in range(1500):  # two lines each: more than two pipes of 64 KiB take
                pinging.sendto(b"\x40\x00" + mid.to_bytes(2, "big"), (ROLE, 65401))
                assert pinging.recv(100) == b"\x70\x00" + mid.to_bytes(2, "big")
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_a_log_on_a_full_disk_does_not_stop_a_role(tmp_path):
    path = settings_file(tmp_path, next_hop=[SERVER, 65401])
    full = os.open("/dev/full", os.O_WRONLY)
    command = [*COMMAND, "run", "--once", "--settings", str(path)]
    done = subprocess.run(command, stdout=full, stderr=full, timeout=20, check=False)
    os.close(full)
    assert done.returncode == 7
