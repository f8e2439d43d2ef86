"""msgin5g provision of a separated gateway, its SEAL-C and its UE; a cut run is mended."""

import json
from contextlib import ExitStack

import pytest
from addresses import network
from board_tools import mpremote
from click.testing import CliRunner
from cut_off import CutOff
from flash_setup import CONFIG, PORT, msgin5g, ue_id
from key_search import keys_of, pieces_shown
from scm_setup import Scm

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.commands.provision import provision
from msgin5g_tools.device.errors import PORT_MISSING, WRONG_INPUT
from msgin5g_tools.scm_server import json_form
from msgin5g_tools.scm_server.contexts import ACTIVE, GATEWAY, Contexts
from msgin5g_tools.scm_server.database import Database

_OSCORE = {"security": {"mode": "oscore"}}
_GATEWAY = "urn:x-msgin5g:gateway:1"
_SEAL_C, _SEPARATED, _UE = range(3)


@pytest.fixture
def site(tmp_path):
    """(a function that writes the table, the boards: SEAL-C, the gateway, its UE)."""
    net = network()
    text = {
        "ueConfigDocId": "ue-0", "valServiceDomain": "e.example", "ues": [ue_id(0)],
        "configData": CONFIG,
    }  # fmt: skip
    contents, mistakes, _ = json_form.read(json.dumps({"documents": [text]}), "msgin5g")
    assert not mistakes
    with ExitStack() as stack:
        scm = stack.enter_context(Scm(tmp_path, bind=(net + "1", 5683), require_security=True))
        for document in contents.documents:
            scm.call(lambda store, document=document: store.put(*document))
        boards = [
            stack.enter_context(VirtualBoard(heap=heap, image=tmp_path / f"{n}.img"))
            for n, heap in enumerate(("256K", "256K", "192K"))
        ]
        hosts = [net + str(10 + n) for n in range(len(boards))]
        ends = [[host, PORT + 1] for host in hosts[:2]]
        rows = [
            {"role": "seal-c", "ue_id": _GATEWAY, "bind": [hosts[0], PORT],
             "server": {"address": list(scm.address)},
             "seal_c": {"bind": ends[0], "peer": ends[1]}},
            {"role": "gateway", "ue_id": _GATEWAY, "bind": [hosts[1], PORT],
             "bulk": {"window_s": 0}, "links": {ue_id(0): [hosts[2], PORT]},
             "seal_c": {"mode": "separated", "bind": ends[1], "peer": ends[0]}},
            {"ue_id": ue_id(0), "bind": [hosts[2], PORT], "next_hop": [hosts[1], PORT],
             "next_hop_is": "gateway", "start_delay_s": 0, "retry": {"first_s": 1},
             "transmission": {"ack_timeout_ms": 300}},
        ]  # fmt: skip

        def table(*numbers, **more):
            entries = [
                {"port": boards[n].port, "secrets": {"n": n},
                 "settings": {**rows[n], **_OSCORE, **more.get(f"row{n}", {})}}
                for n in numbers
            ]  # fmt: skip
            path = tmp_path / "boards.json"
            path.write_text(json.dumps(entries))
            return path

        yield table, boards


def _keys_on(boards):
    return [json.loads(mpremote(board, "cat", "secrets.json"))["security"] for board in boards]


def _check_pairs(keys, db):
    """Each key is at its two ends, and nowhere else; the server has that of SEAL-C only."""
    seal_c, gateway, ue = keys
    for holder, own, name in ((seal_c, gateway, _GATEWAY), (gateway, ue, ue_id(0))):
        assert list(holder["ues"]) == [name]
        entry = dict(holder["ues"][name])
        assert len(entry.pop("board")) == 16
        assert entry == {key: value for key, value in own.items() if key != "ues"}
    assert len({own["master_secret"] for own in keys}) == len(keys)
    with Database(db, create=False) as database:
        contexts = Contexts(database)
        (active,) = [c for c in contexts.list() if c.state == ACTIVE]
        assert (active.kind, active.spelling) == (GATEWAY, _GATEWAY)
        assert contexts.find_number(active.number).secret.hex() == seal_c["master_secret"]
        assert contexts.gateway_ues() == [(_GATEWAY, ue_id(0))]


def _bound_on(board):
    """The bound of the numbers that a board has; it reads them, as the firmware does."""
    return int(
        mpremote(
            board, "exec",
            "from msgin5g.builder.security import own_context; from msgin5g.settings import load;"
            "print(own_context(load('/settings.json'), '/').sequence.next())",
        )
    )  # fmt: skip


def _secrets_of(keys):
    found = []
    for own in keys:
        ids = (own["sender_id"], own["recipient_id"])
        found += keys_of(*map(bytes.fromhex, (own["master_secret"], *ids)))
    return found


