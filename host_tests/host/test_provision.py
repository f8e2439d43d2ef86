"""msgin5g provision: a table is checked as a whole, then each board gets what is its own."""

import csv
import json

import pytest
from board_tools import mpremote
from click.testing import CliRunner
from flash_setup import Site, address, msgin5g, ue_id, ue_settings

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device.errors import FAILED, PORT_MISSING, WRONG_INPUT, DeviceError
from msgin5g_tools.device.table import read_table
from msgin5g_tools.commands.provision import provision

_BASE = {"next_hop": ["127.0.0.1", 1], "wifi": {"ssid": "plant"}}


def _identity(board):
    program = "import machine, binascii; print(binascii.hexlify(machine.unique_id()).decode())"
    return mpremote(board, "exec", program).strip()


def test_boards_by_port_and_by_unique_id_end_configured_with_a_label_list(tmp_path):
    base = ue_settings(0)
    del base["ue_id"], base["bind"]
    (tmp_path / "base.json").write_text(json.dumps(base))
    with (
        Site(tmp_path, 2),
        VirtualBoard(heap="128K", image=tmp_path / "a.img") as one,
        VirtualBoard(heap="128K", image=tmp_path / "b.img") as two,
    ):
        identity = _identity(two)
        table = tmp_path / "boards.csv"
        table.write_text(
            "port,unique_id,label,ue_id,bind,secrets.psk\n"
            f"{one.port},,Door 1,{ue_id(0)},{address(2)}:65401,01\n"
            f",{identity},Door 2,{ue_id(1)},{address(3)}:65401,02\n"
            ",aabbccddeeff,Door 3,urn:x:3,127.0.0.1:1,03\n"
        )
        arguments = ["provision", table, "--settings", tmp_path / "base.json"]
        arguments += ["--port", one.port, "--port", two.port, "--labels", tmp_path / "labels"]
        said = msgin5g(*arguments, status=PORT_MISSING)
        assert said == "row 3 (Door 3): not connected\n"
        said = msgin5g(*arguments, "--partial", "--dry-run")
        assert "files would be copied (ue)" in said
        assert mpremote(two, "ls") == "ls :\n"
        said = msgin5g(*arguments, "--partial")
        assert said.count("configured after") == 2 and "Door 3): not connected; left out" in said
        labels = list(csv.reader((tmp_path / "labels").open()))
        assert labels[1:] == [
            ["Door 1", ue_id(0), "ue", _identity(one), one.port],
            ["Door 2", ue_id(1), "ue", identity, two.port],
        ]
        assert said.splitlines()[-1].split() == ["Door", "2", ue_id(1), "ue", identity, two.port]
        assert json.loads(mpremote(two, "cat", "secrets.json")) == {"psk": "02"}


def test_a_wrong_table_is_said_row_by_row_and_nothing_is_written(tmp_path):
    table = tmp_path / "boards.csv"
    table.write_text(
        "port,unique_id,ue_id,bind,next_hop\n"
        "/dev/a,,urn:x:1,10.0.0.1:65401,h:1\n"
        "/dev/b,,urn:x:1,10.0.0.1:65401,h:1\n"
        "/dev/a,,urn:x:3,,h:70000\n"
        "/dev/a,,urn:x:4,,h:1\n"
        ",,urn:x:5,,h:1\n"
        ",xyz,urn:x:6,,h:1\n"
        "/dev/g,,not a uri,,h:1\n"
    )
    said = msgin5g("provision", table, status=WRONG_INPUT)
    assert [line.removeprefix(f"{table}: ") for line in said.splitlines()] == [
        "row 2: ue_id: urn:x:1 is also in row 1",
        "row 2: bind: 10.0.0.1:65401 is also in row 1",
        "row 3: next_hop: port 70000 is not 1 to 65535",
        "row 4: port: /dev/a is also in row 1",
        "row 5: port or unique_id is missing",
        "row 6: unique_id: must be bytes in hex, as msgin5g doctor prints it",
        "row 7: ue_id: must be a URI such as urn:x-msgin5g:ue:0007",
        f"Error: 7 faults in {table}; nothing was written",
    ]
    for text, expected in (
        ("", "it names no board"),
        ("port,ue_id\n", "it names no board"),
        ("port\na,b\n", "more cells than the heading"),
        ("[1]", "must be a JSON array of objects"),
        ("[", "Expecting value"),
        ('[{"port": 5, "settings": [1]}]', "row 1: port: must be a text"),
        ('[{"port": "x", "settings": [1]}]', "row 1: settings: must be an object"),
        ('[{"port": "x", "settings": "abc"}]', "row 1: settings: must be an object"),
        ('[{"port": "x", "secrets": null}]', "row 1: secrets: must be an object"),
        ('[{"unique_id": null}]', "row 1: unique_id: must be a text"),
        ("port,ue_id, port\na,b,c\n", "the heading has port twice"),
    ):
        table.write_text(text)
        said = msgin5g("provision", table, status=WRONG_INPUT)
        assert said.startswith("Error: ") and expected in said and said.count("\n") == 1, said
    said = msgin5g("provision", tmp_path / "none", status=WRONG_INPUT)
    assert said == f"Error: {tmp_path / 'none'}: No such file or directory\n"


