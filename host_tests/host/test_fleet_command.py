"""`msgin5g fleet`, and what it shows of UEs on real MicroPython behind a relay and a gateway."""

import csv
import io
import json
import subprocess
import sys
import time

import pytest
from peers import ScmProcess, configuration, host, relay, ue
from scm_setup import UE7, UE8, configured, document
from test_gateway_process import gateway

from msgin5g_tools.scm_server.fleet import Fleet
from msgin5g_tools.scm_server.fleet_table import FleetTable
from msgin5g_tools.scm_server.query import Selector
from msgin5g_tools.scm_server.store import Store

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "fleet"]
REFUSED = "Segment-size: 0, less than 64"
WAIT_S = 20


def fleet(folder, *arguments, status=0):
    done = subprocess.run(
        [*COMMAND, *arguments, "--db", str(folder / "scm.db")],
        check=False,
        capture_output=True,
        text=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def unusable(uri):
    return configured(uri, {**configuration(), "Segment-size": 0})


def until(folder, uri, state):
    """The Ue, once it has this state."""
    ends_at = time.monotonic() + WAIT_S
    while True:
        with Store(folder / "scm.db", create=False) as store:
            found = Fleet(store).find(uri)
        if found.state == state:
            return found
        assert time.monotonic() < ends_at, found
        time.sleep(0.1)


@pytest.fixture
def scm(tmp_path):
    with ScmProcess(tmp_path, "--max-age", "1") as server:
        yield server


@pytest.fixture
def table(tmp_path):
    """Six UEs, one or two of each state."""
    with Store(tmp_path / "scm.db") as store:
        store.put("msgin5g", "d7", document(UE7))
        store.put("msgin5g", "d8", document(UE8))
        given = {"asked_at": 0, "how": "bulk", "peer": "192.0.2.1:65401", "given_at": 0}
        selector = Selector(None, None, None, (UE7,), False)
        newest = Fleet(store).tags("msgin5g", [UE7], selector)[UE7]
        rows = [
            {"uri": UE7, **given, "service": "msgin5g", "etag": newest, "key_of": "urn:g"},
            {"uri": "urn:old", **given, "service": "msgin5g", "etag": b"12345678"},
            {"uri": "urn:no", "denied_at": 0, "denied_code": "4.04", "denied_reason": "\x1b[31m"},
            {"uri": "=2+3:x", "asked_at": 86_399, "how": "alone", "peer": "x"},
        ]
        FleetTable(store, 100).write(
            [{**row, "spelling": row["uri"], "seen_at": 0} for row in rows]
        )
    return tmp_path


def test_the_counts_come_first_then_the_ues_with_what_became_of_them(table):
    text = fleet(table)
    assert text.startswith("5 UEs: 1 newest, 2 older, 1 denied, 0 refused, 1 never\n")
    (line,) = (line for line in text.splitlines() if UE7 in line)
    assert "newest" in line and "1970-01-01T00:00:00Z" in line
    assert "in bulk from 192.0.2.1:65401 with a key" in line
    assert "denied: 4.04 \\x1b[31m" in text and "\x1b" not in text
    text = fleet(table, "--state", "older", "--limit", "1")
    assert text.startswith("2 UEs: 2 older\n")
    assert "and 1 more" in text
    assert fleet(table, "--search", "UE:0008").startswith("1 UEs: 0 newest")


def test_one_ue_in_detail(table):
    text = fleet(table, UE7)
    assert text.splitlines()[:2] == [UE7, "  state       newest"]
    assert "last asked  1970-01-01T00:00:00Z, in bulk from 192.0.2.1:65401 with a key" in text
    assert "key         of urn:g" in text
    assert fleet(table, UE8).splitlines()[1:] == ["  state       never"]
    assert fleet(table, "urn:nobody", status=1) == "Error: urn:nobody: no such UE\n"


def test_json_and_csv_have_every_ue_and_no_cell_is_a_formula(table):
    rows = [json.loads(line) for line in fleet(table, "--json").splitlines()]
    assert [row["uri"] for row in rows] == sorted(row["uri"] for row in rows) and len(rows) == 5
    (row,) = (row for row in rows if row["uri"] == "urn:no")
    assert (row["state"], row["reason"], row["asked_at"]) == ("denied", "4.04 \x1b[31m", None)
    read = list(csv.DictReader(io.StringIO(fleet(table, "--csv"))))
    assert read[0]["uri"] == "'=2+3:x" and read[0]["asked_at"] == "1970-01-01T23:59:59Z"
    assert [list(row) for row in read] == [list(rows[0])] * 5


def test_a_mistake_is_one_line(tmp_path, table):
    text = fleet(table, "--json", "--csv", status=2)
    assert "Error: --json and --csv are two forms: choose one" in text.splitlines()[-1]
    (tmp_path / "scm.db").unlink()
    assert fleet(tmp_path, status=1) == f"Error: {tmp_path}/scm.db: no such database\n"


def test_what_a_ue_behind_a_relay_refuses_is_seen_by_the_operator_and_outlives_kill_9(
    tmp_path, scm
):
    scm.put("ue-7", unusable(UE7))
    links = {UE7: (host(), 65401)}
    with relay(tmp_path, scm.address, links) as role:
        mine = links[UE7][0]
        reporting = {"report_refused": True, "refresh": {"min_s": 1}, "observe": True}
        with ue(tmp_path, role.address, host=mine, **reporting) as one:
            one.event("refused")
            found = until(tmp_path, UE7, "refused")
            assert found.refused_reason == REFUSED and found.peer.startswith(role.address[0])
            scm.kill()
            (line,) = (line for line in fleet(tmp_path).splitlines() if UE7 in line)
            assert f"refused: {REFUSED}" in line
            with ScmProcess(tmp_path, "--max-age", "1", bind=scm.address) as again:
                again.put("ue-7", configured(UE7, configuration()))
                one.event("applied")
                assert until(tmp_path, UE7, "newest").refused_reason in (None, REFUSED)


def test_what_a_ue_behind_a_gateway_refuses_is_seen_by_the_operator(tmp_path, scm):
    scm.put("ue-7", unusable(UE7))
    scm.put("ue-8", unusable(UE8))
    links = {UE7: (host(), 65401), UE8: (host(), 65401)}
    together = {"count": 2, "window_s": 1}
    with gateway(tmp_path, scm.address, links, bulk=together) as role:
        reporting = {"report_refused": True, "refresh": {"min_s": 1}, "observe": True}
        how = {"next_hop_is": "gateway", **reporting}
        with ue(tmp_path, role.address, UE7, host=links[UE7][0], **how):
            with ue(tmp_path, role.address, UE8, host=links[UE8][0], **how):
                for uri in (UE7, UE8):
                    assert until(tmp_path, uri, "refused").refused_reason == REFUSED
    rows = [json.loads(line) for line in fleet(tmp_path, "--json").splitlines()]
    assert [(row["uri"], row["reason"]) for row in rows] == [(UE7, REFUSED), (UE8, REFUSED)]
