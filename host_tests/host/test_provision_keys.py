"""msgin5g provision and keys: a board's key at both ends, and no number of it twice."""

import json
import shutil

import pytest
from board_tools import mpremote
from cut_off import Cut, CutOff
from flash_setup import BUNDLES, Silent, msgin5g, ue_id, ue_settings
from key_search import keys_of, pieces_shown
from number_receiver import NumberReceiver

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import server_keys
from msgin5g_tools.device.errors import NOT_CONFIGURED, WRONG_INPUT, DeviceError
from msgin5g_tools.device.flashing import Job, Options, flash_board
from msgin5g_tools.device.server_keys import KeySource
from msgin5g_tools.scm_server.contexts import ACTIVE, GATEWAY, RETIRING, UE, Contexts
from msgin5g_tools.scm_server.database import Database
from msgin5g_tools.scm_server.store import Store

_OSCORE = {"security": {"mode": "oscore"}}
_QUICK = ["--no-watch"]


@pytest.fixture
def db(tmp_path):
    Store(tmp_path / "scm.db").close()
    return tmp_path / "scm.db"


def contexts_of(db, **filters):
    with Database(db, create=False) as database:
        return Contexts(database).list(**filters)


def working(db):
    """The contexts that work, with their secrets."""
    with Database(db, create=False) as database:
        contexts = Contexts(database)
        found = [contexts.find_number(context.number) for context in contexts.list()]
    return [context for context in found if context]


def secrets_of(db):
    """Every key of the database and what is derived from it."""
    found = []
    for context in working(db):
        found += keys_of(context.secret, context.kid, context.server_id)
    assert found
    return found


def table_of(tmp_path, board, secrets=None, n=0, **more):
    settings = {**ue_settings(n), **_OSCORE, **more}
    row = {"port": board.port, "label": f"Door {n}", "settings": settings}
    table = tmp_path / "boards.json"
    table.write_text(json.dumps([{**row, "secrets": secrets} if secrets else row]))
    return table


def on_board(board):
    return json.loads(mpremote(board, "cat", "secrets.json"))


def provisioned(tmp_path, db, board, receiver=None, **more):
    if receiver:
        more = {**more, "bind": receiver.ue, "next_hop": receiver.address}
    table = table_of(tmp_path, board, **more)
    return table, msgin5g("provision", table, "--db", db, *_QUICK)


def test_a_board_and_the_server_get_one_key_and_keep_it(tmp_path, db):
    with VirtualBoard(image=tmp_path / "a.img") as board:
        table = table_of(tmp_path, board, {"psk": "01", "wifi": {"key": "12345678"}})
        dry = msgin5g("provision", table, "--db", db, "--dry-run")
        assert "would make a key, for the board and for the server" in dry
        assert contexts_of(db) == [] and mpremote(board, "ls") == "ls :\n"

        said = msgin5g("provision", table, "--db", db, *_QUICK)
        assert f"Door 0  {ue_id(0)}  ue" in said and "a new key: 01" in said
        (context,) = working(db)
        found = on_board(board)
        assert found.pop("security") == {
            "master_secret": context.secret.hex(), "sender_id": "01", "recipient_id": "00",
        }  # fmt: skip
        assert found == {"psk": "01", "wifi": {"key": "12345678"}}
        assert (context.kind, context.owner) == (UE, ue_id(0)) and len(context.secret) == 16
        assert "security     OSCORE" in msgin5g("doctor", "--port", board.port)

        # A second run has nothing to do; other secrets may change, the key stays.
        said = msgin5g("provision", table, "--db", db, *_QUICK)
        assert "nothing to copy" in said and "a new key" not in said
        table = table_of(tmp_path, board, {"psk": "02"})
        said = msgin5g("provision", table, "--db", db, "--dry-run")
        assert "would make a key" not in said and "would copy secrets.json" in said
        said += msgin5g("provision", table, "--db", db, *_QUICK)
        assert on_board(board)["psk"] == "02" and working(db) == [context]
        (tmp_path / "secrets").write_text('{"psk": "03"}')
        flash = ["flash", "--port", board.port, "--secrets", tmp_path / "secrets", *_QUICK]
        said += msgin5g(*flash)
        found = on_board(board)
        assert found["psk"] == "03" and found["security"]["sender_id"] == "01"
        said += msgin5g(*flash)
        assert "nothing to copy" in said
        assert "security     OSCORE" in msgin5g("doctor", "--port", board.port)
        assert not pieces_shown(secrets_of(db), dry + said)


