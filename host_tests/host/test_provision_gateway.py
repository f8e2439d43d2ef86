"""msgin5g provision of a gateway and its UEs: one key with the server, one with each UE."""

import json
from contextlib import ExitStack

import pytest
from addresses import network
from board_tools import mpremote
from flash_setup import CONFIG, PORT, msgin5g, ue_id
from key_search import keys_of, pieces_shown
from scm_setup import Scm

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device.errors import PORT_MISSING, WRONG_INPUT
from msgin5g_tools.scm_server import json_form
from msgin5g_tools.scm_server.contexts import ACTIVE, GATEWAY, REVOKED, UE, Contexts
from msgin5g_tools.scm_server.database import Database

_OSCORE = {"security": {"mode": "oscore"}}
_GATEWAY = "urn:x-msgin5g:gateway:1"
_N_UES = 2


@pytest.fixture
def site(tmp_path):
    """(the server, a function that writes the table, the boards: the gateway's first)."""
    net = network()
    texts = [
        {"ueConfigDocId": f"ue-{n}", "valServiceDomain": "e.example", "ues": [ue_id(n)],
         "configData": CONFIG}
        for n in range(_N_UES)
    ]  # fmt: skip
    contents, mistakes, _ = json_form.read(json.dumps({"documents": texts}), "msgin5g")
    assert not mistakes
    with ExitStack() as stack:
        scm = stack.enter_context(Scm(tmp_path, bind=(net + "1", 5683), require_security=True))
        for document in contents.documents:
            scm.call(lambda store, document=document: store.put(*document))
        boards = [
            stack.enter_context(
                VirtualBoard(heap="256K" if n == 0 else "192K", image=tmp_path / f"{n}.img")
            )
            for n in range(1 + _N_UES)
        ]
        addresses = [[net + str(10 + n), PORT] for n in range(1 + _N_UES)]
        gateway = {
            "role": "gateway", "ue_id": _GATEWAY, "bind": addresses[0],
            "server": {"address": list(scm.address)}, "bulk": {"window_s": 0},
            "links": {ue_id(n): addresses[1 + n] for n in range(_N_UES)}, **_OSCORE,
        }  # fmt: skip
        fast = {"transmission": {"ack_timeout_ms": 300}, **_OSCORE}
        ues = [
            {"ue_id": ue_id(n), "bind": addresses[1 + n], "next_hop": addresses[0],
             "next_hop_is": "gateway", "start_delay_s": 0, "retry": {"first_s": 1}, **fast}
            for n in range(_N_UES)
        ]  # fmt: skip

        def table(*numbers, **more):
            rows = []
            for n in numbers:
                settings = {**(gateway if n == 0 else ues[n - 1]), **more.get(f"row{n}", {})}
                rows.append({"port": boards[n].port, "settings": settings, "secrets": {"n": n}})
            path = tmp_path / "boards.json"
            path.write_text(json.dumps(rows))
            return path

        yield scm, table, boards


def secrets_on(board):
    return json.loads(mpremote(board, "cat", "secrets.json"))["security"]