def test_seal_c_its_gateway_and_a_ue_get_their_keys_and_the_ue_is_configured(site, tmp_path):
    table, boards = site
    db = tmp_path / "scm.db"
    provision = ["provision", table(2, 1, 0), "--db", db, "--wait", "40"]
    shown = msgin5g(*provision, "--dry-run", timeout=180)
    assert shown.count("files would be copied") == 3
    assert mpremote(boards[_SEPARATED], "ls") == "ls :\n"
    said = msgin5g(*provision, timeout=240)
    assert said.count("a new key") == 3 and "configured after" in said, said
    first = _keys_on(boards)
    _check_pairs(first, db)
    shown += said

    # A second run has nothing to do.
    said = msgin5g(*provision, timeout=180)
    assert said.count("nothing to copy, watching") == 3 and "a new key" not in said
    shown += said

    # A UE without its numbers gets another key, and no other board does.
    mpremote(boards[_UE], "rm", "oscore-a", "oscore-b")
    said = msgin5g(*provision, timeout=180)
    assert said.count("a new key") == 1 and "configured after" in said, said
    shown += said
    second = _keys_on(boards)
    _check_pairs(second, db)
    assert second[_SEAL_C] == first[_SEAL_C] and second[_UE] != first[_UE]
    assert second[_SEPARATED]["master_secret"] == first[_SEPARATED]["master_secret"]

    # A gateway without its numbers gets another one, and so does its UE; SEAL-C keeps its own.
    mpremote(boards[_SEPARATED], "rm", "oscore-a", "oscore-b")
    path = table(0, 1)
    said = msgin5g("provision", path, "--db", db, "--wait", "40", timeout=180)
    assert f"{ue_id(0)} needs another key: provision it, too" in said
    assert said.count("a new key") == 1 and "ues" not in _keys_on(boards)[_SEPARATED]
    shown += said
    table(2, 1, 0)
    said = msgin5g(*provision, timeout=240)
    assert said.count("a new key") == 1 and "configured after" in said, said
    third = _keys_on(boards)
    _check_pairs(third, db)
    assert third[_SEAL_C]["master_secret"] == first[_SEAL_C]["master_secret"]
    assert not pieces_shown(_secrets_of(first + second + third), shown + said)


def test_wherever_provision_is_cut_off_a_second_run_mends_it(site, tmp_path, monkeypatch):
    table, boards = site
    db = tmp_path / "scm.db"
    arguments = [str(table(0, 1, 2)), "--db", str(db), "--no-watch"]
    cut_off = CutOff(monkeypatch)

    def run(cut_at):
        cut_off.at(cut_at)
        done = CliRunner().invoke(provision, arguments)
        return done.exit_code, done.output

    assert run(0)[0] == 0
    bounds, shown, secrets = {}, "", []
    for at in range(1, 200, 5):
        # SEAL-C has lost its numbers, so that all three need another key.
        mpremote(boards[_SEAL_C], "rm", "oscore-a", "oscore-b")
        is_cut, said = run(at)
        assert bool(is_cut) == ("Cut" in said), said
        status, more = run(0)
        assert status == 0, (at, more)
        keys = _keys_on(boards)
        _check_pairs(keys, db)
        for board, own in zip(boards, keys, strict=True):
            name, bound = own["master_secret"], _bound_on(board)
            assert bound >= bounds.get(name, 0), at
            bounds[name] = bound
        shown += said + more
        secrets += _secrets_of(keys)
        if not is_cut:
            break
    assert not is_cut and at > 30
    assert not pieces_shown(secrets, shown)


def test_what_a_separated_gateway_lacks_is_said_before_a_board_is_touched(site, tmp_path):
    table, boards = site
    db = tmp_path / "scm.db"
    for rows, more, expected in (
        ((1, 2), {}, "row 1: seal_c.mode: no seal-c in this table has its ue_id"),
        ((0, 1), {"row0": {"security": {"mode": "none"}}}, "row 1, its SEAL-C, has none"),
        ((0, 1, 2), {"row2": {"ue_id": _GATEWAY}}, f"ue_id: {_GATEWAY} is also in row 2"),
    ):
        said = msgin5g("provision", table(*rows, **more), "--db", db, status=WRONG_INPUT)
        assert expected in said and "nothing was written" in said, said
    path = table(0, 1, 2)
    rows = json.loads(path.read_text())
    rows[0]["port"] = "/dev/ttyNONE"
    path.write_text(json.dumps(rows))
    said = msgin5g("provision", path, "--db", db, status=PORT_MISSING)
    assert "its SEAL-C is not connected" in said and "its gateway is not connected" in said
    assert mpremote(boards[_UE], "ls") == "ls :\n"