def test_two_boards_get_different_keys_and_a_gateway_its_ues(tmp_path, db):
    links = {ue_id(7): ["127.0.0.1", 7], ue_id(8): ["127.0.0.1", 8]}
    with VirtualBoard() as one, VirtualBoard() as two:
        rows = [
            {"port": one.port, "settings": {**ue_settings(1), **_OSCORE}},
            {"port": two.port, "settings": {**ue_settings(2), **_OSCORE}},
        ]
        table = tmp_path / "boards.json"
        table.write_text(json.dumps(rows))
        said = msgin5g("provision", table, "--db", db, *_QUICK)
        first, second = working(db)
        assert first.secret != second.secret and first.kid != second.kid
        kept = [on_board(board)["security"]["master_secret"] for board in (one, two)]
        assert kept[0] != kept[1]
        assert not pieces_shown(secrets_of(db), said)
    source = KeySource(db, GATEWAY, "urn:x-msgin5g:gateway:1", tuple(links))
    source.installed(source.new_key())
    with Database(db, create=False) as database:
        assert Contexts(database).gateway_ues() == [
            ("urn:x-msgin5g:gateway:1", ue_id(7)), ("urn:x-msgin5g:gateway:1", ue_id(8)),
        ]  # fmt: skip


def test_what_is_wrong_is_said_before_a_board_is_touched(tmp_path, db):
    with VirtualBoard() as board:
        table = table_of(tmp_path, board)
        said = msgin5g("provision", table, status=WRONG_INPUT)
        assert "row 1: security.mode: oscore needs --db FILE" in said
        missing = tmp_path / "none.db"
        said = msgin5g("provision", table, "--db", missing, status=WRONG_INPUT)
        assert said == f"Error: {missing}: no such database\n" and not missing.exists()
        (tmp_path / "text").write_text("no database")
        said = msgin5g("provision", table, "--db", tmp_path / "text", status=WRONG_INPUT)
        assert said.startswith(f"Error: {tmp_path / 'text'}: ") and said.count("\n") == 1
        secret = "a9d1c7530be4f8126dc3905e7af1b268"
        table = table_of(tmp_path, board, {"security": {"master_secret": secret}})
        said = msgin5g("provision", table, "--db", db, status=WRONG_INPUT)
        assert "row 1: security.master_secret: is made with the key" in said
        assert not pieces_shown([bytes.fromhex(secret)], said)
        assert mpremote(board, "ls") == "ls :\n"
    assert contexts_of(db) == []


def test_wherever_a_run_is_cut_off_a_second_one_mends_it(tmp_path, db, monkeypatch):
    """Cut before each program on the board, before and after each use of the database."""
    cut_off = CutOff(monkeypatch)
    real_open = server_keys.open_contexts

    class Opening:
        def __init__(self, path):
            cut_off.step()
            self._inner = real_open(path)

        def __enter__(self):
            return self._inner.__enter__()

        def __exit__(self, *error):
            done = self._inner.__exit__(*error)
            cut_off.step()
            return done

    monkeypatch.setattr(server_keys, "open_contexts", Opening)
    with VirtualBoard() as board:
        settings = json.dumps({**ue_settings(0), **_OSCORE}).encode()
        source = KeySource(db, UE, ue_id(0))
        job = Job(board.port, "ue", settings, b'{"psk": "1"}', source)
        options = Options("mpremote", None, False, False, 5)
        flash_board(job, options, BUNDLES, Silent())
        bounds = {}

        def check(case):
            """No key has gone back; the key of the board is the server's, or the server's next."""
            found = mpremote(
                board, "exec",
                "import json; print(json.dumps([json.load(open('secrets.json'))['security'],"
                " list(open('oscore-a', 'rb').read()), list(open('oscore-b', 'rb').read())]))",
            )  # fmt: skip
            security, *files = json.loads(found)
            bound = max(int.from_bytes(bytes(file[4:9]), "big") for file in files)
            kid = security["sender_id"]
            works = {context.kid.hex(): context for context in working(db)}
            assert kid in works, (case, kid, works.keys())
            assert works[kid].secret.hex() == security["master_secret"], case
            return kid, bound

        for cut_at in range(1, 60):
            # The board has lost its numbers, so that it needs another key.
            mpremote(board, "rm", "oscore-a", "oscore-b")
            cut_off.at(cut_at)
            try:
                flash_board(job, options, BUNDLES, Silent())
                is_cut = False
            except DeviceError as error:
                assert "Cut" in str(error)
                is_cut = True
            except Cut:
                is_cut = True
            cut_off.at(0)
            flash_board(job, options, BUNDLES, Silent())
            kid, bound = check(cut_at)
            assert bound >= bounds.get(kid, 0)
            bounds[kid] = bound
            (context,) = working(db)
            assert context.kid.hex() == kid and context.state == ACTIVE, cut_at
            if not is_cut:
                break
        assert not is_cut and cut_at > 15


