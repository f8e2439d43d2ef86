"""The command line: its words, its exit statuses, any console, any file of a person."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile

import pytest
from board_tools import mpremote
from click.testing import CliRunner
from flash_setup import address, msgin5g, ue_file, ue_settings

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.cli import COMMANDS
from msgin5g_tools.commands import ports as ports_command
from msgin5g_tools.device import serial_port
from msgin5g_tools.device.errors import PORT_MISSING, WRONG_INPUT
from msgin5g_tools.person_file import FileError, read_text

_COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]


def run(*arguments, **more):
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        **more,
    )


def test_an_unknown_command_suggests_one_and_the_version_is_printed():
    assert "No such command 'flsh'. Did you mean 'flash'?" in msgin5g("flsh", status=2)
    assert re.fullmatch(r"msgin5g \d+\.\d+\.\d+\n", msgin5g("--version"))


def test_every_help_lists_the_exit_statuses():
    for name in COMMANDS:
        assert "Exit status, the same in every command:" in msgin5g(name, "--help"), name
    assert "3 no such serial port" in msgin5g("documents", "list", "--help")


@pytest.mark.parametrize("charset", ["ascii", "cp1252", "latin-1"])
def test_a_byte_that_the_console_lacks_ends_no_command(charset, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": charset, "LANG": "C"}
    database = tmp_path / "größe.db"
    document = {
        "ueConfigDocId": "tür-漢",
        "valServiceDomain": "example.com",
        "ues": ["urn:x:1"],
        "configData": {"MSGin5G-Server-address": "coap://m", "MSGin5G-UE-Service-id": "漢😀"},
    }
    file = tmp_path / "documents.json"
    file.write_text(json.dumps({"documents": [document]}), encoding="utf-8")
    done = run("documents", "import", file, "--db", database, env=environment)
    assert done.returncode == 0, done.stderr
    done = run("documents", "list", "--db", database, env=environment)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    assert b"\\u6f22" in done.stdout
    done = run("documents", "export", "--db", database, env=environment)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    exported = json.loads(done.stdout.decode("ascii"))["documents"][0]
    assert exported["ueConfigDocId"] == "tür-漢"
    assert exported["configData"]["MSGin5G-UE-Service-id"] == "漢😀"
    program = "import time\nwhile True:\n print('t\\xfcr \\u6f22')\n time.sleep_ms(100)\n"
    with VirtualBoard(heap="96K") as board:
        mpremote(board, "exec", f"f = open('main.py', 'w'); f.write({program!r}); f.close()")
        board.reset()
        done = run("monitor", "--port", board.port, "--for", 2, env=environment)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    assert b"\\u6f22\n" in done.stdout, done.stdout


def test_documents_list_as_json(tmp_path):
    file, database = tmp_path / "documents.json", tmp_path / "scm.db"
    entry = {"ueConfigDocId": "a", "valServiceDomain": "d", "ues": ["urn:x:1"],
             "configData": {"MSGin5G-Server-address": "coap://m"}}  # fmt: skip
    file.write_text(json.dumps({"deny": ["urn:x:9"], "documents": [entry]}))
    msgin5g("documents", "import", file, "--db", database)
    rows = [json.loads(line) for line in
            msgin5g("documents", "list", "--json", "--db", database).splitlines()]  # fmt: skip
    assert rows[0]["document"] == "a" and rows[0]["for"] == ["urn:x:1"]
    assert rows[0]["server_address"] == "coap://m" and rows[1] == {"denied": "urn:x:9"}


def test_an_output_that_is_closed_or_full_is_no_traceback():
    hexed = "40011234b573752d7563"
    closed = subprocess.Popen(
        [*_COMMAND, "decode", *[hexed] * 3000], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    closed.stdout.close()
    assert closed.stderr.read() == b"" and closed.wait() == 1
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*_COMMAND, "decode", hexed], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.stderr == b"Error: the output: No space left on device\n"
    assert done.returncode == 1
    shell = f"{sys.executable} -c 'from msgin5g_tools.cli import main; main()' decode {hexed} >&-"
    done = subprocess.run(["sh", "-c", shell], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_of_a_person_in_any_unicode_are_read(encoding, tmp_path):
    settings, table = tmp_path / "s tür.json", tmp_path / "t.csv"
    settings.write_text(json.dumps(ue_settings(0)), encoding=encoding)
    out = tmp_path / "out.img"
    assert "ue urn:x-" in msgin5g(
        "image", "--board", "RPI_PICO_W", "--settings", settings, "-o", out
    )
    table.write_text("port,ue_id,next_hop\n/dev/none,urn:x:1,h:1\n", encoding=encoding)
    said = msgin5g("provision", table, "--settings", settings, status=PORT_MISSING)
    assert "there is no such port" in said, said
    file = tmp_path / "d.json"
    file.write_text('{"documents": []}', encoding=encoding)
    assert "0 created" in msgin5g("documents", "import", file, "--db", tmp_path / "x.db")


def test_a_file_that_is_no_unicode_is_named_with_its_line(tmp_path):
    (tmp_path / "x").write_bytes(b"{\n\n  \xfc}")
    with pytest.raises(FileError, match="x: line 3: byte 5 is not UTF-8: save the file as UTF-8"):
        read_text(tmp_path / "x")


def test_a_mistake_in_json_names_file_line_and_column(tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"role": "ue",\n "ue_id" 1}')
    image = ["image", "--board", "RPI_PICO_W", "-o", tmp_path / "o"]
    for command in (
        [*image, "--settings", wrong],
        [*image, "--settings", ue_file(tmp_path, 0), "--secrets", wrong],
        ["flash", "--port", "/dev/none", "--settings", wrong],
        ["provision", wrong],
        ["provision", wrong, "--settings", wrong],
        ["documents", "import", wrong, "--db", tmp_path / "db"],
        ["run", "--settings", wrong],
    ):
        said = msgin5g(*command, status=WRONG_INPUT)
        assert said.startswith(f"Error: {wrong}: ") and said.count("\n") == 1, said
        assert re.search(r"line 2, column (9|10)", said), said


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_semicolons_and_tabs_separate_a_table_as_well(delimiter, tmp_path):
    table = tmp_path / "t.csv"
    with table.open("w", newline="") as file:
        rows = (("port", "label", "ue_id", "next_hop"), ("/dev/none", "a, b; c", "urn:x:1", "h:1"))
        csv.writer(file, delimiter=delimiter).writerows(rows)
    said = msgin5g("provision", table, status=PORT_MISSING)
    assert "row 1 (a, b; c): /dev/none: there is no such port" in said, said


def test_a_wrong_role_is_named_with_its_value_and_its_file(tmp_path):
    wrong = ue_file(tmp_path, 0, role="janitor")
    for command in (
        ("run", "--settings", wrong),
        ("flash", "--port", "/dev/none", "--settings", wrong),
        ("image", "--board", "RPI_PICO_W", "-o", tmp_path / "o", "--settings", wrong),
    ):
        said = msgin5g(*command, status=WRONG_INPUT)
        words = "settings: role: janitor: must be one of ue, relay, gateway, seal-c\n"
        assert said == f"Error: {wrong}: {words}"


def test_an_address_of_another_machine_says_what_to_do(tmp_path):
    said = msgin5g(
        "run", "--settings", ue_file(tmp_path, 0, bind=["10.9.9.9", 5683]), status=WRONG_INPUT
    )
    expected = "bind: 10.9.9.9:5683: cannot assign address: use one of this machine, or 0.0.0.0\n"
    assert said.endswith(f"Z error {expected}") and said.count("\n") == 1


def test_a_heap_that_is_too_small_is_one_line(tmp_path):
    for heap in ("32K", "48K", "64K"):
        said = msgin5g(
            "run", "--heap", heap, "--settings", ue_file(tmp_path, 0), status=WRONG_INPUT
        )
        assert "Z error heap: too small for this role: set a larger --heap" in said, said
        assert said.count("\n") == 1, said


def test_a_relay_without_links_says_so(tmp_path):
    file = tmp_path / "relay.json"
    values = {"role": "relay", "ue_id": "u:r", "bind": [address(1), 0],
              "server": {"address": ["127.0.0.1", 9]}}  # fmt: skip
    file.write_text(json.dumps(values))
    command = [*_COMMAND, "run", "--settings", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as role:
        said, started = role.stdout.readline(), role.stdout.readline()
        role.terminate()
    assert said.endswith("Z warning settings: links: none, so that no UE is served\n")
    assert "Z info started " in started


def test_ports_are_listed_and_a_missing_one_names_those_that_are_there(monkeypatch):
    class Port:
        device, vid, pid, description, serial_number = "/dev/ttyACM7", 0x2E8A, 5, "Board", "e661"

    monkeypatch.setattr(serial_port.list_ports, "comports", lambda: [Port])
    done = CliRunner().invoke(ports_command.ports)
    assert done.output.split() == ["/dev/ttyACM7", "2e8a:0005", "Board", "e661"]
    row = json.loads(CliRunner().invoke(ports_command.ports, ["--json"]).output)
    assert row["port"] == "/dev/ttyACM7" and row["used_by"] == []
    with pytest.raises(serial_port.DeviceError) as missing:
        serial_port.open_serial("/dev/none")
    assert str(missing.value) == "there is no such port; connected: /dev/ttyACM7"


_ANOTHER_USER = """
import importlib, os
from msgin5g_tools import paths
from msgin5g_tools.build import mpy
mpy.build_firmware()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
importlib.reload(paths)
importlib.reload(mpy)
print(mpy.role_files("ue")["main.py"])
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_tree_that_root_has_set_up_serves_another_user():
    # Not pytest's folder: each start of another pytest closes that one to other users.
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, 65534, 65534)
        environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home}
        done = subprocess.run([sys.executable, "-c", _ANOTHER_USER], cwd="/", env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{home}/msgin5g/"), done.stdout


def test_decode_prints_json(tmp_path):
    trace = "datagram direction=in hex=40011234b573752d7563 remote=127.0.0.3:65401"
    done = run_with("decode", "--json", "-", stdin=f"{trace}\nstarted role=ue\n4001\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and len(rows) == 2, done
    assert rows[0]["where"] == "from 127.0.0.3:65401" and rows[0]["code"] == "0.01"
    assert rows[0]["mid"] == 0x1234 and rows[0]["fault"] is None
    assert rows[1]["code"] == "malformed" and rows[1]["fault"].startswith("byte ")


def run_with(*arguments, stdin):
    return subprocess.run([*_COMMAND, *arguments], input=stdin, text=True, capture_output=True,
                          timeout=60, check=False)  # fmt: skip


def test_flash_and_provision_print_json_and_a_dry_run_of_several_boards_a_line_each(tmp_path):
    with VirtualBoard(heap="96K") as one, VirtualBoard(heap="96K") as two:
        ports = ["--port", one.port, "--port", two.port, "--port", "/dev/none"]
        said = msgin5g("flash", *ports, "--dry-run", status=PORT_MISSING)
        assert len(said.splitlines()) == 3, said
        assert said.count("files would be copied (ue)") == 2, said
        said = msgin5g("flash", *ports, "--dry-run", "--json", status=PORT_MISSING)
        rows = [json.loads(line) for line in said.splitlines()]
        assert [row["port"] for row in rows] == [one.port, two.port, "/dev/none"]
        assert [row["status"] for row in rows] == [0, 0, PORT_MISSING]
        assert rows[0]["text"].endswith("files would be copied (ue)")
        assert rows[2]["text"].startswith("there is no such port")
        table = tmp_path / "t.csv"
        table.write_text(
            "port,label,ue_id,next_hop\n"
            f"{one.port},Door 1,urn:x:1,h:1\n{two.port},Door 2,urn:x:2,h:1\n"
        )
        said = msgin5g("provision", table, "--dry-run")
        assert len(said.splitlines()) == 2, said
        said = msgin5g("provision", table, "--dry-run", "--json")
        rows = [json.loads(line) for line in said.splitlines()]
        assert [row["label"] for row in rows] == ["Door 1", "Door 2"]
        assert rows[1]["ue_id"] == "urn:x:2" and len(rows[1]["unique_id"]) == 12