def test_a_gateway_and_its_ues_get_their_keys_and_are_configured(site, tmp_path):
    _, table, boards = site
    provision = ["provision", table(0, 1, 2), "--db", tmp_path / "scm.db", "--wait", "40"]
    with Database(tmp_path / "scm.db", create=False) as database:
        Contexts(database).add(UE, ue_id(1))  # that UE had been at a relay before
    dry = msgin5g(*provision, "--dry-run", timeout=180)
    assert dry.count("files would be copied") == 3 and mpremote(boards[1], "ls") == "ls :\n"
    said = msgin5g(*provision, timeout=180)
    assert said.count("configured after") == _N_UES and "gateway running" in said, said
    of_gateway = secrets_on(boards[0])
    of_ues = [secrets_on(board) for board in boards[1:]]
    secrets = keys_of(bytes.fromhex(of_gateway["master_secret"]), b"\x02", b"\x00")
    for n, own in enumerate(of_ues):
        entry = dict(of_gateway["ues"][ue_id(n)])
        assert len(entry.pop("board")) == 16 and entry == own
        secrets += keys_of(*map(bytes.fromhex, own.values()))
    assert len({own["master_secret"] for own in (of_gateway, *of_ues)}) == 1 + _N_UES
    # The server has the gateway's key only, and knows for whom it may ask.
    with Database(tmp_path / "scm.db", create=False) as database:
        contexts = Contexts(database)
        states = [(c.kind, c.spelling, c.state) for c in contexts.list()]
        assert states == [(GATEWAY, _GATEWAY, ACTIVE), (UE, ue_id(1), REVOKED)]
        assert contexts.gateway_ues() == [(_GATEWAY, ue_id(n)) for n in range(_N_UES)]

    # A second run has nothing to do.
    again = msgin5g(*provision, timeout=180)
    assert again.count("nothing to copy, watching") == 3 and "a new key" not in again
    # A UE that has lost its numbers gets another key, and the gateway the same one; a UE whose
    # board is not connected keeps its own.
    mpremote(boards[1], "rm", "oscore-a", "oscore-b")
    path = table(0, 1, 2)
    whole = path.read_text()
    path.write_text(whole.replace(boards[2].port + '"', '/dev/ttyNONE"'))
    more = msgin5g(*provision, "--partial", timeout=180)
    assert more.count("a new key") == 1 and "no such port; " in more and "; left out" in more
    changed = secrets_on(boards[0])
    assert changed["ues"][ue_id(0)] != of_gateway["ues"][ue_id(0)]
    assert changed["ues"][ue_id(1)] == of_gateway["ues"][ue_id(1)]
    assert changed["master_secret"] == of_gateway["master_secret"]
    assert secrets_on(boards[1])["master_secret"] == changed["ues"][ue_id(0)]["master_secret"]
    said += msgin5g("doctor", "--port", boards[0].port) + again + more + dry
    assert "OSCORE: what it asks for is protected; it serves UEs with a key only" in said
    # A gateway without its numbers gets another key, and so do its UEs.
    mpremote(boards[0], "rm", "oscore-a", "oscore-b")
    last = msgin5g(
        "provision", table(0, 1), "--db", tmp_path / "scm.db", "--wait", "40", timeout=180
    )
    assert f"{ue_id(1)} needs another key: provision it, too" in last
    assert last.count("a new key") == 2 and list(secrets_on(boards[0])["ues"]) == [ue_id(0)]
    assert not pieces_shown(secrets, said + last)


def test_what_a_gateway_lacks_is_said_before_a_board_is_touched(site, tmp_path):
    _, table, boards = site
    db = ["--db", tmp_path / "scm.db"]
    for rows, more, expected in (
        ((1,), {}, "row 1: next_hop_is: no gateway in this table has a link to it"),
        ((0, 1), {"row0": {"security": {"mode": "none"}}}, "row 1, its gateway, has none"),
        ((0,), {"row0": {"seal_c": {"mode": "separated", "bind": ["127.0.0.1", 1],
                                    "peer": ["127.0.0.1", 2]}}}, "no seal-c in this table"),
    ):  # fmt: skip
        said = msgin5g("provision", table(*rows, **more), *db, status=WRONG_INPUT)
        assert expected in said and "nothing was written" in said, said
    path = table(0, 1)
    rows = json.loads(path.read_text())
    rows[0]["port"] = "/dev/ttyNONE"
    path.write_text(json.dumps(rows))
    said = msgin5g("provision", path, *db, status=PORT_MISSING)
    assert "its gateway is not connected" in said
    assert mpremote(boards[1], "ls") == "ls :\n"
    with Database(tmp_path / "scm.db", create=False) as database:
        assert Contexts(database).list() == []
