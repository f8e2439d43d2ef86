"""Commands that run long or serve, each to its end, in one hostile environment.

It has the locale C, an output in cp1252, no colours, no terminal, a narrow screen, another working
directory, spaces and umlauts in every path, and another user than the one who set up. What each
does with an output that is full or closed is apart.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from scm_process import PROGRAM, address_of, running
from scm_setup import UE7, Client, document

from msgin5g_tools.scm_server.store import Store

_NOBODY = 65534
_LIMIT_S = 60
# Who is not root may read what root has set up, and write nothing of it.
_AS_NOBODY = [
    "setpriv",
    f"--reuid={_NOBODY}",
    f"--regid={_NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
]
_HOSTILE = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "cp1252",
    "NO_COLOR": "1",
    "TERM": "",
    "COLUMNS": "20",
    "HOME": "/root",
    "XDG_CACHE_HOME": "",
}


def _prefix():
    """What makes a command that of another user, where that can be."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return []
    tried = subprocess.run([*_AS_NOBODY, sys.executable, "-c", ""], check=False)
    return _AS_NOBODY if tried.returncode == 0 else []


@pytest.fixture(scope="module")
def place():
    """(a folder of the other user, how to start a command there)."""
    prefix = _prefix()
    with tempfile.TemporaryDirectory(prefix="größe und mehr ") as name:
        folder = Path(name)
        (folder / "tür 漢").mkdir()
        os.chmod(folder, 0o755)
        if prefix:
            os.chown(folder / "tür 漢", _NOBODY, _NOBODY)
        environment = {**os.environ, **_HOSTILE, "TMPDIR": str(folder / "tür 漢")}
        yield folder / "tür 漢", {"env": environment, "cwd": "/", "prefix": prefix}


def _does(how, *arguments, status=0, stdout=subprocess.PIPE):
    """A CompletedProcess with this exit status and no traceback."""
    command = [*how.get("prefix", ()), sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=_LIMIT_S,
        env=how.get("env"),
        cwd="/",
        check=False,
    )
    assert b"Traceback" not in (done.stdout or b"") + done.stderr, done
    assert done.returncode == status, done
    return done


def test_a_demo_runs_to_its_end(place):
    folder, how = place
    done = _does(how, "demo", "--pcap", folder / "cäpture.pcap")
    assert b"As expected" in done.stdout and b"\x1b" not in done.stdout
    assert b"2.05" in _does(how, "decode", "--pcap", folder / "cäpture.pcap").stdout


def test_a_measurement_of_the_bench_prints_its_table(place):
    _, how = place
    assert b"relay: heap" in _does({**how, "env": {**how["env"], "COLUMNS": "90"}}, "bench",
                                   "--only", "heap").stdout  # fmt: skip
    sizes = json.loads(_does(how, "bench", "--only", "size", "--json").stdout)["mpy_bytes"]
    assert sizes["coap"] > 0


def test_a_board_is_started_flashed_watched_and_switched_off(place):
    folder, how = place
    settings = {"ue_id": "urn:x:1", "bind": ["127.0.0.1", 0], "next_hop": ["127.0.0.1", 1]}
    (folder / "ü e.json").write_text(json.dumps({**settings, "start_delay_s": 600}))
    link = folder / "böard"
    board = subprocess.Popen(
        [*how["prefix"], sys.executable, "-c", PROGRAM, "board", "--link", link]
        + ["--image", folder / "fläsh.img"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=how["env"],
        cwd="/",
    )
    try:
        assert select.select([board.stdout], [], [], _LIMIT_S)[0]
        assert board.stdout.readline().startswith(b"/dev/pts/")
        done = _does(how, "flash", "--port", link, "--settings", folder / "ü e.json",
                     "--no-watch")  # fmt: skip
        assert b"files copied" in done.stdout, done
    finally:
        board.send_signal(signal.SIGTERM)
        board.communicate(timeout=_LIMIT_S)
    assert board.returncode == 0 and not link.exists()


def test_a_server_answers_and_ends(place):
    folder, how = place
    with Store(folder / "größe.db") as store:
        store.put("msgin5g", "tür-漢", document(UE7))
    if how["prefix"]:
        os.chown(folder / "größe.db", _NOBODY, _NOBODY)
    line = ("scm-server", "--bind", "127.0.0.1:0", "--db", folder / "größe.db", "--json")
    with running(*line, **how) as (started, process):
        assert started["db"] == str(folder / "größe.db")
        with Client(address_of(started)) as client:
            assert client.get(f"ue-uri={UE7}").code == "2.05"
        assert json.loads(process.stdout.readline())["code"] == "2.05"


def test_an_output_that_is_full_or_closed_ends_what_prints_once():
    # Without a reader, as after `| head`, a demo goes on: its status says how it went.
    for line, closed in ((("bench", "--only", "size"), 1), (("demo",), 0), (("board",), 1)):
        with open("/dev/full", "wb") as full:
            done = _does({}, *line, status=1, stdout=full)
        assert done.stderr == b"Error: the output: No space left on device\n", (line, done)
        reader, writer = os.pipe()
        os.close(reader)
        done = _does({}, *line, status=closed, stdout=writer)
        os.close(writer)
        assert done.stderr == b"", (line, done)