def test_a_board_that_failed_gets_no_label(tmp_path, monkeypatch):
    def flash_board(job, options, bundles, line):
        if job.port == "/dev/b":
            raise DeviceError(FAILED, "the board's flash is full")
        return "done"

    monkeypatch.setattr("msgin5g_tools.commands.flash.flash_board", flash_board)
    found = {"/dev/a": "aa01", "/dev/b": "bb02"}
    monkeypatch.setattr(
        "msgin5g_tools.commands.provision._find_boards", lambda rows, ports, tool: (found, 0, {})
    )
    table, labels = tmp_path / "t.csv", tmp_path / "labels"
    table.write_text(
        "port,label,ue_id,next_hop\n/dev/a,Door 1,urn:x:1,h:1\n/dev/b,Door 2,urn:x:2,h:1\n"
    )
    done = CliRunner().invoke(provision, [str(table), "--labels", str(labels)])
    assert done.exit_code == FAILED
    assert "row 2 (Door 2): failed, no label" in done.output
    assert "bb02" not in done.output and "aa01" in done.output
    assert [row[3] for row in csv.reader(labels.open())] == ["unique_id", "aa01"]


def test_settings_and_secrets_of_a_row_are_judged_together():
    _, faults = read_table(
        "port,ue_id,wifi.ssid,secrets.wifi.key\np,urn:x:1,site,short\nq,urn:x:2,site,12345678\n",
        _BASE,
    )
    assert faults == ["row 1: wifi.key: 5 bytes are not 8 to 64"]


def test_one_fault_is_counted_as_one(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(
        "port,ue_id,next_hop,wifi.ssid,secrets.wifi.key\n/dev/a,urn:x:1,h:1,plant,short\n"
    )
    said = CliRunner().invoke(provision, [str(table)]).output
    assert said.startswith(f"Error: {table}: row 1: ") and said.count("\n") == 1, said


def test_cells_take_the_form_that_the_rules_ask_for():
    rows, faults = read_table(
        "port,ue_id,ue_type,wifi.key,block_size,observe,next_hop,server.address\n"
        'p,urn:x:1,00000012,12345678,256,false,"[""h"", 5]",srv:5683\n',
        _BASE,
    )
    assert faults == []
    parsed = rows[0].parsed
    assert parsed.ue_type == "00000012"
    assert json.loads(rows[0].settings)["wifi"] == {"ssid": "plant", "key": "12345678"}
    assert (parsed.block_size, parsed.observe, parsed.next_hop) == (256, False, ("h", 5))
    assert parsed.server_address == ("srv", 5683)


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"boards": rows}])
def test_json_says_the_same_with_its_own_types(wrap):
    entries = [
        {"unique_id": "E6:61:64", "settings": {"ue_id": "urn:x:1"}, "secrets": {"psk": "01"}},
        {"port": "q", "ue_id": "urn:x:2", "wifi.ssid": "other", "nxt_hop": 1},
        {"port": "r", "ue_id": "urn:x:3", "secrets": {"psk": "01"}},
    ]
    rows, faults = read_table(json.dumps(wrap(entries)), _BASE)
    assert rows[0].unique_id == "e66164" and json.loads(rows[0].secrets) == {"psk": "01"}
    assert json.loads(rows[1].settings)["wifi"] == {"ssid": "other"}
    assert faults == [
        "row 2: nxt_hop: no such setting",
        "row 3: secrets: the same secrets as row 1",
    ]