# No number twice


def booted(board, receiver):
    """Reset a board; the numbers that its first request has."""
    mpremote(board, "reset")
    return receiver.next()


def test_no_number_comes_twice_whatever_is_flashed_copied_or_reset(tmp_path, db):
    image, old = tmp_path / "a.img", tmp_path / "old.img"
    with NumberReceiver() as receiver:
        with VirtualBoard(image=image) as board:
            table, _ = provisioned(tmp_path, db, board, receiver)
            (first,) = working(db)
            receiver.next()
            for restart in range(20):
                if restart % 2:
                    receiver.next()  # the power fails as soon as a number is used, or before that
                board.power_cut()
                board.power_on()
            booted(board, receiver)
            # Flash and provision again: key and numbers stay.
            for command in (
                ["flash", "--port", board.port, *_QUICK],
                ["provision", table, "--db", db, *_QUICK],
            ):
                assert "nothing to copy" in msgin5g(*command)
                receiver.next()
            (tmp_path / "ue.json").write_text(json.dumps({
                **ue_settings(0), **_OSCORE, "bind": receiver.ue, "next_hop": receiver.address,
                "retry": {"first_s": 1},
            }))  # fmt: skip
            msgin5g("flash", "--port", board.port, "--settings", tmp_path / "ue.json", *_QUICK)
            receiver.next()
            # A factory reset keeps both.
            mpremote(board, "exec", "from msgin5g import repl; repl.factory_reset('erase')")
            assert {"oscore-a", "oscore-b"} < set(mpremote(board, "ls").split())
            booted(board, receiver)
        shutil.copy(image, old)
        assert {kid for kid, _ in receiver.seen} == {first.kid}

        # A copy of the flash on another board does not start, whatever is done but a new key.
        copied = tmp_path / "b.img"
        shutil.copy(image, copied)
        n = len(receiver.datagrams)
        with VirtualBoard(image=copied) as clone:
            clone.output.wait_for("have no numbers for this key on this board")
            said = msgin5g("flash", "--port", clone.port, "--watch", status=NOT_CONFIGURED)
            assert "give the board a new key" in said
            said = msgin5g("doctor", "--port", clone.port, status=1)
            assert "fail  security     oscore: oscore-a and oscore-b have no numbers" in said
            # The key in the person's own hands, put there by hand.
            mpremote(clone, "cp", ":secrets.json", tmp_path / "taken.json")
            mpremote(clone, "rm", "oscore-a", "oscore-b")
            secrets = ["--secrets", tmp_path / "taken.json"]
            flash = ["flash", "--port", clone.port, *secrets, "--watch"]
            said = msgin5g(*flash, status=NOT_CONFIGURED)
            assert "have no numbers" in said
            said = msgin5g(
                "image", "--board", "RPI_PICO_W", "--settings", tmp_path / "ue.json",
                *secrets, "-o", tmp_path / "made.img", status=WRONG_INPUT,
            )  # fmt: skip
            assert "a key is for one board" in said and not (tmp_path / "made.img").exists()
            assert not pieces_shown(secrets_of(db), said)
        assert len(receiver.datagrams) == n

        with VirtualBoard(image=image) as board:
            receiver.next()
            # Its numbers are lost: nothing but a new key helps.
            mpremote(board, "rm", "oscore-a", "oscore-b")
            said = msgin5g("flash", "--port", board.port, "--watch", status=NOT_CONFIGURED)
            assert "have no numbers" in said
            table, said = provisioned(tmp_path, db, board, receiver)
            assert f"a new key: {working(db)[0].kid.hex()}" in said
            assert working(db)[0].kid != first.kid
            while working(db)[0].kid not in {kid for kid, _ in receiver.next()}:
                pass
        # An old image is put back, with the former key and numbers that have passed.
        for _ in range(3):
            shutil.copy(old, image)
            with VirtualBoard(image=image):
                assert {kid for kid, _ in receiver.next()} == {first.kid}
        with VirtualBoard(image=image) as board:
            _, said = provisioned(tmp_path, db, board, receiver)
            assert "a new key" in said
            last = working(db)[0].kid
            while last not in {kid for kid, _ in receiver.next()}:
                pass
        assert receiver.twice == [] and len({kid for kid, _ in receiver.seen}) == 3


# msgin5g keys


