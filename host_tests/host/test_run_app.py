"""`msgin5g run --app`: an application beside a role on this host, on both interpreters."""

import json
import subprocess
import sys

import pytest
from addresses import network
from scm_setup import Scm, configured

from msgin5g_tools.paths import ROOT

UE_ID = "urn:x-msgin5g:ue:0007"
COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "run"]
NET = network()
MPY, CPY = "micropython", "cpython"
CONFIGURATION = {
    "MSGin5G-Server-address": f"coap://{NET}9",
    "MSGin5G-UE-Service-id": "user-7@example.com",
    "count": 3,
}
# It prints in all the ways there are, reads a file beside it, and ends as a person would end it.
APP = """
import json
import neighbour

def declare(schema):
    schema.declare("count", int, default=1, low=1, high=9)

async def main(node):
    configuration = await node.wait_changed()
    print()
    print("a", end="")
    print("b", configuration["count"], neighbour.NAME)
    print(json.dumps({"event": "counted", "count": configuration["count"]}))
    with open("words.txt") as file:
        print(file.read())
    raise KeyboardInterrupt
"""


@pytest.fixture(scope="module")
def scm(tmp_path_factory):
    with Scm(tmp_path_factory.mktemp("scm"), bind=(NET + "4", 0)) as server:
        doc = configured(UE_ID, CONFIGURATION)
        server.call(lambda store: store.put("msgin5g", "ue-0007", doc))
        yield server


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "Gerät 7"
    made.mkdir()
    return made


def runs(folder, scm, app, *options, **settings):
    """The finished `msgin5g run --app app`, called as from the folder above."""
    server = list(scm.address) if scm else [NET + "9", 5683]
    values = {"ue_id": UE_ID, "bind": [NET + "2", 0], "next_hop": server, **settings}
    values.update(next_hop_is="server", start_delay_s=0, observe=False)
    (folder / "ue.json").write_text(json.dumps(values))
    name = folder.name
    command = [*COMMAND, "--settings", f"{name}/ue.json", "--app", app, *options]
    return subprocess.run(
        command, cwd=folder.parent, capture_output=True, text=True, timeout=60, check=False
    )


def events(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("interpreter", [MPY, CPY])
@pytest.mark.parametrize("as_json", [False, True])
def test_what_it_prints_stays_visible(scm, folder, interpreter, as_json):
    (folder / "app.py").write_text(APP)
    (folder / "neighbour.py").write_text("NAME = 'next'\n")
    (folder / "words.txt").write_text("as a board reads it")
    options = ["--interpreter", interpreter, *(["--json"] if as_json else [])]
    done = runs(folder, scm, "Gerät 7/app.py", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stderr if as_json else done.stdout
    for line in ("ab 3 next", "as a board reads it"):
        assert line in told
    if as_json:
        names = [event.get("event") for event in events(done) if "event" in event]
        assert names == ["started", "applied", "counted", "stopped"]


@pytest.mark.parametrize("interpreter", [MPY, CPY])
def test_once_ends_with_the_first_outcome_which_its_keys_decide(scm, folder, interpreter):
    limit = "def declare(schema):\n    schema.declare('count', int, high=%d)\n"
    for high, status, name in ((3, 0, "applied"), (2, 7, "refused")):
        (folder / "app.py").write_text(limit % high)
        done = runs(
            folder, scm, "Gerät 7/app.py", "--once", "--json", "--interpreter", interpreter
        )
        assert (done.returncode, events(done)[-2]["event"]) == (status, name), done.stderr


@pytest.mark.parametrize("interpreter", [MPY, CPY])
def test_a_crash_is_shown_and_ends_as_on_a_board(scm, folder, interpreter):
    # The configuration is on trial: the board would restart after a second.
    (folder / "app.py").write_text("def changed(node):\n    if node.on_trial:\n        1 / 0\n")
    done = runs(folder, scm, "Gerät 7/app.py", "--interpreter", interpreter)
    assert done.returncode == 8, done.stdout + done.stderr
    shown = [done.stdout.find(word) for word in ("Traceback", "app.py", "crashed", "restarting")]
    assert -1 not in shown and shown == sorted(shown), done.stdout


@pytest.mark.parametrize("interpreter", [MPY, CPY])
def test_what_is_not_python_is_shown_too(folder, interpreter):
    (folder / "app.py").write_text("def main(node:\n")
    done = runs(folder, None, "Gerät 7/app.py", "--once", "--interpreter", interpreter,
                transmission={"ack_timeout_ms": 50, "max_retransmit": 0})  # fmt: skip
    assert done.returncode == 7
    assert "SyntaxError" in done.stdout and "crashed" in done.stdout, done.stdout


def test_a_blinking_light_needs_no_board(scm, folder):
    done = runs(folder, scm, str(ROOT / "examples" / "blinking-light" / "app.py"), "--once")
    assert done.returncode == 0 and "Error" not in done.stdout + done.stderr, done.stdout


def test_a_file_that_cannot_be_an_application_is_one_line(folder):
    for name in ("app.txt", "my-app.py", "main.py", "json.py", "machine.py", "größe.py"):
        (folder / name).write_text("")
    for name, text in {
        "none.py": "No such file",
        "../Gerät 7": "Is a directory",
        "app.txt": "must end in .py or .mpy",
        "my-app.py": "must be that of a module",
        "größe.py": "must be that of a module",
        "main.py": "finds another module",
        "json.py": "finds another module",
        "machine.py": "finds another module",
    }.items():
        done = runs(folder, None, f"Gerät 7/{name}")
        assert (done.returncode, done.stdout) == (1, ""), done.stdout
        assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr
    (folder / "app.mpy").write_bytes(b"")
    done = runs(folder, None, "Gerät 7/app.mpy", "--interpreter", CPY)
    assert done.returncode == 1 and "take the .py file" in done.stderr
    done = runs(folder, None, "Gerät 7/app.mpy", application="blink")
    assert done.returncode == 1 and "give both the same name" in done.stderr


@pytest.mark.parametrize("interpreter", [MPY, CPY])
def test_where_a_board_would_sleep_the_role_ends_and_says_so(scm, folder, interpreter):
    app = "import machine\n\nasync def main(node):\n"
    app += "    await node.wait_changed()\n    rtc = machine.RTC()\n    rtc.memory(b'kept')\n"
    app += "    print(rtc.memory(), machine.ADC(26).read_u16())\n    machine.deepsleep(600)\n"
    (folder / "app.py").write_text(app)
    done = runs(folder, scm, "Gerät 7/app.py", "--interpreter", interpreter)
    assert done.returncode == 8, done.stdout + done.stderr
    assert "b'kept' 0\n" in done.stdout
    assert "a board would sleep for 600 ms, and start again" in done.stdout, done.stdout
