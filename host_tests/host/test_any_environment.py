"""Every command in any environment: character sets, outputs, folders, users; never a terminal.

Each runs in a folder with a space and an umlaut in its name, from another working directory.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import addresses
import pytest
from forked_commands import CLOSED_PIPE, ForkedCommands

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.cli import COMMANDS

_NOBODY = 65534
_AS_NOBODY = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
# Python in the locale C takes UTF-8 unless it is told not to.
_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
_ENVIRONMENTS = {
    "the locale C without colours": {"LC_ALL": "C", "NO_COLOR": "1", "TERM": "dumb"},
    "ASCII, narrow, no kind of terminal": {**_ASCII, "TERM": "", "COLUMNS": "20"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
}
_HOST = addresses.host()
_UE = {
    "ue_id": "urn:x:tür",
    "bind": [_HOST, 65401],
    "next_hop": [_HOST, 1],
    "server": {"recipient": "coap://scm.example"},
    "transmission": {"ack_timeout_ms": 100, "max_retransmit": 0},
    "start_delay_s": 0,
}
_DOCUMENT = {
    "ueConfigDocId": "tür-漢",
    "valServiceDomain": "example.com",
    "ues": ["urn:x:1"],
    "configData": {"MSGin5G-Server-address": "coap://m", "MSGin5G-UE-Service-id": "漢"},
}
_SLOW = ("simulate", "run", "doctor", "flash", "provision")  # not with everything
_HEXED = "40011234b573752d7563"


@pytest.fixture(scope="module")
def folder():
    """Files to work with, and a virtual board at the port `board`, for every user."""
    # Not pytest's: each start of another pytest closes that one to other users.
    with tempfile.TemporaryDirectory(prefix="größe und mehr ") as name:
        yield from _filled(Path(name))


def _filled(folder):
    folder.chmod(0o755)
    # What a URI may hold is ASCII; what a person calls a thing is not.
    ue = {**_UE, "ue_id": "urn:x:1"}
    for name, value in (("ü e.json", ue), ("döcuments.json", {"documents": [_DOCUMENT]})):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    with VirtualBoard(heap="128K", link=str(folder / "böard")) as board:
        os.chmod(board.port, 0o666)
        (folder / "täble.csv").write_text(
            f"port,label,ue_id,next_hop\n{board.port},Tür 漢,urn:x:1,h:1\n", encoding="utf-8"
        )
        (folder / "cäpture.pcap").write_bytes(
            struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 9, 1)
        )
        yield folder


def _work(folder, out):
    """[(command line, exit status)] of what each command does in a short time."""
    db, board = out / "größe.db", folder / "böard"
    return [
        (("documents", "import", folder / "döcuments.json", "--db", db), 0),
        (("documents", "list", "--db", db), 0),
        (("documents", "export", "--db", db), 0),
        (("documents", "export", out / "all ä.json", "--db", db), 0),
        (("documents", "deny", "urn:x:9", "--db", db), 0),
        (("keys", "administrator", "Anna", out / "änna", "--db", db), 0),
        (("keys", "list", "--db", db), 0),
        (("fleet", "--db", db), 0),
        (("conform", "server", "--list"), 0),
        (("decode", _HEXED), 0),
        (("decode", "--pcap", folder / "cäpture.pcap"), 0),
        (("wireshark", "--install", "--folder", out / "plügins"), 0),
        (("ports",), 0),
        (("simulate", "--ues", "5"), 0),
        (
            ("image", "--board", "RPI_PICO_W", "--settings", folder / "ü e.json", "-o", out / "ö"),
            0,
        ),
        (("run", "--settings", folder / "ü e.json", "--once", "--state", out / "städt"), 7),
        (("doctor", "--port", board), 1),
        (("flash", "--port", board, "--settings", folder / "ü e.json", "--dry-run"), 0),
        (("provision", folder / "täble.csv", "--dry-run"), 0),
        (("monitor", "--port", board, "--for", "0.1"), 0),
    ]


def _check_work(msgin5g, folder, out, without=()):
    out.mkdir(mode=0o777, exist_ok=True)
    out.chmod(0o777)
    for arguments, status in _work(folder, out):
        if arguments[0] in without:
            continue
        done = msgin5g(*arguments, cwd="/")
        assert done.status == status, (arguments, done)
        assert b"Traceback" not in done.out + done.err, (arguments, done)
    exported = json.loads((out / "all ä.json").read_text(encoding="utf-8"))
    assert exported["documents"][0]["ueConfigDocId"] == "tür-漢"


@pytest.mark.parametrize("name", _ENVIRONMENTS)
def test_every_command_works_in(name, folder, tmp_path):
    with ForkedCommands(_ENVIRONMENTS[name]) as msgin5g:
        for command in COMMANDS:
            done = msgin5g(command, "--help")
            assert (done.status, done.err) == (0, b"") and b"Exit status" in done.out, done
            assert b"\x1b" not in done.out
        _check_work(msgin5g, folder, tmp_path / "ö ut")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
@pytest.mark.parametrize("home", ["of another user", "missing"])
def test_every_command_works_for_another_user_than_who_set_up(home, folder):
    program = "import os, sys; print(os.access(sys.executable, os.X_OK))"
    start = [*_AS_NOBODY, sys.executable, "-c", program]
    done = subprocess.run(start, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        pytest.skip("another user cannot start this Python")
    # Where this Python is in a folder of root, another user has no interpreter for a role.
    without = () if done.stdout == "True\n" else ("run",)
    if home == "missing":
        without = _SLOW
    own = folder / f"höme {home}"
    own.mkdir()
    os.chown(own, _NOBODY, _NOBODY)
    homes = {"of another user": "/root", "missing": "/nonexistent"}
    environment = {"HOME": homes[home], "XDG_CACHE_HOME": "", "TMPDIR": str(own)}
    with ForkedCommands(environment, _AS_NOBODY) as msgin5g:
        _check_work(msgin5g, folder, own / "ö ut", without)
        (own / "secret.json").write_text("{}")
        (own / "secret.json").chmod(0o600)
        done = msgin5g("run", "--settings", own / "secret.json")
        assert done.err.endswith(b"secret.json: Permission denied\n") and done.status == 1, done


@pytest.mark.parametrize("environment", [{}, _ASCII], ids=["UTF-8", "ASCII"])
def test_an_argument_that_is_no_text_is_one_line(environment, tmp_path):
    with ForkedCommands(environment) as msgin5g:
        (tmp_path / "d.json").write_text('{"documents": []}')
        assert msgin5g("documents", "import", "d.json", "--db", "db", cwd=tmp_path).status == 0
        wrong = os.fsdecode(b"urn:x:\xff")
        for line, status in (
            (("keys", "administrator", wrong, "a", "--db", "db"), 1),
            (("keys", "list", wrong, "--db", "db"), 1),
            (("documents", "deny", wrong, "--db", "db"), 2),
            (("documents", "import", "d.json", "--db", "db", "--service-id", wrong), 0),
            (("run", "--settings", wrong), 1),
            (("flash", "--port", wrong), 3),
            (("decode", wrong), 1),
            (("board", "--image", f"/no/{wrong}"), 1),
            (("scm-server", "--db", f"/no/{wrong}"), 1),
            (("scm-server", "--db", "db", "--bulk-id", wrong), 1),
        ):
            done = msgin5g(*line, cwd=tmp_path)
            assert done.status == status, (line, done)
            assert done.err.count(b"\n") == (status != 0), (line, done)
            assert b"a bug" not in done.err and b"Traceback" not in done.err, (line, done)


def test_an_output_without_a_reader_or_room_is_one_line_at_most(folder, tmp_path):
    with ForkedCommands() as msgin5g:
        for line in (("flash", "--help"), ("decode", _HEXED), ("--version",), ("--help",)):
            closed = msgin5g(*line, stdout=None)
            assert (closed.status, closed.err) == (0, b""), (line, closed)
            gone = msgin5g(*line, stdout=CLOSED_PIPE)
            assert (gone.status, gone.err) == (1, b""), (line, gone)
            full = msgin5g(*line, stdout="/dev/full")
            assert full.err == b"Error: the output: No space left on device\n", (line, full)
            assert full.status == 1
        for stdout in (CLOSED_PIPE, "/dev/full"):
            out = tmp_path / str(stdout == CLOSED_PIPE)
            out.mkdir()
            for line, status in _work(folder, out):
                if line[0] in _SLOW and stdout != CLOSED_PIPE:
                    continue
                done = msgin5g(*line, stdout=stdout)
                assert b"Traceback" not in done.err, (line, done)
                assert done.err.count(b"the output: ") <= 1, (line, done)
                assert done.status in (status, 1), (line, stdout, done)