def test_a_key_is_rotated_with_an_overlap_and_then_the_board_gets_the_new_one(tmp_path, db):
    with VirtualBoard() as board:
        table, _ = provisioned(tmp_path, db, board)
        (first,) = working(db)
        with Database(db, create=False) as database:  # the board has used it
            assert Contexts(database).came(first.number, 5)
        said = msgin5g("keys", "rotate", ue_id(0), "--db", db, "--overlap", "8d")
        assert "the former key works until" in said and "msgin5g provision for its board" in said
        states = {context.kid: context.state for context in working(db)}
        assert states[first.kid] == RETIRING and len(states) == 2
        ends_at = next(c.ends_at for c in working(db) if c.kid == first.kid)
        assert 7 * 86400 < ends_at - first.created_at < 9 * 86400
        shown = secrets_of(db)

        # The board has the former one still; provision brings a new one, and the others end.
        said += msgin5g("provision", table, "--db", db, *_QUICK)
        (second,) = working(db)
        assert second.kid != first.kid and "a new key" in said
        assert on_board(board)["security"]["master_secret"] == second.secret.hex()

        # At once, with the board at hand: its other secrets stay.
        program = "import json; d = json.load(open('secrets.json')); d['psk'] = '09'\n"
        program += "with open('secrets.json', 'w') as f: json.dump(d, f)"
        mpremote(board, "exec", program)
        rotate = ["keys", "rotate", ue_id(0), "--db", db, "--port", board.port]
        said += msgin5g(*rotate, "--wait", "1", status=NOT_CONFIGURED)
        (third,) = working(db)
        found = on_board(board)
        assert found["psk"] == "09" and found["security"]["sender_id"] == third.kid.hex()
        assert third.kid not in (first.kid, second.kid)
        assert "security     OSCORE" in msgin5g("doctor", "--port", board.port)
        listed = msgin5g("keys", "list", "--db", db)
        assert ue_id(0)[-8:] in listed and "active" in listed and "revoked" in listed
        rows = [
            json.loads(row)
            for row in msgin5g("keys", "list", "--db", db, "--json").split("\n")
            if row
        ]
        assert [row["state"] for row in rows].count("active") == 1
        assert {row["owner"] for row in rows} == {ue_id(0)}
        said += listed + json.dumps(rows)

        said += msgin5g("keys", "revoke", ue_id(0), "--db", db)
        assert working(db) == []
        again = msgin5g("keys", "revoke", ue_id(0), "--db", db)
        assert again == f"{ue_id(0)}: no such key works; nothing was changed\n"
        for secret in (first, second, third):
            shown += keys_of(secret.secret, secret.kid, secret.server_id)
        assert not pieces_shown(shown, said)
        assert third.secret not in db.read_bytes() or (tmp_path / "scm.db-wal").exists()


def test_what_keys_cannot_do_is_one_line(tmp_path, db):
    relay = {"role": "relay", "ue_id": "urn:x:r", "server": {"address": ["127.0.0.1", 9]}}
    with VirtualBoard() as board, VirtualBoard() as other:
        provisioned(tmp_path, db, board)
        (tmp_path / "relay.json").write_text(json.dumps({**relay, "bind": ["127.0.0.1", 0]}))
        rotate = ["keys", "rotate", ue_id(0), "--db", db, "--port"]
        assert "no settings.json" in msgin5g(*rotate, other.port, status=WRONG_INPUT)
        msgin5g("flash", "--port", other.port, "--settings", tmp_path / "relay.json")
        assert "it needs no key" in msgin5g(*rotate, other.port, status=WRONG_INPUT)
        table_of(tmp_path, other, n=3)
        msgin5g("provision", tmp_path / "boards.json", "--db", db, *_QUICK)
        said = msgin5g(*rotate, other.port, status=WRONG_INPUT)
        assert said == f"Error: {other.port}: is {ue_id(3)}, not {ue_id(0)}\n"
        assert "no such port" in msgin5g(*rotate, "/dev/ttyNONE", status=3)
    assert [c.state for c in contexts_of(db)] == [ACTIVE, ACTIVE]
    for arguments, status, expected in (
        (["list", "--db", tmp_path / "none.db"], 1, "no such database"),
        (["list", ue_id(9), "--db", db], 1, "has no key"),
        (["rotate", ue_id(9), "--db", db], 1, "has no key"),
        (["revoke", "x\x1b", "--db", db], 1, "has no key"),
        (["rotate", ue_id(0), "--db", db, "--overlap", "x"], 2, "a time such as 14d"),
        (["rotate", ue_id(0), "--db", db, "--overlap", "9999d"], 2, "366d at most"),
        (["rotate", ue_id(0)], 2, "Missing option '--db'"),
    ):
        said = msgin5g("keys", *arguments, status=status)
        assert expected in said and "Traceback" not in said and "\x1b" not in said, said
    said = msgin5g("keys", "revoke", ue_id(0), "--db", db, "--kid", "ff", "--json")
    assert json.loads(said) == {"owner": ue_id(0), "revoked": []}
