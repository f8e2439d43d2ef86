"""`msgin5g run`, main.py on a board, and the two loops: real interpreters, real sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from aiocoap import CON, GET, Message
from aiocoap.numbers import OptionNumber
from aiocoap.optiontypes import OpaqueOption
from addresses import network
from board_tools import Terminal, mpremote
from scm_setup import Scm, configured

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.paths import FIRMWARE, SHIM
from msgin5g_tools.commands.run import command_of, interpreter_command

UE_ID = "urn:x-msgin5g:ue:0007"
CONFIGURATION = {
    "MSGin5G-Server-address": "coap://msgin5g.example:5683",
    "MSGin5G-UE-Service-id": "user-7@example.com",
}
COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "run"]
NET = network()
UE, RELAY, NOBODY = NET + "2", NET + "3", NET + "9"


def settings_file(folder, name="ue.json", **more):
    values = {
        "ue_id": UE_ID,
        "bind": [UE, 65401],
        "next_hop": [RELAY, 65401],
        "start_delay_s": 0,
        "observe": False,
    }
    values.update(more)
    path = folder / name
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))
    return path


def lines_of(command, timeout=30):
    """(exit code, JSON objects printed) of a role that ends by itself."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def scm(tmp_path_factory):
    with Scm(tmp_path_factory.mktemp("scm"), bind=(NET + "4", 0)) as server:
        doc = configured(UE_ID, CONFIGURATION)
        server.call(lambda store: store.put("msgin5g", "ue-0007", doc))
        yield server


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_a_ue_is_configured_through_a_relay(scm, tmp_path, interpreter):
    relay_settings = settings_file(
        tmp_path,
        "relay.json",
        role="relay",
        ue_id="urn:x-msgin5g:relay:1",
        bind=[RELAY, 65401],
        next_hop=None,
        server={"address": list(scm.address)},
        links={UE_ID: [UE, 65401]},
    )
    relay = subprocess.Popen(
        command_of(relay_settings, tmp_path, interpreter, as_json=True),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(relay.stdout.readline())["event"] == "started"
        code, events = lines_of(
            command_of(settings_file(tmp_path), tmp_path, interpreter, as_json=True, once=True)
        )
    finally:
        relay.send_signal(2)
        rest = relay.communicate(timeout=30)[0]
    assert code == 0
    assert [event["event"] for event in events] == ["started", "applied", "stopped"]
    assert events[1]["configuration"] == CONFIGURATION
    assert len(bytes.fromhex(events[1]["etag"])) == 8
    assert json.loads(rest.splitlines()[-1]) == {"event": "stopped", "counters": {}}


def test_the_bytes_of_the_get_are_those_of_an_independent_encoder(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind((RELAY, 65401))
        relay.settimeout(20)
        settings = settings_file(tmp_path)
        ue = subprocess.Popen(command_of(settings, tmp_path), stdout=subprocess.DEVNULL)
        try:
            datagram, remote = relay.recvfrom(2000)
        finally:
            ue.kill()
            ue.wait()
    assert remote == (UE, 65401)
    path = ("su-uc", "v1", "val-services", "msgin5g", "ue-configurations")
    message = Message(_mtype=CON, _mid=datagram[2] << 8 | datagram[3], code=GET, uri_path=path)
    message.token = datagram[4:8]
    message.opt.uri_query = ("ue-uri=" + UE_ID,)
    message.opt.accept = 65001
    message.opt.add_option(OpaqueOption(OptionNumber(65020), b"coap://scm.example"))
    assert datagram == message.encode()


def test_with_nobody_there_the_outcome_is_a_timeout(tmp_path):
    fast = {"ack_timeout_ms": 50, "max_retransmit": 2}
    settings = settings_file(tmp_path, next_hop=[NOBODY, 65401], transmission=fast)
    code, events = lines_of(command_of(settings, tmp_path, as_json=True, once=True))
    assert code == 7
    assert [event["event"] for event in events] == ["started", "timeout", "stopped"]


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_once_ends_with_0_with_a_configuration_and_with_7_without(scm, tmp_path, interpreter):
    state = tmp_path / "state"
    state.mkdir()
    to_server = {"next_hop": list(scm.address), "next_hop_is": "server"}
    for name, status, more in (
        ("applied", 0, {}),
        ("unchanged", 0, {}),
        ("refused", 7, {"max_document_size": 64}),
        ("rejected", 7, {"ue_id": UE_ID + "0"}),
    ):
        settings = settings_file(tmp_path, **to_server, **more)
        command = command_of(settings, state, interpreter, as_json=True, once=True)
        code, events = lines_of(command)
        assert (code, events[-2]["event"]) == (status, name), events
    command = [*COMMAND, "--once", "--settings", settings_file(tmp_path, **to_server, **more)]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=30)
    assert done.returncode == 7


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_sigusr1_prints_the_counters_and_the_role_goes_on(tmp_path, interpreter):
    settings = settings_file(tmp_path, next_hop=[NOBODY, 65401])
    command = [*COMMAND, "--json", "--interpreter", interpreter, "--settings", str(settings)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody,
    ):
        assert json.loads(run.stdout.readline())["event"] == "started"
        for n in (1, 2):
            somebody.sendto(b"\x47\x01\xff", (UE, 65401))
            while True:  # until the datagram was worked on
                run.send_signal(signal.SIGUSR1)
                event = json.loads(run.stdout.readline())
                assert event["event"] == "counters"
                if event["counters"] != ({"malformed": n - 1} if n > 1 else {}):
                    break
            assert event["counters"] == {"malformed": n}
        run.terminate()
        events = [
            json.loads(line)["event"] for line in run.communicate(timeout=30)[0].splitlines()
        ]
        assert events[-1] == "stopped" and run.returncode == 0


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_a_command_that_is_killed_leaves_no_role_behind(tmp_path, interpreter):
    settings = settings_file(tmp_path, next_hop=[NOBODY, 65401])
    command = [*COMMAND, "--json", "--interpreter", interpreter, "--settings", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert json.loads(run.stdout.readline())["event"] == "started"
        run.kill()
        assert run.communicate(timeout=30)[0] == ""
    wait_for_free_address()


def wait_for_free_address():
    """The role ends by itself when its command is gone, a little later."""
    until = time.monotonic() + 30
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            try:
                free.bind((UE, 65401))
                return
            except OSError:
                assert time.monotonic() < until, "the role is still there"
        time.sleep(0.01)


def test_a_role_that_does_not_end_when_it_is_asked_to_is_killed(tmp_path):
    (tmp_path / "app.py").write_text(
        "import time\ndef main(node):\n    print('{}')\n    while True:\n        try:\n"
        "            time.sleep(60)\n        except KeyboardInterrupt:\n            pass\n"
    )
    settings = settings_file(tmp_path, next_hop=[NOBODY, 65401], application="app")
    command = [*COMMAND, "--json", "--settings", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        assert "started" in run.stdout.readline()
        assert json.loads(run.stdout.readline()).keys() == {"time", "level"}, "of the print"
        run.terminate()
        assert run.wait(timeout=20) == 128 + signal.SIGKILL


def test_the_command_itself_runs_and_keeps_nothing(scm, tmp_path):
    settings = settings_file(tmp_path, next_hop=list(scm.address), next_hop_is="server")
    command = [
        sys.executable,
        "-c",
        "from msgin5g_tools.cli import main; main()",
        "run",
        "--role",
        "ue",
    ]
    for _ in range(2):
        code, events = lines_of([*command, "--settings", str(settings), "--once", "--json"])
        assert code == 0 and events[1]["event"] == "applied", events


@pytest.mark.parametrize("role,files", [("ue", "ue"), ("relay", "relay"), ("seal-c", "gateway")])
def test_it_runs_what_a_board_of_the_role_gets(tmp_path, role, files):
    firmware = repr([str(build_firmware())])
    assert firmware in command_of(settings_file(tmp_path, role=role), tmp_path)[-1]
    assert firmware in command_of(settings_file(tmp_path), tmp_path, role=role)[-1]


COLLECTING = """
import gc
many = [bytearray(20) for _ in range(20000)]
print("ready")
try:
    while True:
        gc.collect()
except KeyboardInterrupt:
    print("stopped", len([0] * len(many)))
"""


def test_ctrl_c_in_the_middle_of_a_collection_does_no_harm(tmp_path):
    if os.environ.get("MICROPYTHON"):
        pytest.skip("another interpreter's own Ctrl-C")
    command = command_of(settings_file(tmp_path), tmp_path, heap="8M")
    child = subprocess.Popen(
        [*command[:-1], COLLECTING], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20)[0] == "stopped 20000\n"
    assert child.returncode == 0


@pytest.mark.parametrize("role", ["ue", "gateway"])
def test_garbage_is_collected_when_a_part_of_the_free_heap_was_allocated(tmp_path, role):
    (tmp_path / "app.py").write_text(
        "import gc\nasync def main(node):\n    gc.collect()\n"
        "    print(gc.threshold() * 100 // gc.mem_free())\n    raise SystemExit\n"
    )
    for percent in (25, 10):
        settings = settings_file(
            tmp_path,
            role=role,
            next_hop=[NOBODY, 65401],
            server={"address": [NOBODY, 5683]},
            application="app",
            gc_percent=percent,
        )
        done = subprocess.run(
            command_of(settings, tmp_path, heap="1M"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        (measured,) = re.findall(r"^(\d+)$", done.stdout, re.MULTILINE)
        assert percent - 1 <= int(measured) <= percent + 3, done.stdout + done.stderr


def one(run, number):
    run.send_signal(number)


def all_of(run, number):
    """As a terminal's Ctrl-C: to the command and to the role that it has started."""
    os.killpg(run.pid, number)


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
@pytest.mark.parametrize(
    "number,end",
    [
        (signal.SIGTERM, one),
        (signal.SIGHUP, one),
        (signal.SIGINT, one),
        (signal.SIGINT, all_of),
    ],
)
def test_what_ends_the_command_ends_the_role(tmp_path, number, end, interpreter):
    settings = settings_file(tmp_path, next_hop=[NOBODY, 65401])
    command = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "run", "--json"]
    run = subprocess.Popen(
        [*command, "--interpreter", interpreter, "--settings", str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert json.loads(run.stdout.readline())["event"] == "started"
    end(run, number)
    (rest,) = run.communicate(timeout=30)[0].splitlines()
    assert json.loads(rest)["event"] == "stopped"
    assert run.returncode == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((UE, 65401))


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_as_json_the_output_is_objects_and_nothing_else(tmp_path, interpreter):
    wifi = {"ssid": "site", "key": "12345678"}
    fast = {"ack_timeout_ms": 50, "max_retransmit": 0}
    settings = settings_file(
        tmp_path, next_hop=[NOBODY, 65401], typo=1, wifi=wifi, transmission=fast
    )
    command = command_of(settings, tmp_path, interpreter, as_json=True, once=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    names = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert names == ["started", "timeout", "stopped"]
    assert "settings: unknown, ignored: typo\n" in done.stderr
    settings = settings_file(tmp_path, ue_id=None)
    command = command_of(settings, tmp_path, interpreter, as_json=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "settings: ue_id: is missing: the MSGin5G UE ID, a URI\n"


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_what_a_script_has_started_in_the_background_ends_as_well(tmp_path, interpreter):
    settings = settings_file(tmp_path, next_hop=[NOBODY, 65401])
    command = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "run", "--json"]
    command += ["--interpreter", interpreter, "--settings", str(settings)]
    with subprocess.Popen(  # a shell has SIGINT ignored in what it starts with &
        ["env", "--ignore-signal=INT", *command], stdout=subprocess.PIPE, text=True
    ) as run:
        assert json.loads(run.stdout.readline())["event"] == "started"
        run.terminate()
        assert json.loads(run.communicate(timeout=30)[0])["event"] == "stopped"


def test_a_heap_that_is_none_is_one_line(tmp_path):
    command = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "run"]
    command += ["--settings", str(settings_file(tmp_path)), "--heap"]
    for heap in ("foo", "0", "-5K"):
        done = subprocess.run([*command, heap], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stdout == ""
        assert f"'--heap': heap {heap}: " in done.stderr, done.stderr


WRONG = [
    ({"ue_id": None}, "settings: ue_id: is missing: the MSGin5G UE ID, a URI"),
    ({"next_hop": [RELAY, 70000]}, "settings: next_hop: port 70000 is not 1 to 65535"),
    ({"ue_id": "urn:" + "x" * 296}, "settings: ue_id: 300 bytes are not 1 to 248"),
    ({"role": "janitor"}, "settings: role: "),
    ({"bind": ["192.0.2.77", 65401]}, "bind: 192.0.2.77:65401: "),
]


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
@pytest.mark.parametrize("change,line", WRONG)
def test_wrong_settings_are_one_line_and_exit_code_2(tmp_path, interpreter, change, line):
    settings = settings_file(tmp_path, **change)
    command = command_of(settings, tmp_path, interpreter)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stdout.startswith(line) and done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("text", ["", "7", "[" * 100000, '{"role": 7}'])
def test_what_is_no_settings_file_is_one_line(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    command = command_of(tmp_path / "settings.json", tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and done.stderr == ""
    assert done.stdout.startswith("settings: ") and done.stdout.count("\n") == 1, done.stdout


def test_an_address_in_use_is_one_line(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((UE, 65401))
        command = command_of(settings_file(tmp_path), tmp_path)
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, f"bind: {UE}:65401: in use\n")


def test_settings_that_are_cut_off_leave_a_board_at_its_prompt(tmp_path):
    whole = settings_file(tmp_path).read_bytes()
    (tmp_path / "cut.json").write_bytes(whole[: len(whole) // 2])
    with VirtualBoard(heap="96K") as board:
        firmware = build_firmware()
        mpremote(board, "fs", "cp", "-r", firmware / "msgin5g", firmware / "main.py", ":")
        mpremote(board, "fs", "cp", tmp_path / "cut.json", ":settings.json")
        mark = board.output.mark()
        board.reset()
        board.output.wait_for(r"settings: not JSON: .*\n(.*\n)*>>> ", since=mark)
        text = board.output.text(mark)
        assert "Traceback" not in text and text.count("settings:") == 1
        resets = len(board.resets)
        with Terminal(board) as terminal:
            terminal.presses(b"\r")
        assert len(board.resets) == resets


ASYNC = """
import sys
sys.path[:] = path + sys.path
try:
    import micropython  # the shim gives CPython the ticks of a board
except ImportError:
    pass
import asyncio
from msgin5g.builder import Builder
from msgin5g.port import event_loop_asyncio, system
from msgin5g.settings import load

beats = []

async def heart():
    while True:
        beats.append(1)
        await asyncio.sleep(0.01)

async def main():
    asyncio.create_task(heart())
    node = Builder(load(settings), state).build()
    told = []
    def emit(event):
        told.append(event["event"])
        return event["event"] == "applied"
    await event_loop_asyncio.run(node, node.transports, system.ticks_ms, emit)
    print(told, bool(beats), node.configuration.configuration["MSGin5G-UE-Service-id"])

asyncio.run(main())
"""


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_the_asyncio_pump_runs_beside_an_application(scm, tmp_path, interpreter):
    settings = settings_file(tmp_path, next_hop=list(scm.address), next_hop_is="server")
    firmware = [SHIM, FIRMWARE] if interpreter == "cpython" else [build_firmware()]
    paths = list(map(str, firmware))  # a file a module, as mip installs them
    program = f"path, settings, state = {paths!r}, {str(settings)!r}, {str(tmp_path)!r}\n{ASYNC}"
    start = [sys.executable] if interpreter == "cpython" else [interpreter_command()]
    done = subprocess.run(
        [*start, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "['applied'] True user-7@example.com\n", done.stderr
